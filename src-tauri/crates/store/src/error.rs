//! What can go wrong on this disk, in words for the person who owns it.

use std::io;
use std::path::{Path, PathBuf};

use deskgrid_job::BlobHash;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another running program has the data folder.
    #[error(
        "the data folder {} is in use by another Deskgrid{}; stop that one first, or choose another data folder",
        folder.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The process that has it, where it can be read.
        pid: Option<u32>,
    },
    /// A later version of Deskgrid wrote the records.
    #[error(
        "{} was written by a newer Deskgrid (its format is {found}, this program knows up to {known}); \
         install the newer version again, or choose another data folder. Nothing was changed",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The last format that this program knows.
        known: u32,
    },
    /// The bytes are not those that their name promises.
    #[error("the bytes have the SHA-256 {found}, not {expected}; nothing was stored, send the file again")]
    HashMismatch {
        /// The name they were sent under.
        expected: BlobHash,
        /// What they really are.
        found: BlobHash,
    },
    /// A stored file has not the bytes any more that its name promises.
    #[error(
        "the stored file {hash} was damaged on the disk. It was set aside as {}; bring it again, or run the job again \
         that made it",
        aside.display()
    )]
    DamagedFile {
        /// The file.
        hash: BlobHash,
        /// Where it is now.
        aside: PathBuf,
    },
    /// No room is left.
    #[error("the disk that holds {} is full; free some space and try again", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// What is left is held in reserve.
    #[error(
        "the disk that holds {} is nearly full: {} MB are free, and {} MB of them are held in reserve \
         (setting disk_reserve). Delete what you no longer need, then try again",
        folder.display(), free / 1_000_000, reserve / 1_000_000
    )]
    LowOnDisk {
        /// The data folder.
        folder: PathBuf,
        /// Bytes that can still be written.
        free: u64,
        /// Bytes that shall stay free.
        reserve: u64,
    },
    /// The disk may be read only.
    #[error(
        "could not {doing} {}: {source}. Deskgrid needs a data folder that it may write to: see to it that it may, or \
         choose another with --data-directory",
        path.display()
    )]
    NotWritable {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused a file or folder.
    #[error("could not {doing} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database file is damaged.
    #[error(
        "the job records on disk are damaged ({why}), and could not be rebuilt from their second copies yet. Deskgrid \
         keeps trying: see to it that the disk has room and is sound"
    )]
    RecordsDamaged {
        /// What the database program says.
        why: String,
    },
    /// The job records could not be read or written.
    #[error(
        "the job records on disk could not be read or written: {0}. See to it that the disk of the data folder is sound"
    )]
    Database(#[source] rusqlite::Error),
    /// Something stored does not read back.
    #[error("{what} on disk is damaged and cannot be read")]
    Damaged {
        /// What was being read.
        what: String,
    },
    /// The store is closing.
    #[error("Deskgrid is stopping; nothing more is stored")]
    Stopped,
}

impl StoreError {
    /// Whether room on the disk is all that is missing.
    pub fn is_for_want_of_room(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::LowOnDisk { .. })
    }

    /// Whether it is only that the disk may be read and not written to, as a system has it that found the disk failing.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::NotWritable { source, .. } => source.kind() == io::ErrorKind::ReadOnlyFilesystem,
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly),
            _ => false,
        }
    }

    /// Whether what was read is at fault, which stays as it is, rather than the reading of it.
    pub fn is_of_one_record(&self) -> bool {
        // All that the system and the disk do to the database program comes as its own failure.
        matches!(self, Self::Damaged { .. })
            || matches!(self, Self::Database(error) if error.sqlite_error_code().is_none())
    }

    /// The stable text of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "data-folder-in-use",
            Self::Newer { .. } => "data-folder-newer",
            Self::HashMismatch { .. } => "hash-mismatch",
            Self::DamagedFile { .. } => "file-damaged",
            Self::DiskFull { .. } | Self::LowOnDisk { .. } => "disk-full",
            Self::NotWritable { .. } => "not-writable",
            Self::File { .. } => "disk-failed",
            Self::RecordsDamaged { .. } => "records-damaged",
            Self::Database(_) => "records-failed",
            Self::Damaged { .. } => "record-damaged",
            Self::Stopped => "store-stopped",
        }
    }

    /// The database program says no more than that writing failed where a disk has become read-only under it.
    pub(crate) fn may_be_read_only(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, ReadOnly, SystemIoFailure};
        let Self::Database(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly | SystemIoFailure))
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull { path: "deskgrid.sqlite3".into() },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::RecordsDamaged { why: error.to_string() }
            }
            _ => Self::Database(error),
        }
    }
}

/// Adds to a system error what was tried and on what: `.map_err(failed("create", &path))`.
pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::DiskFull { path: path.to_owned() }
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StoreError::NotWritable { doing, path: path.to_owned(), source }
        }
        _ => StoreError::File { doing, path: path.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_holds_is_told_apart_from_what_keeps_it_from_being_read() {
        let odd = rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, "odd".into());
        assert!(StoreError::from(odd).is_of_one_record() && StoreError::damaged("it").is_of_one_record());
        let busy = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(5), None);
        let failing = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(10), None);
        let no_memory = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(7), None);
        for of_a_moment in [busy, failing, no_memory] {
            assert!(!StoreError::from(of_a_moment).is_of_one_record());
        }
        assert!(!failed("open", Path::new("x"))(io::ErrorKind::Other.into()).is_of_one_record());
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_refusals() {
        let full = failed("write", Path::new("x"))(io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), "disk-full");
        let refused = failed("write", Path::new("x"))(io::ErrorKind::PermissionDenied.into());
        assert!(refused.to_string().starts_with("could not write x: "), "{refused}");
        assert!(refused.to_string().contains("--data-directory") && !refused.is_read_only(), "{refused}");
        assert!(failed("write", Path::new("x"))(io::ErrorKind::ReadOnlyFilesystem.into()).is_read_only());
    }
}
