//! Everything that Deskgrid keeps on this disk: blobs by their content, job records, logs, scratch folders.
//!
//! This is the only crate that knows SQL and the layout of the data folder. It knows no engine and no wire format,
//! and decides nothing about jobs: it writes down what it is told, and says so when it is on the disk.
//!
//! ```text
//! <data folder>            0700
//! ├── deskgrid.lock        held while a program has the folder; names its process
//! ├── deskgrid.sqlite3     job records, names of blobs, pending webhook calls (and its -wal and -shm)
//! ├── deskgrid.sqlite3.damaged, .rebuilt  that it was found damaged, and what was done about it
//! ├── deskgrid.sock        the local door of the running server
//! ├── worker-id            names this worker on its containers
//! ├── token                opens the administration, 0600
//! ├── records/ab/<job>.json  second copies of the job records, from which a damaged database is rebuilt
//! ├── records/all-in-step  says that all of them are as the database has it; not there while a program runs
//! ├── blobs/ab/<64 hex>    bytes by their SHA-256, 0444, complete and on the disk before they have this name
//! ├── damaged/             what was found damaged: stored files by their name, databases by the day
//! ├── incoming/<n>         blobs on their way in; swept at the next start
//! ├── logs/ab/<job>.run.jsonl, <job>.build.jsonl
//! └── runs/<job>.<run>/    scratch of one run, gone after it
//!     ├── inputs/          0777, as is outputs/: a container may run as any user
//!     ├── outputs/
//!     ├── config/
//!     └── note             how long its container had run when, written before it is started
//! ```
//!
//! `<job>` stands for 32 digits of the id's SHA-256, a hyphen and the id; `ab` for the first two digits.
//! `incoming/` and `runs/` carry a `CACHEDIR.TAG`, so that backups leave them out.

mod blobs;
mod closed;
mod copied;
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

use deskgrid_job::{BlobHash, Course, FilePath, Hold, Job, JobId, RunResult, Time, WorkerId};
use tokio::sync::watch;

pub use blobs::{Batch, BlobFile, Blobs, CheckedReader, Incoming, Stored};
pub use closed::Closed;
pub use copied::{AtRest, is_true_copy};
pub use database::{
    CacheRecords, Change, ContextRecord, ImageRecord, KeptFile, KeptResult, Origin, PendingCall, Rebuilt,
    Synopsis, Usage, UsedImage,
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

use closed::InUse;
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
    in_use: InUse,
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
        let in_use = folder.in_use();
        let folder = Arc::new(folder);
        let database = Database::open(&folder)?;
        Ok(Self { shared: Arc::new(Shared { database, folder, _lock: lock, in_use }) })
    }

    /// Tells when nobody has this store any more, nor a part of it.
    pub fn closed(&self) -> Closed {
        self.shared.in_use.closed()
    }

    /// What was done about damaged records, now or in an earlier life, as long as the person has not read of it.
    pub fn rebuilt(&self) -> Option<Rebuilt> {
        self.shared.folder.rebuilt()
    }

    /// The person has read what was done about damaged records.
    pub async fn forget_rebuilt(&self) -> Result<(), StoreError> {
        let folder = Arc::clone(&self.shared.folder);
        blocking(move || {
            folder.forget_rebuilt();
            Ok(())
        })
        .await
    }

    /// How often damaged records were rebuilt since the start. Then they may lack the latest state of jobs that are
    /// not over.
    pub fn rebuilds(&self) -> u64 {
        self.shared.folder.rebuilds()
    }

    /// How many stored files were found damaged, and set aside, since the start.
    pub fn damaged_files(&self) -> u64 {
        *self.damage().borrow()
    }

    /// The same, for who wants to hear of each.
    pub fn damage(&self) -> watch::Receiver<u64> {
        self.shared.folder.proofs.damaged()
    }

    /// Whether the records are known to be damaged, and could not be rebuilt yet.
    ///
    /// # Errors
    /// [`StoreError::RecordsDamaged`] then.
    pub fn check_records(&self) -> Result<(), StoreError> {
        self.shared.folder.check_records()
    }

    /// Tries once more to rebuild records that are known to be damaged.
    ///
    /// # Errors
    /// Why they could not be.
    pub async fn mend_records(&self) -> Result<(), StoreError> {
        self.shared.database.mend(&self.shared.folder).await
    }

    /// Makes all `changes` of the records or none; they are on the disk when this returns. Commits take effect in
    /// the order in which they were asked for. Dropping the future does not undo a commit once it was polled.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
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

    /// A job's definition, word for word as it was submitted but for masks in the place of secrets.
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

    /// The images that we brought into engines.
    pub async fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.shared.database.images().await
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

    /// The scratch folders of one run as they are, if they are: nothing is created.
    pub fn scratch_left(&self, id: &JobId, run: u32) -> Scratch {
        Scratch::of(&self.shared.folder, id, run)
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
mod tests;
