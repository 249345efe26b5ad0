//! The light record of a job that the queue keeps in memory. Not its definition or result: those stay on disk.

use std::sync::Arc;

use crate::{JobId, Namespace, Needs, Phase, QueueName, Time};

/// Someone's claim on a job: a namespace of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    /// The queue it was submitted to.
    pub queue: QueueName,
    /// The slot of that queue.
    pub namespace: Namespace,
}

/// Parts of a submission that clients get back in the job's record and that nobody here interprets, as JSON texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// `requirements` of the definition.
    pub requirements: Option<String>,
    /// `tags` of the definition.
    pub tags: Option<String>,
    /// `debug` of the submission.
    pub debug: Option<String>,
}

/// One job in its present state. Thousands of these are in memory, so it carries only what the rules need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Where it is in its life; changed by [`crate::phase::next`] alone.
    pub phase: Phase,
    /// When it was first submitted.
    pub queued_at: Time,
    /// When its phase last changed.
    pub changed_at: Time,
    /// Its place in line: lower goes first.
    pub turn: u64,
    /// Number of its latest run, counted from 1; 0 before the first. Names the run's container and scratch folder.
    pub run: u32,
    /// How often its container was lost.
    pub losses: u32,
    /// Who wants it. Sorted, without doubles.
    pub holds: Vec<Hold>,
    /// What it takes while it runs.
    pub needs: Needs,
    /// What its clients get back unread.
    pub carried: Option<Arc<Carried>>,
    /// Whether it ended with `Error` because of this computer, so that a new submission runs it again.
    pub runs_again: bool,
}

impl Job {
    /// The namespaces that hold it in `queue`, sorted.
    pub fn namespaces<'a>(&'a self, queue: &'a QueueName) -> impl Iterator<Item = &'a Namespace> + 'a {
        self.holds.iter().filter(move |hold| hold.queue == *queue).map(|hold| &hold.namespace)
    }

    /// The queues that list it, without doubles.
    pub fn queues(&self) -> Vec<QueueName> {
        let mut queues: Vec<_> = self.holds.iter().map(|hold| hold.queue.clone()).collect();
        queues.dedup();
        queues
    }

    /// Adds a claim; false when it was there already.
    pub fn hold(&mut self, hold: Hold) -> bool {
        match self.holds.binary_search(&hold) {
            Ok(_) => false,
            Err(place) => {
                self.holds.insert(place, hold);
                true
            }
        }
    }
}
