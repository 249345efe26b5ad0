//! Which jobs changed, over all queues, for readers that then look at the jobs themselves.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deskgrid_job::JobId;
use tokio::sync::watch;

/// Changes that are kept for readers that are behind; more than this and they have to look at everything.
const KEPT: usize = 4096;

/// The changes of late; a cheap handle.
#[derive(Clone)]
pub(crate) struct Chronicle(Arc<Shared>);

struct Shared {
    past: Mutex<Past>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct Past {
    /// Oldest first; the last one has the present version.
    jobs: VecDeque<JobId>,
    version: u64,
}

impl Default for Chronicle {
    fn default() -> Self {
        Self(Arc::new(Shared { past: Mutex::default(), version: watch::Sender::new(0) }))
    }
}

impl Chronicle {
    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a job is new, changed or gone.
    pub(crate) fn note(&self, job: &JobId) {
        let mut past = self.lock();
        past.version += 1;
        if self.0.version.receiver_count() == 0 {
            // Whoever comes begins with everything.
            past.jobs.clear();
        } else {
            past.jobs.push_back(job.clone());
            if past.jobs.len() > KEPT {
                past.jobs.pop_front();
            }
        }
        self.0.version.send_replace(past.version);
    }

    /// A reader of what changes from now on.
    pub(crate) fn follow(&self) -> ChangedJobs {
        // The reader comes first, so that nothing after its version is left out.
        let changed = self.0.version.subscribe();
        let seen = self.lock().version;
        ChangedJobs { chronicle: self.clone(), changed, seen }
    }
}

/// One reader's place in the changes.
pub struct ChangedJobs {
    chronicle: Chronicle,
    changed: watch::Receiver<u64>,
    seen: u64,
}

impl ChangedJobs {
    /// Waits until a job changed that was not taken. Safe to drop while it waits.
    pub async fn changed(&mut self) {
        // The sender lives as long as the chronicle, which this reader holds.
        let seen = self.seen;
        let _ = self.changed.wait_for(|version| *version > seen).await;
    }

    /// The jobs that changed since the last call, each once; none when it is not known which.
    pub fn take(&mut self) -> Option<HashSet<JobId>> {
        let past = self.chronicle.lock();
        let missed = usize::try_from(past.version - self.seen).unwrap_or(usize::MAX);
        self.seen = past.version;
        let known = past.jobs.len() >= missed;
        known.then(|| past.jobs.iter().rev().take(missed).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> JobId {
        JobId::new(&format!("job{number}")).unwrap()
    }

    #[tokio::test]
    async fn a_reader_is_handed_each_changed_job_once() {
        let chronicle = Chronicle::default();
        chronicle.note(&id(0));
        let mut reader = chronicle.follow();
        assert_eq!(reader.take(), Some(HashSet::new()));
        for number in [1, 2, 1] {
            chronicle.note(&id(number));
        }
        reader.changed().await;
        assert_eq!(reader.take(), Some([id(1), id(2)].into()));
    }

    #[test]
    fn a_reader_that_is_too_late_is_told_so_once() {
        let chronicle = Chronicle::default();
        let mut reader = chronicle.follow();
        for number in 0..=KEPT {
            chronicle.note(&id(number));
        }
        assert_eq!(reader.take(), None);
        assert_eq!(reader.take(), Some(HashSet::new()));
    }
}
