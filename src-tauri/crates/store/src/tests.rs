use std::time::Duration;

use deskgrid_job::{Carried, Failure, FailureCode, Hold, Namespace, Needs, Phase, QueueName, Reason};

use super::*;

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

pub(crate) fn job(name: &str, phase: Phase, turn: u64) -> Job {
    let hold = |queue: &str, namespace: &str| Hold {
        queue: QueueName::new(queue).unwrap(),
        namespace: Namespace::new(namespace).unwrap(),
        caller: deskgrid_job::Caller::parse("https://a.example"),
    };
    Job {
        id: id(name),
        phase,
        queued_at: Time(1_000 + turn),
        changed_at: Time(2_000 + turn),
        turn,
        run: 3,
        losses: 2,
        holds: vec![hold("local", "_"), hold("local", "ä slot"), hold("my queue", "_")],
        needs: Needs { cpu_millis: 2_500, memory: 1 << 40, gpus: 1 },
        carried: Some(Arc::new(Carried {
            requirements: Some("{\"cpus\":2.5}".into()),
            tags: None,
            debug: Some("true".into()),
        })),
        runs_again: true,
    }
}

fn names(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

#[tokio::test]
async fn unfinished_jobs_come_back_with_all_fields_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let saved = [job("later", Phase::Queued, 9), job("now", Phase::Running, 4)];
    let store = Store::open(dir.path()).unwrap();
    store.commit(saved.iter().cloned().map(Change::Save).collect()).await.unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let [later, now] = saved;
    assert_eq!(store.jobs_in_memory(Time(0)).await.unwrap(), [now, later]);
    assert_eq!(store.next_turn().await.unwrap(), 10);
}

#[tokio::test]
async fn of_finished_jobs_those_kept_and_recent_are_in_memory_and_all_are_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let over = |name, reason, turn| job(name, Phase::Finished(reason), turn);
    let jobs = [
        over("old", Reason::Success, 1),
        over("cancelled", Reason::Cancelled, 60),
        over("failed", Reason::Error, 61),
        over("late", Reason::TimedOut, 62),
        over("done", Reason::Success, 63),
    ];
    store.commit(jobs.iter().cloned().map(Change::Save).collect()).await.unwrap();
    let in_memory = store.jobs_in_memory(Time(2_050)).await.unwrap();
    assert_eq!(names(&in_memory), ["failed", "late", "done"]);
    let asked = ["late", "unknown", "old"].map(id).to_vec();
    assert_eq!(names(&store.jobs(asked).await.unwrap()), ["late", "old"]);
    for job in jobs {
        assert_eq!(store.job(&job.id).await.unwrap(), Some(job));
    }
    assert_eq!(store.job(&id("unknown")).await.unwrap(), None);
}

#[tokio::test]
async fn a_saved_job_replaces_its_earlier_record_and_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut job = job("a", Phase::Queued, 1);
    store.commit(vec![Change::Save(job.clone())]).await.unwrap();
    job.phase = Phase::Running;
    job.holds.truncate(1);
    job.carried = None;
    store.commit(vec![Change::Save(job.clone())]).await.unwrap();
    assert_eq!(store.job(&job.id).await.unwrap(), Some(job.clone()));
    job.holds.clear();
    store.commit(vec![Change::Save(job.clone())]).await.unwrap();
    assert_eq!(store.jobs_in_memory(Time(0)).await.unwrap(), [job]);
}

#[tokio::test]
async fn ids_that_differ_only_in_case_are_two_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let jobs = [job("Job", Phase::Queued, 1), job("job", Phase::Running, 2)];
    store.commit(jobs.iter().cloned().map(Change::Save).collect()).await.unwrap();
    assert_eq!(store.jobs_in_memory(Time(0)).await.unwrap(), jobs);
    let folders = ["Job", "job"].map(|name| store.scratch(&id(name), 1).unwrap().inputs());
    assert_ne!(folders[0].to_string_lossy().to_lowercase(), folders[1].to_string_lossy().to_lowercase());
}

fn everything_of(a: &JobId, path: &FilePath) -> Vec<Change> {
    let failure = Failure::new(FailureCode::CannotStart, "no such command");
    let result = RunResult { duration: Some(Duration::from_millis(7)), ..RunResult::failed(failure) };
    vec![
        Change::Save(job("a", Phase::Finished(Reason::Error), 1)),
        Change::Define { id: a.clone(), text: "{\"image\":\"x\"}".into() },
        Change::Finish { id: a.clone(), result: Arc::new(result) },
        Change::Inputs { id: a.clone(), files: [(path.clone(), BlobHash([5; 32]))].into() },
    ]
}

#[tokio::test]
async fn an_erased_job_leaves_no_trace_but_its_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (a, path) = (id("a"), FilePath::new("in/x y").unwrap());
    store.commit(everything_of(&a, &path)).await.unwrap();
    drop(store.logs().writer(&a, LogKind::Run, Opening::Truncate).unwrap());
    assert!(store.definition(&a).await.unwrap().unwrap().contains("image"));
    assert_eq!(store.result(&a).await.unwrap().unwrap().duration, Some(Duration::from_millis(7)));
    assert_eq!(store.input(&a, &path).await.unwrap(), Some(BlobHash([5; 32])));
    store.commit(vec![Change::Erase(a.clone())]).await.unwrap();
    assert_eq!(store.job(&a).await.unwrap(), None);
    assert_eq!(store.definition(&a).await.unwrap(), None);
    assert_eq!(store.result(&a).await.unwrap(), None);
    assert_eq!(store.input(&a, &path).await.unwrap(), None);
    assert!(!store.shared.folder.log(&a, LogKind::Run).exists());
}

#[tokio::test]
async fn commits_that_come_at_once_are_all_made_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut commits = tokio::task::JoinSet::new();
    for turn in 1..=500 {
        let store = store.clone();
        let job = job(&format!("job-{turn}"), Phase::Queued, turn);
        commits.spawn(async move { store.commit(vec![Change::Save(job)]).await.unwrap() });
    }
    commits.join_all().await;
    assert_eq!(store.jobs_in_memory(Time(0)).await.unwrap().len(), 500);
    let a = id("job-1");
    let (first, second) = tokio::join!(
        store.commit(vec![Change::Erase(a.clone())]),
        store.commit(vec![Change::Define { id: a.clone(), text: "again".into() }]),
    );
    first.and(second).unwrap();
    assert_eq!(store.definition(&a).await.unwrap().as_deref(), Some("again"));
}

#[tokio::test]
async fn calls_wait_until_they_are_done_with() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let call = |id, due| PendingCall {
        id,
        url: "http://example.org/hook".into(),
        body: "{}".into(),
        due: Time(due),
        first: Time(1),
        attempts: 4,
        after: (id == 2).then(|| JobId::new("a").unwrap()),
    };
    store.commit(vec![Change::Call(call(1, 900)), Change::Call(call(2, 300))]).await.unwrap();
    assert_eq!(store.pending_calls().await.unwrap(), [call(2, 300), call(1, 900)]);
    store.commit(vec![Change::Call(call(2, 950)), Change::Called(1)]).await.unwrap();
    assert_eq!(store.pending_calls().await.unwrap(), [call(2, 950)]);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_the_last_handle_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let batch = store.blobs().batch();
    drop(store);
    assert!(matches!(Store::open(dir.path()), Err(StoreError::InUse { .. })));
    drop(batch);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_folder_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let half = dir.path().join("incoming/half");
    std::fs::write(&half, "of a newer program").unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("deskgrid.sqlite3")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Newer { found: 99, .. })));
    assert!(half.exists());
}

/// The files as they lie there in the middle of the work are what a crash would leave.
#[tokio::test]
async fn what_was_committed_survives_a_crash() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    let kept = job("kept", Phase::Running, 1);
    store.commit(vec![Change::Save(kept.clone())]).await.unwrap();
    let mut batch = store.blobs().batch();
    batch.write(&b"half"[..]).unwrap();
    for name in ["deskgrid.sqlite3", "deskgrid.sqlite3-wal", "deskgrid.lock"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    std::fs::create_dir(copy.path().join("incoming")).unwrap();
    std::fs::write(copy.path().join("incoming/0"), "half").unwrap();
    let reopened = Store::open(copy.path()).unwrap();
    assert_eq!(reopened.jobs_in_memory(Time(0)).await.unwrap(), [kept]);
    assert!(!copy.path().join("incoming/0").exists());
}

#[tokio::test]
async fn lists_show_what_jobs_say_and_came_to_without_their_definitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (a, b) = (id("a"), id("b"));
    let describe = |id: &JobId| Change::Describe {
        id: id.clone(),
        image: Some("busybox".into()),
        command: Some("echo hi".into()),
    };
    let failure = Failure::new(FailureCode::ImageUnavailable, "No such image.");
    let result = RunResult { exit_code: Some(3), failure: Some(failure), ..RunResult::default() };
    store
        .commit(vec![
            Change::Save(job("a", Phase::Running, 1)),
            describe(&a),
            Change::Finish { id: a.clone(), result: Arc::new(result) },
            Change::Course { id: a.clone(), course: Arc::default() },
            Change::Save(Job { changed_at: Time(9_000), ..job("a", Phase::Finished(Reason::Error), 1) }),
            Change::Save(job("b", Phase::Queued, 2)),
            Change::Pin { kind: "result".into(), id: "a".into(), is_on: true },
        ])
        .await
        .unwrap();
    let listed = store.newest(10).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    let over = &listed[1];
    assert_eq!((over.started_at, over.changed_at), (Some(Time(2_001)), Time(9_000)));
    assert_eq!((over.image.as_deref(), over.command.as_deref()), (Some("busybox"), Some("echo hi")));
    assert_eq!((over.exit_code, over.is_pinned, over.holds.len()), (Some(3), true, 3));
    assert_eq!(over.failure, Some((FailureCode::ImageUnavailable, "No such image.".to_owned())));
    assert_eq!(store.synopses(vec![b.clone(), id("unknown")]).await.unwrap(), [listed[0].clone()]);
    assert_eq!(store.course(&a).await.unwrap(), Some(Course::default()));
    store.commit(vec![Change::Save(job("a", Phase::Queued, 3)), Change::Forget(a.clone())]).await.unwrap();
    let again = store.synopses(vec![a.clone()]).await.unwrap().remove(0);
    assert_eq!((again.exit_code, again.started_at, again.failure), (None, None, None));
    assert_eq!((store.course(&a).await.unwrap(), store.result(&a).await.unwrap()), (None, None));
}

#[tokio::test]
async fn who_held_a_cancelled_job_stays_known_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let held = job("a", Phase::Queued, 1);
    let let_go = Job { holds: Vec::new(), ..job("a", Phase::Finished(Reason::Cancelled), 1) };
    store.commit(vec![Change::Save(held.clone()), Change::Save(let_go)]).await.unwrap();
    assert_eq!(store.last_holds(&id("a")).await.unwrap(), held.holds);
    assert_eq!(store.newest(1).await.unwrap()[0].holds, held.holds);
    let usage = store.usage_by_caller().await.unwrap();
    let caller = deskgrid_job::Caller::parse("https://a.example");
    assert_eq!(usage, [Usage { caller, jobs: 1, bytes: 0 }]);
}
