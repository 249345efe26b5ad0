//! The job records in `SQLite`: one thread writes, a few connections read.
//!
//! Nothing outside this folder knows SQL. Callers never wait for the disk on their own thread.

mod book;
mod cache_rows;
mod change;
mod commit_number;
mod course_row;
mod damage;
mod image_row;
mod job_row;
mod readers;
mod rebuild;
mod record_file;
mod record_keeper;
mod result_row;
mod schema;
mod soundness;
mod synopsis_row;
mod writer;

use std::sync::Arc;

use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, Course, FilePath, Hold, Job, JobId, RunResult, Time};
use rusqlite::{Connection, OptionalExtension, params};

pub use cache_rows::{CacheRecords, KeptFile, KeptResult, Usage};
pub use change::{Change, PendingCall};
pub(crate) use damage::Damage;
pub use damage::Rebuilt;
pub use image_row::{ContextRecord, ImageRecord, Origin, UsedImage};
pub use synopsis_row::Synopsis;

use crate::error::StoreError;
use crate::folder::Folder;
use book::Book;
use readers::{Edition, Readers};
use writer::Writer;

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    writer: Writer,
    readers: Arc<Readers>,
}

#[cfg(test)]
mod upgrade_tests;

impl Database {
    /// Opens or creates the database of `folder`, which is locked, and prepares the folder: not before it is known
    /// that the database is not that of a newer program, and before second copies of records are written.
    pub(crate) fn open(folder: &Arc<Folder>) -> Result<Self, StoreError> {
        folder.recall_rebuilt();
        let book = Book::open(folder, || {
            folder.prepare()?;
            point(Point::FolderPrepared);
            Ok(())
        })?;
        let readers = Arc::new(Readers::new(folder));
        let writer = Writer::start(book, Arc::clone(folder), Arc::clone(&readers))?;
        Ok(Self { writer, readers })
    }

    /// Makes all `changes` or none; they are on the disk when this returns. Once begun, dropping the future stops
    /// nothing. A database that turns out to be damaged is replaced on the way.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.writer.commit(changes).await
    }

    /// Tries to replace a database that is known to be damaged; nothing is to be done about another.
    pub(crate) async fn mend(&self, folder: &Folder) -> Result<(), StoreError> {
        match folder.check_records() {
            Err(_) => self.commit(Vec::new()).await,
            sound => sound,
        }
    }

    /// Asks once more where the database was damaged and has been replaced.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + Sync + 'static,
    {
        let query = Arc::new(query);
        match self.try_read(Arc::clone(&query)).await? {
            (edition, Err(StoreError::RecordsDamaged { why })) => {
                self.writer.mend(edition, why).await?;
                self.try_read(query).await?.1
            }
            (_, answer) => answer,
        }
    }

    async fn try_read<T, F>(&self, query: Arc<F>) -> Result<(Edition, Result<T, StoreError>), StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, StoreError> + Send + Sync + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        crate::blocking(move || {
            let answer = readers.ask(&*query);
            drop(permit);
            Ok(answer)
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
            Ok(from.prepare_cached(SQL)?.query_row([&name], |row| row.get(0).map(BlobHash)).optional()?)
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

    /// Checks the structure of all tables, and replaces a damaged database; compares the records of a sound one with
    /// their second copies, which tells a bit that has flipped inside a value. Says what is wrong.
    pub(crate) async fn check(&self) -> Result<Vec<String>, StoreError> {
        let (edition, complaints) = self.try_read(Arc::new(schema::quick_check)).await?;
        let complaints = match complaints {
            // Not even the tables can be listed.
            Err(StoreError::RecordsDamaged { why }) => vec![why],
            complaints => complaints?,
        };
        if let Some(first) = complaints.first()
            && let Err(error) = self.writer.mend(edition, first.clone()).await
        {
            tracing::error!(%error, "the damaged job records could not be rebuilt");
        }
        if complaints.is_empty() {
            let differing = self.writer.compare().await?.into_iter();
            let words =
                |id| format!("the record of the job {id} and its second copy differ: one of them is damaged");
            return Ok(differing.map(words).collect());
        }
        Ok(complaints)
    }

    /// 32 random hexadecimal digits; the database has a good source of them at hand.
    pub(crate) async fn random_name(&self) -> Result<String, StoreError> {
        self.read(|from| Ok(from.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?)).await
    }
}

/// Every job on record.
fn job_ids(from: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = from.prepare("SELECT id FROM job")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Those on record that come after `after`, in the order of their ids, and no more than `most`.
fn job_ids_after(from: &Connection, after: &str, most: usize) -> Result<Vec<String>, StoreError> {
    let mut statement = from.prepare_cached("SELECT id FROM job WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let ids = statement.query_map((after, signed(most as u64)), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// `SQLite` counts in signed 64 bits. What is larger (an absurd time or size) becomes the largest of those.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads what [`signed`] wrote.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
