//! The records of jobs that are on disk and not in memory, as they will be once the batch at hand is written.
//!
//! All that a batch asks for is read at once. What the batch decides is added: a job may leave memory and be asked
//! for again within one batch, when the disk still says something else of it.

use std::collections::HashMap;

use deskgrid_job::queue::{Effect, Queue};
use deskgrid_job::{Job, JobId};
use deskgrid_store::{Store, StoreError};

/// The records that a batch may need.
#[derive(Debug, Default)]
pub(super) struct Kept(HashMap<JobId, Job>);

impl Kept {
    /// Reads the records of `ids`. One that is damaged is told to the log and counts as unknown.
    ///
    /// # Errors
    /// When one could not be read, which says nothing about it: as an unknown job it would run again, and lose the result
    /// that it has.
    pub(super) async fn read(store: &Store, ids: &[JobId]) -> Result<Self, StoreError> {
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let jobs = match store.jobs(ids.to_vec()).await {
            // Nobody shall suffer for another's record.
            Err(_) => read_each(store, ids).await?,
            jobs => jobs?,
        };
        Ok(Self(jobs.into_iter().map(|job| (job.id.clone(), job)).collect()))
    }

    /// The record of a job, as far as it is not in memory.
    pub(super) fn job(&self, id: &JobId) -> Option<Job> {
        self.0.get(id).cloned()
    }

    /// Takes note of jobs that left memory by `effects`, which led to `queue`.
    pub(super) fn note(&mut self, effects: &[Effect], queue: &Queue) {
        for effect in effects {
            if let Effect::Save(job) | Effect::Hide(job, _) = effect
                && queue.job(&job.id).is_none()
            {
                self.0.insert(job.id.clone(), job.clone());
            }
        }
        // An erased job is hidden as well, so this comes last.
        for effect in effects {
            if let Effect::Erase(id) = effect {
                self.0.remove(id);
            }
        }
    }
}

async fn read_each(store: &Store, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
    let mut jobs = Vec::new();
    for id in ids {
        match store.job(id).await {
            Err(error) if error.is_of_one_record() => {
                tracing::error!(job = %id, %error, "the record of a job cannot be read");
            }
            job => jobs.extend(job?),
        }
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deskgrid_job::phase::{Ending, Withdrawal};
    use deskgrid_job::queue::{Capacity, Event, LISTED_AFTER_END, Release, Released, RunEnd, Submission};
    use deskgrid_job::{Caller, Hold, Namespace, Needs, Outlook, Phase, QueueName, Reason, Time};

    use super::*;

    fn id() -> JobId {
        JobId::new("a").unwrap()
    }

    /// A queue whose only job runs, and the records that a batch without reads knows.
    struct Case {
        queue: Queue,
        kept: Kept,
    }

    impl Case {
        fn running() -> Self {
            let capacity = Capacity { cpu_millis: 1000, memory: 0, gpus: Arc::new([]) };
            let mut case = Self { queue: Queue::new(capacity), kept: Kept::default() };
            case.apply(Event::Open(true), Time(0));
            let queue = QueueName::new("local").unwrap();
            let hold = Hold { queue, namespace: Namespace::shared(), caller: Caller::Program };
            let (needs, carried, objection) = (Needs::default(), None, None);
            let submission = Submission { id: id(), hold, needs, carried, objection, kept: None };
            case.apply(Event::Submit(submission), Time(0));
            assert_eq!(case.queue.job(&id()).map(|job| job.phase), Some(Phase::Running));
            case
        }

        fn apply(&mut self, event: Event, now: Time) {
            let effects = self.queue.apply(event, now);
            self.kept.note(&effects, &self.queue);
        }

        fn withdraw(&mut self, why: Withdrawal) {
            let outlook = Outlook::whole(QueueName::new("local").unwrap());
            let kept = self.kept.job(&id());
            self.apply(
                Event::Withdraw(Release { id: id(), outlook, slots: Released::All, why, kept }),
                Time(1),
            );
        }

        fn phase(&self) -> Option<Phase> {
            assert!(self.queue.job(&id()).is_none());
            self.kept.job(&id()).map(|job| job.phase)
        }
    }

    #[test]
    fn a_job_that_was_cancelled_in_the_same_batch_is_known_as_cancelled() {
        let mut case = Case::running();
        case.withdraw(Withdrawal::Cancel);
        assert_eq!(case.phase(), Some(Phase::Finished(Reason::Cancelled)));
    }

    #[test]
    fn a_job_that_was_deleted_in_the_same_batch_is_unknown() {
        let mut case = Case::running();
        let end = RunEnd::Over { ending: Ending::Exited, runs_again: false };
        case.apply(Event::Ended { id: id(), run: 1, end }, Time(1));
        case.withdraw(Withdrawal::Delete);
        assert_eq!(case.phase(), None);
    }

    #[test]
    fn a_job_that_left_the_lists_in_the_same_batch_keeps_its_result() {
        let mut case = Case::running();
        let end = RunEnd::Over { ending: Ending::Exited, runs_again: false };
        case.apply(Event::Ended { id: id(), run: 1, end }, Time(1));
        case.apply(Event::Tick, Time(1).plus(LISTED_AFTER_END));
        assert_eq!(case.phase(), Some(Phase::Finished(Reason::Success)));
    }

    #[tokio::test]
    async fn what_is_on_disk_is_read_for_all_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let job = Case::running().queue.job(&id()).unwrap().clone();
        store.commit(vec![deskgrid_store::Change::Save(job.clone())]).await.unwrap();
        let other = JobId::new("b").unwrap();
        let kept = Kept::read(&store, &[other.clone(), id()]).await.unwrap();
        assert_eq!((kept.job(&id()), kept.job(&other)), (Some(job), None));
    }
}
