//! The light record of a job that the queue keeps in memory. Not its definition or result: those stay on disk.

use std::sync::Arc;

use crate::{Caller, JobId, Namespace, Needs, Outlook, Phase, QueueName, Time};

/// Someone's claim on a job: a caller's namespace of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    /// The queue it was submitted to.
    pub queue: QueueName,
    /// The slot of that queue.
    pub namespace: Namespace,
    /// Who submitted it there.
    pub caller: Caller,
}

impl Hold {
    /// Whether it shows in `outlook`.
    pub fn is_in(&self, outlook: &Outlook) -> bool {
        self.queue == outlook.queue && outlook.caller.sees(&self.caller)
    }
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
    /// Number of its latest run, which only grows, among the runs of all jobs; 0 before the first. Names the run's
    /// container and scratch folder.
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
    /// The namespaces that hold it as `outlook` shows it, sorted, without doubles.
    pub fn namespaces(&self, outlook: &Outlook) -> Vec<&Namespace> {
        let holds = self.holds.iter().filter(|hold| hold.is_in(outlook));
        let mut namespaces: Vec<_> = holds.map(|hold| &hold.namespace).collect();
        namespaces.dedup();
        namespaces
    }

    /// Where it is listed: for everyone who submitted it, and for programs in each queue.
    pub fn outlooks(&self) -> Vec<Outlook> {
        let of = |hold: &Hold, caller| Outlook { queue: hold.queue.clone(), caller };
        let own = self.holds.iter().map(|hold| of(hold, hold.caller.clone()));
        let programs = self.holds.iter().map(|hold| of(hold, Caller::Program));
        let mut outlooks: Vec<_> = own.chain(programs).collect();
        outlooks.sort();
        outlooks.dedup();
        outlooks
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
