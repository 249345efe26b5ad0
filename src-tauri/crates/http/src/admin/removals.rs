//! What the person has deleted, jobs or things in the cache: hidden at once, gone for good a little later, and back
//! until then. Whoever asked for it need not stay.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deskgrid_job::phase::Withdrawal;
use deskgrid_job::{Job, JobId, Time};
use deskgrid_worker::cache::Kind;
use tokio_util::sync::CancellationToken;

use super::jobs::release;
use crate::Site;
use crate::error::HttpError;

/// How long a deletion can be taken back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kind and id of something in the cache.
pub(super) type Key = (Kind, String);

/// The deletions that can still be taken back; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    by_name: HashMap<String, Removal>,
    last: u64,
}

#[derive(Debug)]
struct Removal {
    doomed: Doomed,
    undone: CancellationToken,
}

#[derive(Debug)]
enum Doomed {
    Items(Vec<Key>),
    /// A job as it was queued then: one that has run again meanwhile is another one.
    Job(JobId, Time),
}

impl Doomed {
    fn hides(&self) -> Vec<Key> {
        match self {
            Self::Items(items) => items.clone(),
            Self::Job(id, _) => vec![(Kind::Result, id.to_string()), (Kind::Log, id.to_string())],
        }
    }
}

impl Removals {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not shown any more.
    pub(super) fn hidden(&self) -> HashSet<Key> {
        self.lock().by_name.values().flat_map(|removal| removal.doomed.hides()).collect()
    }

    /// Brings a deletion back; false when it is too late.
    pub(super) fn undo(&self, name: &str) -> bool {
        let removal = self.lock().by_name.remove(name);
        removal.inspect(|removal| removal.undone.cancel()).is_some()
    }

    fn add(&self, doomed: Doomed) -> (String, CancellationToken) {
        let mut pending = self.lock();
        pending.last += 1;
        let (name, undone) = (pending.last.to_string(), CancellationToken::new());
        pending.by_name.insert(name.clone(), Removal { doomed, undone: undone.clone() });
        (name, undone)
    }

    fn take(&self, name: &str) -> Option<Doomed> {
        self.lock().by_name.remove(name).map(|removal| removal.doomed)
    }
}

/// Hides `items` and removes them when the time to take that back is over. When the door closes
/// before through which this was asked for, they stay and are shown again.
/// Returns the name by which this is taken back, and until when.
pub(super) fn begin(site: &Site, items: Vec<Key>) -> (String, Time) {
    begin_with(site, Doomed::Items(items))
}

/// The same for a job with all that it left.
pub(super) fn begin_with_job(site: &Site, job: &Job) -> (String, Time) {
    begin_with(site, Doomed::Job(job.id.clone(), job.queued_at))
}

fn begin_with(site: &Site, doomed: Doomed) -> (String, Time) {
    let (name, undone) = site.removals().add(doomed);
    let until = Time::now().plus(PATIENCE);
    let (doomed, task) = (name.clone(), site.clone());
    site.open().spawn(async move {
        tokio::select! {
            () = task.ending().cancelled() => drop(task.removals().take(&doomed)),
            () = undone.cancelled() => {}
            () = tokio::time::sleep(PATIENCE) => carry_out(&task, &doomed).await,
        }
    });
    site.news().cache_changed();
    (name, until)
}

async fn carry_out(site: &Site, name: &str) {
    // From here on nobody can take it back; what is being removed is shown again only if it stays.
    let Some(doomed) = site.removals().take(name) else { return };
    if let Err(error) = remove(site, doomed).await {
        tracing::warn!(%error, "could not remove what was deleted");
    }
    site.news().cache_changed();
}

async fn remove(site: &Site, doomed: Doomed) -> Result<(), HttpError> {
    match doomed {
        Doomed::Items(items) => site.worker().remove_from_cache(&items).await.map(drop)?,
        Doomed::Job(id, queued_at) => match site.worker().job(&id).await? {
            Some(job) if job.queued_at == queued_at => release(site, &job, Withdrawal::Delete).await?,
            _ => {}
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_hidden_until_that_is_taken_back_once() {
        let removals = Removals::default();
        let key = (Kind::Result, "a".to_owned());
        let (name, undone) = removals.add(Doomed::Items(vec![key.clone()]));
        assert_eq!(removals.hidden(), [key].into());
        assert!(removals.undo(&name) && undone.is_cancelled());
        assert!(removals.hidden().is_empty() && !removals.undo(&name) && removals.take(&name).is_none());
    }

    #[test]
    fn a_deleted_job_hides_what_it_left_in_the_cache() {
        let removals = Removals::default();
        let (name, _) = removals.add(Doomed::Job(JobId::new("a").unwrap(), Time(1)));
        let left = [(Kind::Result, "a".to_owned()), (Kind::Log, "a".to_owned())];
        assert_eq!(removals.hidden(), left.into());
        assert!(removals.undo(&name));
    }
}
