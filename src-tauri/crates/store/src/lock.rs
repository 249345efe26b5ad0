//! The lock that keeps a second program out of the data folder.
//!
//! The operating system holds it and lets go of it when the process ends, however it ends; the file that stays
//! behind locks nothing.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{StoreError, failed};
use crate::folder::{Folder, lock_of};
use crate::platform;

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the lock and writes our process id beside it, or says who has it.
    pub(crate) fn take(folder: &Folder) -> Result<Self, StoreError> {
        let path = folder.lock();
        let mut file = platform::private_file()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { folder: folder.root().to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(failed("write", &path))?;
        Ok(Self(file))
    }
}

/// Whether a running program has the data folder at `root`.
pub(crate) fn is_held(root: &Path) -> bool {
    let Ok(file) = File::open(lock_of(root)) else { return false };
    // Taken for a moment when it is free; dropping the file lets go of it.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// None where the system does not let a locked file be read.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let held = Lock::take(&folder).unwrap();
        let error = Lock::take(&folder).unwrap_err();
        assert!(matches!(error, StoreError::InUse { pid, .. } if pid == Some(std::process::id())), "{error}");
        assert!(is_held(dir.path()));
        drop(held);
        assert!(!is_held(dir.path()));
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn the_file_of_a_dead_process_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        std::fs::write(folder.lock(), "4294967295 and more").unwrap();
        Lock::take(&folder).unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(std::fs::read_to_string(folder.lock()).unwrap(), pid);
    }
}
