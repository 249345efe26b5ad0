//! Watches the room on the disk while containers run, and stops the one that is filling it before the reserve is
//! eaten. It looks at nothing while nothing runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deskgrid_docker::ContainerId;
use deskgrid_job::{Failure, FailureCode, JobId};
use deskgrid_store::Room;
use tokio::sync::{oneshot, watch};

use crate::run::Kit;

/// Between looks while there is plenty: even a fast disk takes seconds to fill the usual reserve.
const CALM: Duration = Duration::from_secs(1);
/// Between looks once less than twice the reserve is free.
const TENSE: Duration = Duration::from_millis(250);
/// A run that wrote less since the room became little does not fill a disk.
const LITTLE: u64 = 1 << 20;

/// A run of a job.
pub(crate) type RunKey = (JobId, u32);

/// The runs whose containers may be writing; a cheap handle.
#[derive(Clone)]
pub(crate) struct Writers(Arc<Shared>);

struct Shared {
    runs: Mutex<HashMap<RunKey, Writer>>,
    count: watch::Sender<usize>,
}

struct Writer {
    container: ContainerId,
    stop: oneshot::Sender<Failure>,
}

/// A run that is being watched, until this is dropped.
pub(crate) struct Watched {
    writers: Writers,
    key: RunKey,
    stopped: oneshot::Receiver<Failure>,
}

impl Default for Writers {
    fn default() -> Self {
        Self(Arc::new(Shared { runs: Mutex::default(), count: watch::Sender::new(0) }))
    }
}

impl Writers {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, Writer>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the container of a run from now on.
    pub(crate) fn watch(&self, key: RunKey, container: ContainerId) -> Watched {
        let (stop, stopped) = oneshot::channel();
        let mut runs = self.lock();
        runs.insert(key.clone(), Writer { container, stop });
        self.0.count.send_replace(runs.len());
        drop(runs);
        Watched { writers: self.clone(), key, stopped }
    }

    fn containers(&self) -> Vec<(RunKey, ContainerId)> {
        self.lock().iter().map(|(key, writer)| (key.clone(), writer.container.clone())).collect()
    }

    fn stop(&self, key: &RunKey, why: Failure) {
        if let Some(writer) = self.lock().remove(key) {
            // It may have come to its end by itself meanwhile.
            let _ = writer.stop.send(why);
        }
    }
}

impl Watched {
    /// Waits until it is to be stopped, and says why.
    pub(crate) async fn stopped(&mut self) -> Failure {
        match (&mut self.stopped).await {
            Ok(why) => why,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut runs = self.writers.lock();
        runs.remove(&self.key);
        self.writers.0.count.send_replace(runs.len());
    }
}

/// Watches until it is dropped.
pub(crate) async fn watch(kit: Arc<Kit>) {
    let mut count = kit.writers.0.count.subscribe();
    let mut before = HashMap::new();
    while count.wait_for(|count| *count > 0).await.is_ok() {
        let pause = match kit.store.room().await {
            Ok(room) if room.free < room.reserve.saturating_mul(2) => {
                let now = sizes(&kit).await;
                if room.is_low()
                    && let Some((key, bytes)) = culprit(&before, &now)
                {
                    tracing::warn!(job = %key.0, bytes, free = room.free, "stopping a job that fills the disk");
                    kit.writers.stop(&key, stopped(bytes, room));
                }
                keep_first(&mut before, &now);
                TENSE
            }
            Ok(_) => {
                before.clear();
                CALM
            }
            // A disk that cannot be asked shows its trouble elsewhere.
            Err(_) => CALM,
        };
        tokio::time::sleep(pause).await;
    }
}

/// What each run has written so far, in bytes: to our folder, and to the engine's where that is on the same disk.
async fn sizes(kit: &Kit) -> HashMap<RunKey, u64> {
    let engine = kit.engine.borrow().ready().cloned();
    let engine = engine.filter(|engine| kit.store.is_on_same_disk(&engine.info().root));
    let mut sizes = HashMap::new();
    for (key, container) in kit.writers.containers() {
        let ours = kit.store.written_by(&key.0, key.1).await.unwrap_or_default();
        let theirs = match &engine {
            Some(engine) => engine.written(&container).await.unwrap_or_default(),
            None => 0,
        };
        sizes.insert(key, ours + theirs);
    }
    sizes
}

/// Growth counts from the first look since the room became little: who writes slowly fills a disk as well.
fn keep_first(before: &mut HashMap<RunKey, u64>, now: &HashMap<RunKey, u64>) {
    before.retain(|key, _| now.contains_key(key));
    for (key, bytes) in now {
        before.entry(key.clone()).or_insert(*bytes);
    }
}

/// The run that grew most since then, with all that it has written; one that was not looked at before
/// grew by all of it.
fn culprit(before: &HashMap<RunKey, u64>, now: &HashMap<RunKey, u64>) -> Option<(RunKey, u64)> {
    let growth =
        |key: &RunKey, bytes: u64| bytes.saturating_sub(before.get(key).copied().unwrap_or_default());
    let most = now.iter().max_by_key(|(key, bytes)| growth(key, **bytes))?;
    (growth(most.0, *most.1) >= LITTLE).then(|| (most.0.clone(), *most.1))
}

fn stopped(bytes: u64, room: Room) -> Failure {
    let words = format!(
        "Deskgrid stopped the job because it was filling the disk: it had written {} MB, and {} MB were left free, \
         less than the {} MB that are held in reserve (setting disk_reserve). Make room, or let the job write less, \
         then run it again.",
        bytes / 1_000_000,
        room.free / 1_000_000,
        room.reserve / 1_000_000
    );
    Failure::new(FailureCode::DiskFull, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(sizes: &[(&str, u64)]) -> HashMap<RunKey, u64> {
        sizes.iter().map(|(name, bytes)| ((JobId::new(name).unwrap(), 1), *bytes)).collect()
    }

    fn found(before: &[(&str, u64)], now: &[(&str, u64)]) -> Option<String> {
        culprit(&runs(before), &runs(now)).map(|((id, _), _)| id.to_string())
    }

    #[test]
    fn one_who_writes_little_at_each_look_is_found_by_what_came_together() {
        let mut before = HashMap::new();
        keep_first(&mut before, &runs(&[("slow", 1000), ("gone", 5)]));
        keep_first(&mut before, &runs(&[("slow", 1000 + LITTLE / 2)]));
        assert_eq!(culprit(&before, &runs(&[("slow", 1000 + LITTLE / 2)])), None);
        let found = culprit(&before, &runs(&[("slow", 1000 + LITTLE)]));
        assert_eq!(found.map(|(key, _)| key.0.to_string()), Some("slow".to_owned()));
        assert!(!before.contains_key(&(JobId::new("gone").unwrap(), 1)));
    }

    #[test]
    fn the_run_that_grew_most_is_to_blame_and_not_the_largest() {
        let before = [("large", 900 * LITTLE), ("fast", LITTLE)];
        let now = [("large", 901 * LITTLE), ("fast", 9 * LITTLE)];
        assert_eq!(found(&before, &now).as_deref(), Some("fast"));
    }

    #[test]
    fn nobody_is_to_blame_when_another_program_fills_the_disk() {
        let sizes = [("a", 900 * LITTLE), ("b", 5)];
        assert_eq!(found(&sizes, &sizes), None);
        assert_eq!(found(&[], &[]), None);
    }

    #[test]
    fn a_run_that_was_never_looked_at_counts_with_all_of_it() {
        assert_eq!(found(&[], &[("a", 2 * LITTLE), ("b", LITTLE)]).as_deref(), Some("a"));
    }

    #[tokio::test]
    async fn a_run_is_watched_until_it_is_dropped_and_told_why_it_stops() {
        let writers = Writers::default();
        let key = (JobId::new("a").unwrap(), 1);
        let mut watched = writers.watch(key.clone(), ContainerId::new("c").unwrap());
        assert_eq!(*writers.0.count.borrow(), 1);
        writers.stop(&key, Failure::new(FailureCode::DiskFull, "full"));
        assert_eq!(watched.stopped().await.message, "full");
        drop(watched);
        assert_eq!(*writers.0.count.borrow(), 0);
    }
}
