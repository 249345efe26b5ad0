//! What the person has deleted from the cache: hidden at once, gone for good a little later, and back until then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deskgrid_job::Time;
use deskgrid_worker::cache::Kind;
use tokio_util::sync::CancellationToken;

use crate::Site;

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
    items: Vec<Key>,
    undone: CancellationToken,
}

impl Removals {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not shown any more.
    pub(super) fn hidden(&self) -> HashSet<Key> {
        self.lock().by_name.values().flat_map(|removal| removal.items.iter().cloned()).collect()
    }

    /// Brings a deletion back; false when it is too late.
    pub(super) fn undo(&self, name: &str) -> bool {
        let removal = self.lock().by_name.remove(name);
        removal.inspect(|removal| removal.undone.cancel()).is_some()
    }

    fn add(&self, items: Vec<Key>) -> (String, CancellationToken) {
        let mut pending = self.lock();
        pending.last += 1;
        let (name, undone) = (pending.last.to_string(), CancellationToken::new());
        pending.by_name.insert(name.clone(), Removal { items, undone: undone.clone() });
        (name, undone)
    }

    fn take(&self, name: &str) -> Option<Vec<Key>> {
        self.lock().by_name.remove(name).map(|removal| removal.items)
    }
}

/// Hides `items` and removes them when the time to take that back is over. When the door closes
/// before through which this was asked for, they stay and are shown again.
/// Returns the name by which this is taken back, and until when.
pub(super) fn begin(site: &Site, items: Vec<Key>) -> (String, Time) {
    let (name, undone) = site.removals().add(items);
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
    let Some(items) = site.removals().take(name) else { return };
    if let Err(error) = site.worker().remove_from_cache(&items).await {
        tracing::warn!(%error, "could not remove from the cache what was deleted");
    }
    site.news().cache_changed();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_hidden_until_that_is_taken_back_once() {
        let removals = Removals::default();
        let key = (Kind::Result, "a".to_owned());
        let (name, undone) = removals.add(vec![key.clone()]);
        assert_eq!(removals.hidden(), [key].into());
        assert!(removals.undo(&name) && undone.is_cancelled());
        assert!(removals.hidden().is_empty() && !removals.undo(&name) && removals.take(&name).is_none());
    }
}
