//! The job records in `SQLite`: one thread writes, a few connections read.
//!
//! Nothing outside this folder knows SQL. Callers never wait for the disk on their own thread.

mod cache_rows;
mod change;
mod course_row;
mod image_row;
mod job_row;
mod rebuild;
mod record_file;
mod record_keeper;
mod result_row;
mod schema;
mod soundness;
mod synopsis_row;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use deskgrid_job::{BlobHash, Course, FilePath, Hold, Job, JobId, RunResult, Time};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Semaphore;

pub use cache_rows::{CacheRecords, KeptFile, KeptResult, Usage};
pub use change::{Change, PendingCall};
pub use image_row::{ContextRecord, ImageRecord, Origin};
pub use rebuild::Rebuilt;
pub use synopsis_row::Synopsis;

use crate::error::StoreError;
use crate::folder::Folder;
use writer::Writer;

/// Reading at once; each connection keeps some memory while idle, and a read takes well under a millisecond.
const READERS: usize = 2;

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    writer: Writer,
    readers: Arc<Readers>,
    rebuilt: Option<Rebuilt>,
}

#[cfg(test)]
mod upgrade_tests;

#[derive(Debug)]
struct Readers {
    folder: Arc<Folder>,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// The database brought to its present form, before anybody writes to it.
pub(crate) struct Opened {
    connection: Connection,
    rebuilt: Option<Rebuilt>,
}

impl Opened {
    /// Opens or creates the database of `folder`, which is locked.
    pub(crate) fn open(folder: &Folder) -> Result<Self, StoreError> {
        rebuild::go_on(folder)?;
        let (connection, rebuilt) = match soundness::open(folder) {
            Err(StoreError::RecordsDamaged { why }) => {
                tracing::error!(why, "the job records are damaged; rebuilding them from their second copies");
                let rebuilt = rebuild::rebuild(folder, why)?;
                tracing::warn!(jobs = rebuilt.jobs, aside = %rebuilt.aside.display(), "the job records are rebuilt");
                (schema::open(&folder.database())?, Some(rebuilt))
            }
            opened => (opened?, None),
        };
        soundness::forget_damage(folder);
        Ok(Self { connection, rebuilt })
    }
}

impl Database {
    /// Begins to read and write. The folder is prepared: second copies of records are written from now on.
    pub(crate) fn start(
        folder: &Arc<Folder>,
        Opened { connection, rebuilt }: Opened,
    ) -> Result<Self, StoreError> {
        let writer = Writer::start(connection, Arc::clone(folder))?;
        let readers = Readers {
            folder: Arc::clone(folder),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        };
        Ok(Self { writer, readers: Arc::new(readers), rebuilt })
    }

    /// What was done about a damaged database when this one was opened.
    pub(crate) fn rebuilt(&self) -> Option<&Rebuilt> {
        self.rebuilt.as_ref()
    }

    /// Makes all `changes` or none; they are on the disk when this returns. Once begun, dropping the future stops
    /// nothing.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.writer.commit(changes).await
    }

    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        crate::blocking(move || {
            let answer = readers.take().and_then(|connection| {
                let answer = query(&connection);
                readers.give_back(connection);
                answer
            });
            drop(permit);
            answer.inspect_err(|error| readers.folder.note_damage(error))
        })
        .await
    }

    pub(crate) async fn jobs_in_memory(&self, finished_after: Time) -> Result<Vec<Job>, StoreError> {
        self.read(move |from| job_row::in_memory(from, finished_after)).await
    }

    pub(crate) async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read(move |from| job_row::find(from, &id)).await
    }

    pub(crate) async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<Job>, StoreError> {
        self.read(move |from| {
            let at_one_moment = from.unchecked_transaction()?;
            ids.iter().filter_map(|id| job_row::find(&at_one_moment, id).transpose()).collect()
        })
        .await
    }

    pub(crate) async fn definition(&self, id: JobId) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT text FROM definition WHERE job = ?1";
        self.read(move |from| {
            Ok(from.prepare_cached(SQL)?.query_row([id.as_str()], |row| row.get(0)).optional()?)
        })
        .await
    }

    pub(crate) async fn result(&self, id: JobId) -> Result<Option<RunResult>, StoreError> {
        const SQL: &str = "SELECT json FROM result WHERE job = ?1";
        self.read(move |from| {
            let json: Option<String> =
                from.prepare_cached(SQL)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
            let Some(json) = json else { return Ok(None) };
            let damaged = || StoreError::damaged(format!("the result of the job {id}"));
            result_row::decode(&json).ok_or_else(damaged).map(Some)
        })
        .await
    }

    pub(crate) async fn newest(&self, most: usize) -> Result<Vec<Synopsis>, StoreError> {
        self.read(move |from| synopsis_row::newest(from, most)).await
    }

    pub(crate) async fn synopses(&self, ids: Vec<JobId>) -> Result<Vec<Synopsis>, StoreError> {
        self.read(move |from| synopsis_row::of(from, &ids)).await
    }

    pub(crate) async fn undescribed(&self, most: usize) -> Result<Vec<(JobId, String)>, StoreError> {
        self.read(move |from| synopsis_row::undescribed(from, most)).await
    }

    pub(crate) async fn last_holds(&self, id: JobId) -> Result<Vec<Hold>, StoreError> {
        self.read(move |from| synopsis_row::last_holds(from, &id)).await
    }

    pub(crate) async fn course(&self, id: JobId) -> Result<Option<Course>, StoreError> {
        const SQL: &str = "SELECT json FROM course WHERE job = ?1";
        self.read(move |from| {
            let json: Option<String> =
                from.prepare_cached(SQL)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
            Ok(json.as_deref().and_then(course_row::decode))
        })
        .await
    }

    pub(crate) async fn inputs(&self, id: JobId) -> Result<Vec<(String, BlobHash)>, StoreError> {
        const SQL: &str = "SELECT path, hash FROM input WHERE job = ?1";
        self.read(move |from| {
            let mut statement = from.prepare_cached(SQL)?;
            let rows = statement.query_map([id.as_str()], |row| Ok((row.get(0)?, BlobHash(row.get(1)?))))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn usage_by_caller(&self) -> Result<Vec<Usage>, StoreError> {
        self.read(cache_rows::usage_by_caller).await
    }

    pub(crate) async fn cache_records(&self) -> Result<CacheRecords, StoreError> {
        self.read(cache_rows::records).await
    }

    pub(crate) async fn input(&self, id: JobId, path: FilePath) -> Result<Option<BlobHash>, StoreError> {
        const SQL: &str = "SELECT hash FROM input WHERE job = ?1 AND path = ?2";
        self.read(move |from| {
            let values = params![id.as_str(), path.as_str()];
            Ok(from.prepare_cached(SQL)?.query_row(values, |row| row.get(0).map(BlobHash)).optional()?)
        })
        .await
    }

    pub(crate) async fn context(&self, key: String) -> Result<Option<ContextRecord>, StoreError> {
        self.read(move |from| image_row::context(from, &key)).await
    }

    pub(crate) async fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.read(image_row::all).await
    }

    pub(crate) async fn is_unused_build(&self, image: String) -> Result<bool, StoreError> {
        self.read(move |from| image_row::is_unused_build(from, &image)).await
    }

    pub(crate) async fn job_image(&self, id: JobId) -> Result<Option<String>, StoreError> {
        self.read(move |from| image_row::job_image(from, &id)).await
    }

    pub(crate) async fn named_blob(&self, name: String) -> Result<Option<BlobHash>, StoreError> {
        const SQL: &str = "SELECT hash FROM blob_name WHERE name = ?1";
        self.read(move |from| {
            Ok(from.prepare_cached(SQL)?.query_row([name], |row| row.get(0).map(BlobHash)).optional()?)
        })
        .await
    }

    pub(crate) async fn next_turn(&self) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT ifnull(max(turn), 0) + 1 FROM job";
        self.read(|from| Ok(unsigned(from.query_row(SQL, [], |row| row.get(0))?))).await
    }

    pub(crate) async fn pending_calls(&self) -> Result<Vec<PendingCall>, StoreError> {
        const SQL: &str = "SELECT id, url, body, due, first, attempts, after FROM call ORDER BY due, id";
        self.read(|from| {
            let mut statement = from.prepare_cached(SQL)?;
            let calls = statement.query_map([], |row| {
                Ok(PendingCall {
                    id: unsigned(row.get(0)?),
                    url: row.get(1)?,
                    body: row.get(2)?,
                    due: Time(unsigned(row.get(3)?)),
                    first: Time(unsigned(row.get(4)?)),
                    attempts: row.get(5)?,
                    after: row.get::<_, Option<String>>(6)?.and_then(|id| JobId::new(&id).ok()),
                })
            })?;
            Ok(calls.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What is wrong with the structure of the database, in its own words; nothing when it is sound.
    pub(crate) async fn quick_check(&self) -> Result<Vec<String>, StoreError> {
        self.read(schema::quick_check).await
    }

    /// 32 random hexadecimal digits; the database has a good source of them at hand.
    pub(crate) async fn random_name(&self) -> Result<String, StoreError> {
        self.read(|from| Ok(from.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?)).await
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_reader(&self.folder.database()), Ok)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// `SQLite` counts in signed 64 bits. What is larger (an absurd time or size) becomes the largest of those.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads what [`signed`] wrote.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
