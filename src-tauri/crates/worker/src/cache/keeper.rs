//! Keeps the cache within its limit: looks after jobs have ended, after the limit changed and when the
//! disk is nearly full, and never else.

use std::time::Duration;

use deskgrid_job::Time;
use deskgrid_store::GRACE;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Item, plan, plan::plan_for_room, removal, uses, usual_limit};
use crate::{Worker, WorkerError};

/// A smaller limit holds so long after it was chosen: what goes because of it does not come back when the choice is
/// taken back, which the window offers for a little less.
const SECOND_THOUGHTS: Duration = Duration::from_secs(12);
/// Between looks, however many jobs end.
const PAUSE: Duration = Duration::from_secs(30);
/// What was read is on the disk so long after.
const SETTLING: Duration = Duration::from_secs(300);

/// Works until it is dropped. It follows the limit from the call on, not only from when it is first polled.
pub(crate) fn keep(worker: Worker) -> impl Future<Output = ()> {
    let (changes, limit) = (worker.cache_changes(), worker.0.kit.cache.limit.subscribe());
    follow(worker, changes, limit)
}

async fn follow(worker: Worker, mut changes: watch::Receiver<u64>, mut limit: watch::Receiver<Option<u64>>) {
    let mut next = Instant::now();
    // Whether there is something to look for, once it is time.
    let mut is_wanted = false;
    let mut in_force = InForce::of(*limit.borrow());
    loop {
        let low = &worker.0.kit.cache.low;
        let is_owed = worker.0.kit.cache.has_left();
        let uses = &worker.0.kit.cache.uses;
        let is_unsettled = uses.is_waiting();
        tokio::select! {
            biased;
            Ok(()) = limit.changed() => {
                in_force.choose(*limit.borrow_and_update(), Instant::now());
                if in_force.due.is_some() {
                    continue;
                }
            }
            () = in_force.becomes_due() => in_force = InForce::of(*limit.borrow()),
            () = tokio::time::sleep_until(next), if is_wanted => {}
            Ok(()) = changes.changed(), if !is_wanted => {
                is_wanted = true;
                continue;
            }
            () = low.notified(), if !is_wanted => {
                is_wanted = true;
                continue;
            }
            () = tokio::time::sleep(GRACE), if is_owed => {}
            () = uses.noted(), if !is_unsettled => continue,
            () = tokio::time::sleep(SETTLING), if is_unsettled => {
                settled(&worker).await;
                continue;
            }
        }
        if let Err(error) = look(&worker, &in_force).await {
            tracing::warn!(%error, "could not see whether the cache is within its limit");
        }
        next = Instant::now() + PAUSE;
        is_wanted = false;
        // What this look itself changed is no reason for another.
        changes.mark_unchanged();
    }
}

async fn settled(worker: &Worker) {
    if let Err(error) = uses::settle(worker).await {
        tracing::warn!(%error, "could not note what was read lately");
    }
}

/// The limit that the cache is kept within.
struct InForce {
    limit: Option<u64>,
    /// When the smaller one that was chosen since takes its place.
    due: Option<Instant>,
}

impl InForce {
    fn of(limit: Option<u64>) -> Self {
        Self { limit, due: None }
    }

    /// A larger limit holds at once. Whether the usual one, for which none stands, is larger depends on the disk.
    fn choose(&mut self, chosen: Option<u64>, now: Instant) {
        let may_be_smaller = match (chosen, self.limit) {
            (Some(chosen), Some(limit)) => chosen < limit,
            (chosen, limit) => chosen != limit,
        };
        if may_be_smaller {
            self.due = Some(now + SECOND_THOUGHTS);
        } else {
            *self = Self::of(chosen);
        }
    }

    /// What a look at a disk of `total` bytes keeps to: never less than what is chosen at that moment.
    fn within(&self, chosen: Option<u64>, total: u64) -> u64 {
        let bytes = |limit: Option<u64>| limit.unwrap_or_else(|| usual_limit(total));
        bytes(self.limit).max(bytes(chosen))
    }

    /// Waits until another one takes its place; for ever when none is to.
    async fn becomes_due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

async fn look(worker: &Worker, in_force: &InForce) -> Result<(), WorkerError> {
    removal::remove_left(worker).await?;
    let _turn = worker.0.kit.cache.turn.acquire().await;
    let room = worker.store().room().await?;
    let limit = in_force.within(worker.cache_limit(), room.total);
    let survey = worker.survey_cache().await?;
    let mut going = plan(&survey.items, limit, Time::now());
    if going.is_empty() {
        going = plan_for_room(&survey.items, room.reserve.saturating_sub(room.free), Time::now());
    }
    let bytes = remove(worker, going).await?;
    if bytes > 0 {
        tracing::info!(
            bytes,
            limit,
            "the cache was over its limit, or the disk nearly full; what was used least went"
        );
    }
    Ok(())
}

/// Removes what was used least, as far as `bytes` more fit onto the disk then with its reserve left. Where they would
/// not, nothing goes.
pub(super) async fn make_room(worker: &Worker, bytes: u64) {
    let made = async {
        let _turn = worker.0.kit.cache.turn.acquire().await;
        // Who had the turn before may have made enough.
        let room = worker.store().room().await?;
        let lacking = room.reserve.saturating_add(bytes).saturating_sub(room.free);
        let survey = worker.survey_cache().await?;
        remove(worker, plan_for_room(&survey.items, lacking, Time::now())).await
    };
    match made.await {
        Ok(0) => {}
        Ok(bytes) => tracing::info!(bytes, "the disk was nearly full; what was used least went"),
        Err(error) => tracing::warn!(%error, "could not make room on the disk"),
    }
}

async fn remove(worker: &Worker, going: Vec<Item>) -> Result<u64, WorkerError> {
    if going.is_empty() {
        return Ok(0);
    }
    let going: Vec<_> = going.into_iter().map(|item| (item.kind, item.id)).collect();
    removal::make_room(worker, &going).await
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use deskgrid_docker::EngineWatch;
    use deskgrid_job::{
        BlobHash, Caller, FilePath, Hold, Job, JobId, Namespace, Needs, OutputFile, Phase, QueueName, Reason,
        RunResult, WorkerId,
    };
    use deskgrid_store::{Change, Store};

    use super::*;
    use crate::{Limits, Running, Setup};

    /// Stores bytes that nobody has asked for in a long time.
    async fn old_blob(store: &Store, bytes: &'static [u8]) -> BlobHash {
        let mut incoming = store.blobs().receive(None);
        incoming.push(bytes::Bytes::from_static(bytes)).await.unwrap();
        let hash = incoming.finish().await.unwrap().hash;
        std::fs::File::open(store.blobs().path(hash)).unwrap().set_modified(UNIX_EPOCH).unwrap();
        hash
    }

    /// A job that ended in 1970 with this one output.
    pub(in crate::cache) fn job(name: &str, ended_at: u64, hash: BlobHash) -> Vec<Change> {
        let id = JobId::new(name).unwrap();
        let hold = Hold {
            queue: QueueName::new("local").unwrap(),
            namespace: Namespace::shared(),
            caller: Caller::Program,
        };
        let output = OutputFile { hash, size: 3 };
        let result =
            RunResult { outputs: [(FilePath::new("out").unwrap(), output)].into(), ..Default::default() };
        let job = Job {
            id: id.clone(),
            phase: Phase::Finished(Reason::Success),
            queued_at: Time(1),
            changed_at: Time(ended_at),
            turn: ended_at,
            run: 1,
            losses: 0,
            holds: vec![hold],
            needs: Needs::default(),
            carried: None,
            runs_again: false,
        };
        vec![Change::Save(job), Change::Finish { id, result: Arc::new(result) }]
    }

    pub(in crate::cache) fn setup(store: Store, engine: &EngineWatch) -> Setup {
        let max_duration = Duration::from_secs(60);
        let contexts = crate::ContextLimits::default();
        let limits =
            Limits { cpu_millis: Some(1000), memory: None, gpus: Vec::new(), max_duration, contexts };
        Setup {
            store,
            engine: engine.state(),
            id: WorkerId::new("w").unwrap(),
            read_definition: |_| Err("none".to_owned()),
            base_url: watch::channel("http://localhost:8000".to_owned()).1,
            on: watch::channel(true).1,
            limits: watch::channel(limits).1,
            site_rules: watch::channel(crate::SiteRulesByCaller::default()).1,
            cache_limit: Some(1 << 40),
        }
    }

    #[test]
    fn a_smaller_limit_holds_when_it_was_not_taken_back_and_a_larger_one_at_once() {
        let now = Instant::now();
        let mut in_force = InForce::of(Some(10));
        in_force.choose(Some(5), now);
        assert_eq!((in_force.limit, in_force.due), (Some(10), Some(now + SECOND_THOUGHTS)));
        // Moving on begins anew, and taking it back ends it.
        in_force.choose(Some(3), now + PAUSE);
        assert_eq!((in_force.limit, in_force.due), (Some(10), Some(now + PAUSE + SECOND_THOUGHTS)));
        in_force.choose(Some(10), now + PAUSE);
        assert_eq!((in_force.limit, in_force.due), (Some(10), None));
        in_force.choose(Some(20), now);
        assert_eq!((in_force.limit, in_force.due), (Some(20), None));
    }

    #[test]
    fn no_look_keeps_to_less_than_what_is_chosen_also_where_the_usual_limit_was_in_force() {
        let total = 1000;
        let mut in_force = InForce::of(None);
        in_force.choose(Some(500), Instant::now());
        assert_eq!(in_force.within(Some(500), total), 500);
        in_force.choose(Some(50), Instant::now());
        assert_eq!(in_force.within(Some(50), total), usual_limit(total), "for now");
        let mut in_force = InForce::of(Some(50));
        in_force.choose(None, Instant::now());
        assert_eq!(in_force.within(None, total), usual_limit(total));
    }

    #[tokio::test]
    async fn the_chosen_limit_is_known_before_the_first_look() {
        let dir = tempfile::tempdir().unwrap();
        let engine = EngineWatch::start(Some("unix:///nonexistent/engine.sock".to_owned()));
        let setup = setup(Store::open(dir.path()).unwrap(), &engine);
        let running = Running::start(setup).await.unwrap();
        assert_eq!(running.worker().cache_limit(), Some(1 << 40));
    }

    #[tokio::test]
    async fn with_a_smaller_limit_the_oldest_result_goes_with_its_file_and_what_others_share_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (own, shared, spare) =
            (old_blob(&store, b"own").await, old_blob(&store, b"all").await, old_blob(&store, b"bye").await);
        let mut changes = job("old", 1, own);
        changes.extend(job("older", 0, shared));
        changes.extend(job("new", 2, shared));
        store.commit(changes).await.unwrap();
        let engine = EngineWatch::start(Some("unix:///nonexistent/engine.sock".to_owned()));
        let running = Running::start(setup(store.clone(), &engine)).await.unwrap();
        let worker = running.worker();
        let mut changes = worker.cache_changes();
        worker.set_cache_limit(Some(3));
        // Nobody has second thoughts.
        tokio::time::pause();
        // The new limit itself, and then what went because of it.
        for _ in 0..2 {
            changes.changed().await.unwrap();
        }
        let (old, new) = (JobId::new("old").unwrap(), JobId::new("new").unwrap());
        assert!(store.job(&old).await.unwrap().is_none());
        assert!(store.job(&new).await.unwrap().is_some());
        let size = async |hash| store.blobs().size(hash).await.unwrap();
        assert_eq!((size(own).await, size(shared).await, size(spare).await), (None, Some(3), None));
    }
}
