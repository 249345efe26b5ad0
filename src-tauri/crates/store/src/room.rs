//! How much room is left on the disk, and how much of it is held in reserve: enough that records can be written and
//! other programs go on, whatever jobs and uploads bring.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use deskgrid_job::JobId;

use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::logs::LogKind;
use crate::{Store, blocking, platform, scratch};

/// The reserve where nobody chose one: a twentieth of the disk, and no more than this.
const USUAL_RESERVE: u64 = 2 * 1000 * 1000 * 1000;

/// How much room there is on the disk of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that we can still write.
    pub free: u64,
    /// Bytes that shall stay free.
    pub reserve: u64,
}

impl Room {
    /// Whether less is free than shall stay so.
    pub fn is_low(&self) -> bool {
        self.free < self.reserve
    }

    /// Whether the reserve is left when `bytes` more are written.
    fn holds(&self, bytes: u64, purpose: Purpose) -> bool {
        self.free.checked_sub(bytes).is_some_and(|left| left >= self.floor(purpose))
    }

    fn floor(&self, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Incoming => self.reserve,
            Purpose::Outputs => self.reserve / 2,
            Purpose::Records => self.reserve / 4,
        }
    }
}

/// The reserve for a disk of `total` bytes.
pub fn usual_reserve(total: u64) -> u64 {
    USUAL_RESERVE.min(total / 20)
}

/// What bytes are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An upload or a download: it can be brought again when there is room.
    Incoming,
    /// What a job made. It may use half of the reserve, which is there to end well what has begun.
    Outputs,
    /// Records of further jobs, which may use more: those of jobs that end have to be written yet.
    Records,
}

/// The reserve that was chosen, in bytes.
#[derive(Debug)]
pub(crate) struct Reserve(AtomicU64);

/// Nobody's choice: no disk is that large.
const USUAL: u64 = u64::MAX;

impl Default for Reserve {
    fn default() -> Self {
        Self(AtomicU64::new(USUAL))
    }
}

impl Reserve {
    fn choose(&self, bytes: Option<u64>) {
        self.0.store(bytes.unwrap_or(USUAL), Ordering::Relaxed);
    }

    fn of(&self, total: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            USUAL => usual_reserve(total),
            chosen => chosen,
        }
    }
}

impl Folder {
    /// How much room there is.
    pub(crate) fn room(&self) -> Result<Room, StoreError> {
        let path = self.root();
        let disk = fs4::statvfs(path).map_err(failed("measure the disk of", path))?;
        let total = disk.total_space();
        Ok(Room { total, free: disk.available_space(), reserve: self.reserve.of(total) })
    }

    /// Whether nothing can be written still. Nothing is tried unless it turned out so before.
    fn is_still_read_only(&self) -> bool {
        if !self.is_read_only.load(Ordering::Relaxed) {
            return false;
        }
        let is_read_only = self.takes_nothing().is_some();
        if !is_read_only {
            self.is_read_only.store(false, Ordering::Relaxed);
        }
        is_read_only
    }

    /// Tries to write, and returns what the system says of a disk that may only be read.
    fn takes_nothing(&self) -> Option<io::Error> {
        let probe = self.fresh();
        let tried = platform::private_file().write(true).create_new(true).open(&probe);
        let refusal = tried.err().filter(|error| error.kind() == ErrorKind::ReadOnlyFilesystem);
        if refusal.is_none() {
            // What is left of it is swept at the next start.
            let _ = fs::remove_file(&probe);
        }
        refusal
    }

    /// Why the records could not be written: that the disk may only be read the database program does not always say.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        explained(error, || self.takes_nothing(), &self.database())
    }

    /// Makes sure that the reserve is left when `bytes` more are written.
    pub(crate) fn check_room(&self, bytes: u64, purpose: Purpose) -> Result<(), StoreError> {
        let room = self.room()?;
        if room.holds(bytes, purpose) {
            return Ok(());
        }
        if room.is_low() {
            self.room_refused.notify_one();
        }
        Err(StoreError::LowOnDisk {
            folder: self.root().to_owned(),
            free: room.free,
            reserve: room.floor(purpose),
        })
    }
}

fn explained(error: StoreError, refusal: impl FnOnce() -> Option<io::Error>, database: &Path) -> StoreError {
    if let StoreError::DiskFull { .. } = error {
        return StoreError::DiskFull { path: database.to_owned() };
    }
    match error.may_be_read_only().then(refusal).flatten() {
        Some(source) => StoreError::NotWritable { doing: "write", path: database.to_owned(), source },
        None => error,
    }
}

impl Store {
    /// Chooses how many bytes of the disk stay free; none for the usual.
    pub fn set_reserve(&self, bytes: Option<u64>) {
        self.shared.folder.reserve.choose(bytes);
    }

    /// How much room there is.
    pub async fn room(&self) -> Result<Room, StoreError> {
        let folder = self.shared.folder.clone();
        blocking(move || folder.room()).await
    }

    /// Waits until something was refused because less is free than shall stay so. One waits at a time.
    pub async fn room_refused(&self) {
        self.shared.folder.room_refused.notified().await;
    }

    /// It turned out that the disk may only be read.
    pub fn note_read_only(&self) {
        self.shared.folder.is_read_only.store(true, Ordering::Relaxed);
    }

    /// Whether it may only be read, as far as was noted and not seen to be over.
    pub fn is_known_read_only(&self) -> bool {
        self.shared.folder.is_read_only.load(Ordering::Relaxed)
    }

    /// Whether it may only be read still; costs nothing unless that was noted.
    pub async fn is_read_only(&self) -> bool {
        if !self.is_known_read_only() {
            return false;
        }
        let folder = self.shared.folder.clone();
        blocking(move || Ok(folder.is_still_read_only())).await.unwrap_or(true)
    }

    /// The folder that all this is in.
    pub fn place(&self) -> &Path {
        self.shared.folder.root()
    }

    /// Makes sure that there is room for the record of a further job.
    ///
    /// # Errors
    /// [`StoreError::LowOnDisk`] when there is not.
    pub async fn check_last_room(&self) -> Result<(), StoreError> {
        let folder = self.shared.folder.clone();
        blocking(move || folder.check_room(0, Purpose::Records)).await
    }

    /// The bytes of the disk that a run has taken by now: its scratch folders and its log.
    pub async fn written_by(&self, id: &JobId, run: u32) -> Result<u64, StoreError> {
        let folder = self.shared.folder.clone();
        let (scratch, log) = (folder.run(id, run), folder.log(id, LogKind::Run));
        blocking(move || {
            let log = std::fs::metadata(log).map(|facts| facts.len()).unwrap_or_default();
            Ok(scratch::size_below(&scratch) + log)
        })
        .await
    }

    /// Whether a folder of this computer is on the same disk as the data folder.
    pub fn is_on_same_disk(&self, folder: &str) -> bool {
        platform::is_same_disk(self.shared.folder.root(), Path::new(folder))
    }

    /// Makes sure that the reserve is left when `bytes` more are brought.
    ///
    /// # Errors
    /// [`StoreError::LowOnDisk`] when it would not be.
    pub async fn check_room(&self, bytes: u64) -> Result<(), StoreError> {
        let folder = self.shared.folder.clone();
        blocking(move || folder.check_room(bytes, Purpose::Incoming)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_reserve_is_two_gigabytes_and_less_on_a_small_disk() {
        assert_eq!(usual_reserve(1 << 40), 2_000_000_000);
        assert_eq!(usual_reserve(200_000_000), 10_000_000);
    }

    #[test]
    fn what_jobs_made_may_use_half_of_the_reserve_and_uploads_none_of_it() {
        let room = Room { total: 1000, free: 150, reserve: 100 };
        assert!(room.holds(50, Purpose::Incoming) && !room.holds(51, Purpose::Incoming));
        assert!(room.holds(100, Purpose::Outputs) && !room.holds(101, Purpose::Outputs));
        assert!(!room.holds(u64::MAX, Purpose::Incoming));
        assert!(!room.is_low() && Room { free: 99, ..room }.is_low());
    }

    #[test]
    fn that_a_disk_may_only_be_read_is_told_whatever_the_database_program_says_of_it() {
        // `SQLITE_IOERR_WRITE`, which is all that is left of `EROFS`.
        let failed =
            || StoreError::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(778), None));
        let database = Path::new("/data/deskgrid.sqlite3");
        let refused = explained(failed(), || Some(ErrorKind::ReadOnlyFilesystem.into()), database);
        assert!(
            refused.is_read_only() && refused.to_string().contains("/data/deskgrid.sqlite3"),
            "{refused}"
        );
        let other = explained(failed(), || None, database);
        assert!(!other.is_read_only(), "{other}");
        let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
        let full = explained(full.into(), || unreachable!("it is not asked"), database);
        assert!(full.to_string().contains("/data/"), "{full}");
    }

    #[tokio::test]
    async fn a_disk_that_turned_out_read_only_is_so_until_something_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(!store.is_read_only().await);
        store.note_read_only();
        assert!(store.is_known_read_only());
        assert!(!store.is_read_only().await && !store.is_known_read_only());
        assert_eq!(crate::folder::entries(&store.shared.folder.incoming()).unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_chosen_reserve_counts_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.check_room(1).await.unwrap();
        store.set_reserve(Some(1 << 60));
        let error = store.check_room(1).await.unwrap_err();
        assert_eq!(error.code(), "disk-full");
        assert!(error.to_string().contains("held in reserve"), "{error}");
        let mut incoming = store.blobs().receive(None);
        let refused = match incoming.push(bytes::Bytes::from_static(b"x")).await {
            Ok(()) => incoming.finish().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(refused.code(), "disk-full");
        store.set_reserve(None);
        store.check_room(1).await.unwrap();
    }
}
