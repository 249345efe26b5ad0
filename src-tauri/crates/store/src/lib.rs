//! Everything that Deskgrid keeps on this disk: blobs by their content, job records, logs, scratch folders.
//!
//! This is the only crate that knows SQL and the layout of the data folder. It knows no engine and no wire format,
//! and decides nothing about jobs: it writes down what it is told, and says so when it is on the disk.
//!
//! ```text
//! <data folder>            0700
//! ├── deskgrid.lock        held while a program has the folder; names its process
//! ├── deskgrid.sqlite3     job records, names of blobs, pending webhook calls (and its -wal and -shm)
//! ├── deskgrid.sock        the local door of the running server
//! ├── worker-id            names this worker on its containers
//! ├── token                opens the administration, 0600
//! ├── records/ab/<job>.json  second copies of the job records, from which a damaged database is rebuilt
//! ├── blobs/ab/<64 hex>    bytes by their SHA-256, 0444, complete and on the disk before they have this name
//! ├── damaged/             what was found damaged: stored files by their name, databases by the day
//! ├── incoming/<n>         blobs on their way in; swept at the next start
//! ├── logs/ab/<job>.run.jsonl, <job>.build.jsonl
//! └── runs/<job>.<run>/    scratch of one run, gone after it
//!     ├── inputs/          0777, as is outputs/: a container may run as any user
//!     ├── outputs/
//!     ├── config/
//!     └── started          its container was about to be started, or was
//! ```
//!
//! `<job>` stands for 32 digits of the id's SHA-256, a hyphen and the id; `ab` for the first two digits.
//! `incoming/` and `runs/` carry a `CACHEDIR.TAG`, so that backups leave them out.

mod blobs;
mod database;
mod error;
mod folder;
mod holdings;
mod lock;
mod logs;
mod platform;
mod removal;
mod room;
mod scratch;
mod token;
mod verify;
mod worker_id;

use std::path::Path;
use std::sync::Arc;

use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, Course, FilePath, Hold, Job, JobId, RunResult, Time, WorkerId};

pub use blobs::{Batch, BlobFile, Blobs, CheckedReader, Incoming, Stored};
pub use database::{
    CacheRecords, Change, ContextRecord, ImageRecord, KeptFile, KeptResult, Origin, PendingCall, Rebuilt,
    Synopsis, Usage,
};
pub use error::StoreError;
pub use holdings::{GRACE, Holding, Holdings};
pub use logs::{Cut, Excerpt, LogKind, LogSlice, LogWriter, Logs, Most, Opening, Place, Texts};
pub use room::{Room, usual_reserve};
pub use scratch::Scratch;
pub use token::Token;
pub use verify::{Fault, Findings, VerifyCount, VerifyProgress, Wrong};

/// What is in the data folder for a running program only, and need not go along when the folder moves.
pub const PASSING: [&str; 4] = ["deskgrid.lock", "deskgrid.sock", "incoming", "runs"];

/// The folder of what was found damaged, in the data folder.
pub const DAMAGED: &str = "damaged";

use database::Database;
use folder::Folder;
use lock::Lock;

/// A handle on the open data folder. Clones are cheap and mean the same folder; it closes with the last of them and
/// of the [`Blobs`], [`Batch`]es and [`Incoming`] blobs made from them.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

/// Dropped in this order: the database is closed before another program may have the folder.
#[derive(Debug)]
struct Shared {
    database: Database,
    folder: Arc<Folder>,
    _lock: Lock,
}

impl Store {
    /// Opens the data folder, creating what is missing, and removes what an earlier process left half-done.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another program has the folder, [`StoreError::Newer`] when a newer one wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::create(folder)?;
        let lock = Lock::take(&folder)?;
        let folder = Arc::new(folder);
        // First the database: what a newer program wrote is to be left alone altogether.
        let database = Database::open(&folder)?;
        folder.prepare()?;
        point(Point::FolderPrepared);
        Ok(Self { shared: Arc::new(Shared { database, folder, _lock: lock }) })
    }

    /// What was done about damaged records when the folder was opened.
    pub fn rebuilt(&self) -> Option<&Rebuilt> {
        self.shared.database.rebuilt()
    }

    /// How many stored files were found damaged, and set aside, since then.
    pub fn damaged_files(&self) -> u64 {
        self.shared.folder.proofs.damaged()
    }

    /// Whether the records were found damaged since then; the next start rebuilds them.
    pub fn has_damaged_records(&self) -> bool {
        self.shared.folder.has_damaged_records()
    }

    /// Makes all `changes` of the records or none; they are on the disk when this returns. Commits take effect in
    /// the order in which they were asked for. Dropping the future does not undo a commit once it was polled.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.shared.database.commit(changes).await
    }

    /// All jobs that are not over, and those over with a kept result since `finished_after`, by their turn.
    pub async fn jobs_in_memory(&self, finished_after: Time) -> Result<Vec<Job>, StoreError> {
        self.shared.database.jobs_in_memory(finished_after).await
    }

    /// The light record of a job, whatever its phase.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.shared.database.job(id.clone()).await
    }

    /// Those of the jobs that are on record, as they were at one moment, in no order.
    pub async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<Job>, StoreError> {
        self.shared.database.jobs(ids).await
    }

    /// A job's definition, word for word as it was submitted.
    pub async fn definition(&self, id: &JobId) -> Result<Option<String>, StoreError> {
        self.shared.database.definition(id.clone()).await
    }

    /// What a job's latest finished run came to.
    pub async fn result(&self, id: &JobId) -> Result<Option<RunResult>, StoreError> {
        self.shared.database.result(id.clone()).await
    }

    /// The newest jobs as lists show them, at most `most`, the newest first.
    pub async fn newest(&self, most: usize) -> Result<Vec<Synopsis>, StoreError> {
        self.shared.database.newest(most).await
    }

    /// Those of the jobs that are on record, as lists show them, in no order.
    pub async fn synopses(&self, ids: Vec<JobId>) -> Result<Vec<Synopsis>, StoreError> {
        self.shared.database.synopses(ids).await
    }

    /// Jobs that were submitted before image and command were noted, with their definitions; at most `most`.
    pub async fn undescribed(&self, most: usize) -> Result<Vec<(JobId, String)>, StoreError> {
        self.shared.database.undescribed(most).await
    }

    /// Who holds a job, or held it last.
    pub async fn last_holds(&self, id: &JobId) -> Result<Vec<Hold>, StoreError> {
        self.shared.database.last_holds(id.clone()).await
    }

    /// How a job's latest finished run went.
    pub async fn course(&self, id: &JobId) -> Result<Option<Course>, StoreError> {
        self.shared.database.course(id.clone()).await
    }

    /// Which bytes the inputs of a job had, by their paths.
    pub async fn inputs(&self, id: &JobId) -> Result<Vec<(String, BlobHash)>, StoreError> {
        self.shared.database.inputs(id.clone()).await
    }

    /// How many jobs everyone holds, or held last, and the bytes of their outputs.
    pub async fn usage_by_caller(&self) -> Result<Vec<Usage>, StoreError> {
        self.shared.database.usage_by_caller().await
    }

    /// What the records say of all that is kept, at one moment.
    pub async fn cache_records(&self) -> Result<CacheRecords, StoreError> {
        self.shared.database.cache_records().await
    }

    /// Whether we built this image, and neither a job that is kept or not over has it nor the person keeps it.
    pub async fn is_unused_build(&self, image: &str) -> Result<bool, StoreError> {
        self.shared.database.is_unused_build(image.to_owned()).await
    }

    /// The image of a job's latest run.
    pub async fn job_image(&self, id: &JobId) -> Result<Option<String>, StoreError> {
        self.shared.database.job_image(id.clone()).await
    }

    /// What is kept of a download for builds.
    pub async fn context(&self, key: &str) -> Result<Option<ContextRecord>, StoreError> {
        self.shared.database.context(key.to_owned()).await
    }

    /// Which bytes an input of a job had.
    pub async fn input(&self, id: &JobId, path: &FilePath) -> Result<Option<BlobHash>, StoreError> {
        self.shared.database.input(id.clone(), path.clone()).await
    }

    /// A turn behind that of every job on record; at least 1.
    pub async fn next_turn(&self) -> Result<u64, StoreError> {
        self.shared.database.next_turn().await
    }

    /// Webhook calls that nobody has taken yet, the next due first.
    pub async fn pending_calls(&self) -> Result<Vec<PendingCall>, StoreError> {
        self.shared.database.pending_calls().await
    }

    /// The name of this worker: `given`, which is then stored, or else the stored one, or else a new random one.
    pub async fn worker_id(&self, given: Option<WorkerId>) -> Result<WorkerId, StoreError> {
        worker_id::settle(self, given).await
    }

    /// The token of this data folder, made when there is none yet.
    pub async fn token(&self) -> Result<Token, StoreError> {
        let folder = Arc::clone(&self.shared.folder);
        blocking(move || token::settle(&folder)).await
    }

    /// The stored bytes.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(Arc::clone(&self.shared))
    }

    /// What jobs and builds wrote.
    pub fn logs(&self) -> Logs {
        Logs::new(Arc::clone(&self.shared.folder))
    }

    /// The scratch folders of one run, created where missing. Blocks on the disk.
    pub fn scratch(&self, id: &JobId, run: u32) -> Result<Scratch, StoreError> {
        Scratch::create(&self.shared.folder, id, run)
    }

    /// The folder for what lives no longer than this program; what a crash leaves there is swept at the next start.
    pub fn passing_folder(&self) -> std::path::PathBuf {
        self.shared.folder.runs()
    }

    /// Removes the scratch folders of all runs but `keep`. What cannot be removed is told to the log only, since it
    /// harms nobody but the disk's free space.
    pub async fn sweep_runs(&self, keep: &[(JobId, u32)]) -> Result<(), StoreError> {
        let folder = Arc::clone(&self.shared.folder);
        let keep = keep.iter().map(|(id, run)| folder.run(id, *run)).collect();
        blocking(move || scratch::sweep(&folder, &keep)).await
    }
}

/// Runs work that waits for the disk where it holds up no async task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // The work does not panic, so a failed join means that the runtime is shutting down.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Stopped))
}

#[cfg(test)]
mod tests {
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
        store
            .commit(vec![Change::Save(job("a", Phase::Queued, 3)), Change::Forget(a.clone())])
            .await
            .unwrap();
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
}
