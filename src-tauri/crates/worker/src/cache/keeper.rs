//! Keeps the cache within its limit: looks after jobs have ended, after the limit changed and when the
//! disk is nearly full, and never else.

use std::time::Duration;

use deskgrid_job::Time;
use deskgrid_store::GRACE;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Item, plan, plan::plan_for_room, removal, uses, usual_limit};
use crate::{Worker, WorkerError};

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
    loop {
        let low = &worker.0.kit.cache.low;
        let is_owed = worker.0.kit.cache.has_left();
        let uses = &worker.0.kit.cache.uses;
        let is_unsettled = uses.is_waiting();
        tokio::select! {
            biased;
            Ok(()) = limit.changed() => {}
            Ok(()) = changes.changed() => tokio::time::sleep_until(next).await,
            () = low.notified() => tokio::time::sleep_until(next).await,
            () = tokio::time::sleep(GRACE), if is_owed => {}
            () = uses.noted(), if !is_unsettled => continue,
            () = tokio::time::sleep(SETTLING), if is_unsettled => {
                settled(&worker).await;
                continue;
            }
        }
        if let Err(error) = look(&worker).await {
            tracing::warn!(%error, "could not see whether the cache is within its limit");
        }
        next = Instant::now() + PAUSE;
        // What this look itself changed is no reason for another.
        changes.mark_unchanged();
    }
}

async fn settled(worker: &Worker) {
    if let Err(error) = uses::settle(worker).await {
        tracing::warn!(%error, "could not note what was read lately");
    }
}

async fn look(worker: &Worker) -> Result<(), WorkerError> {
    removal::remove_left(worker).await?;
    let _turn = worker.0.kit.cache.turn.acquire().await;
    let room = worker.store().room().await?;
    let limit = worker.cache_limit().unwrap_or_else(|| usual_limit(room.total));
    let survey = worker.survey_cache(false).await?;
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
        let survey = worker.survey_cache(false).await?;
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
    Ok(worker.remove_from_cache(&going).await?.disk)
}

#[cfg(test)]
mod tests {
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
    fn job(name: &str, ended_at: u64, hash: BlobHash) -> Vec<Change> {
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

    fn setup(store: Store, engine: &EngineWatch) -> Setup {
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
        }
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
