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
    until: Time,
    undone: CancellationToken,
    /// Too late to take it back.
    is_due: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
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

    fn job(&self) -> Option<(JobId, Time)> {
        match self {
            Self::Items(_) => None,
            Self::Job(id, queued_at) => Some((id.clone(), *queued_at)),
        }
    }
}

impl Removals {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs that are not shown any more, each as it was queued then.
    pub(super) fn hidden_jobs(&self) -> HashMap<JobId, Time> {
        let pending = self.lock();
        pending.by_name.values().filter_map(|removal| removal.doomed.job()).collect()
    }

    /// What is not shown any more in the cache.
    pub(super) fn hidden(&self) -> HashSet<Key> {
        self.lock().by_name.values().flat_map(|removal| removal.doomed.hides()).collect()
    }

    fn undo(&self, name: &str) -> Option<Doomed> {
        let mut pending = self.lock();
        if pending.by_name.get(name)?.is_due {
            return None;
        }
        let removal = pending.by_name.remove(name)?;
        removal.undone.cancel();
        Some(removal.doomed)
    }

    fn add(&self, doomed: Doomed, until: Time) -> (String, CancellationToken) {
        let mut pending = self.lock();
        pending.last += 1;
        let (name, undone) = (pending.last.to_string(), CancellationToken::new());
        let removal = Removal { doomed, until, undone: undone.clone(), is_due: false };
        pending.by_name.insert(name.clone(), removal);
        (name, undone)
    }

    /// The deletion of the same that can still be taken back.
    fn find(&self, doomed: &Doomed) -> Option<(String, Time)> {
        let pending = self.lock();
        let found = pending.by_name.iter().find(|(_, removal)| !removal.is_due && removal.doomed == *doomed);
        found.map(|(name, removal)| (name.clone(), removal.until))
    }

    /// From here on nobody can take it back; it stays hidden until it is dropped.
    fn begin_work(&self, name: &str) -> Option<Doomed> {
        let mut pending = self.lock();
        let removal = pending.by_name.get_mut(name)?;
        removal.is_due = true;
        Some(removal.doomed.clone())
    }

    fn drop(&self, name: &str) -> Option<Doomed> {
        self.lock().by_name.remove(name).map(|removal| removal.doomed)
    }
}

/// Hides `items` and removes them when the time to take that back is over. When the door closes
/// before through which this was asked for, they stay and are shown again.
/// Returns the name by which this is taken back, and until when.
pub(super) fn begin(site: &Site, items: Vec<Key>) -> (String, Time) {
    begin_with(site, &Doomed::Items(items))
}

/// The same for a job with all that it left. Who asks twice is told of the first time.
pub(super) fn begin_with_job(site: &Site, job: &Job) -> (String, Time) {
    let doomed = Doomed::Job(job.id.clone(), job.queued_at);
    site.removals().find(&doomed).unwrap_or_else(|| begin_with(site, &doomed))
}

/// Brings a deletion back; false when it is too late.
pub(super) fn undo(site: &Site, name: &str) -> bool {
    let back = site.removals().undo(name);
    back.inspect(|doomed| tell(site, doomed)).is_some()
}

fn begin_with(site: &Site, doomed: &Doomed) -> (String, Time) {
    let until = Time::now().plus(PATIENCE);
    let (name, undone) = site.removals().add(doomed.clone(), until);
    tell(site, doomed);
    let (ours, task) = (name.clone(), site.clone());
    site.open().spawn(async move {
        tokio::select! {
            () = task.ending().cancelled() => show_again(&task, &ours),
            () = undone.cancelled() => {}
            () = tokio::time::sleep(PATIENCE) => carry_out(&task, &ours).await,
        }
    });
    (name, until)
}

async fn carry_out(site: &Site, name: &str) {
    let Some(doomed) = site.removals().begin_work(name) else { return };
    if let Err(error) = remove(site, doomed).await {
        tracing::warn!(%error, "could not remove what was deleted");
    }
    // Only what could not be removed is there to be shown.
    show_again(site, name);
}

fn show_again(site: &Site, name: &str) {
    if let Some(doomed) = site.removals().drop(name) {
        tell(site, &doomed);
    }
}

/// Tells readers that this is hidden now, or not any more.
fn tell(site: &Site, doomed: &Doomed) {
    if let Some((id, _)) = doomed.job() {
        site.worker().note_change(&id);
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
        let (name, undone) = removals.add(Doomed::Items(vec![key.clone()]), Time(9));
        assert_eq!(removals.hidden(), [key].into());
        assert!(removals.undo(&name).is_some() && undone.is_cancelled());
        assert!(removals.hidden().is_empty() && removals.undo(&name).is_none());
        assert!(removals.begin_work(&name).is_none());
    }

    #[test]
    fn what_is_being_deleted_stays_hidden_and_does_not_come_back() {
        let removals = Removals::default();
        let (id, doomed) = (JobId::new("a").unwrap(), Doomed::Job(JobId::new("a").unwrap(), Time(1)));
        let (name, _) = removals.add(doomed.clone(), Time(9));
        assert_eq!(removals.begin_work(&name), Some(doomed));
        assert!(removals.undo(&name).is_none());
        assert_eq!(removals.hidden_jobs(), [(id, Time(1))].into());
        removals.drop(&name);
        assert!(removals.hidden_jobs().is_empty());
    }

    #[test]
    fn a_job_that_is_deleted_twice_is_deleted_once_and_one_that_ran_again_anew() {
        let removals = Removals::default();
        let doomed = |queued_at| Doomed::Job(JobId::new("a").unwrap(), Time(queued_at));
        let (name, _) = removals.add(doomed(1), Time(9));
        assert_eq!(removals.find(&doomed(1)), Some((name.clone(), Time(9))));
        assert_eq!(removals.find(&doomed(2)), None);
        removals.begin_work(&name);
        assert_eq!(removals.find(&doomed(1)), None, "that one is too late");
    }

    #[test]
    fn a_deleted_job_hides_what_it_left_in_the_cache() {
        let removals = Removals::default();
        let (name, _) = removals.add(Doomed::Job(JobId::new("a").unwrap(), Time(1)), Time(9));
        let left = [(Kind::Result, "a".to_owned()), (Kind::Log, "a".to_owned())];
        assert_eq!(removals.hidden(), left.into());
        assert!(removals.undo(&name).is_some());
    }
}
