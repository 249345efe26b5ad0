//! Whether a copy of the data folder is what it was copied from, and that nobody changes the folder meanwhile.

use std::fs::File;
use std::io;
use std::path::Path;

use deskgrid_job::BlobHash;

use crate::blobs::digest;
use crate::error::StoreError;
use crate::folder::Folder;
use crate::lock::Lock;
use crate::platform;

/// A data folder that nobody has open, and nobody can open as long as this lives.
#[derive(Debug)]
pub struct AtRest(#[expect(dead_code, reason = "the lock is what it is for")] Option<Lock>);

impl AtRest {
    /// Keeps others out of `folder`. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody has it open.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        match Lock::take(&Folder::create(folder)?) {
            Err(error @ StoreError::InUse { .. }) => Err(error),
            // Where the disk may only be read any more, nobody opens it, and much depends on the copy.
            taken => Ok(Self(taken.ok())),
        }
    }
}

/// Whether `copy` has the bytes of the file `inside` of the data folder `root`. The copy is read from the disk, where
/// the system forgets what it still has of it in memory when it is asked to. Blocks on the disk.
///
/// # Errors
/// When either cannot be read.
pub fn is_true_copy(root: &Path, inside: &Path, copy: &Path) -> io::Result<bool> {
    let mut copy = File::open(copy)?;
    platform::forget(&copy)?;
    let found = digest(&mut copy)?;
    // A blob that was damaged before it was copied goes along, and is found when it is given out.
    Ok(promised(inside) == Some(found) || digest(&mut File::open(root.join(inside))?)? == found)
}

/// What the name of a blob says of its bytes.
fn promised(inside: &Path) -> Option<BlobHash> {
    inside.starts_with(crate::folder::BLOBS).then(|| BlobHash::parse(inside.file_name()?.to_str()?)).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A data folder with one file in it, and the place of the copy.
    fn with(inside: &Path, bytes: &[u8]) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        fs::create_dir_all(root.join(inside).parent().unwrap()).unwrap();
        fs::write(root.join(inside), bytes).unwrap();
        let copy = dir.path().join("copy");
        (dir, root, copy)
    }

    #[test]
    fn a_copy_is_true_only_with_every_byte() {
        let blob = Path::new("blobs/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        for inside in [blob, Path::new("deskgrid.sqlite3")] {
            let (_dir, root, copy) = with(inside, b"hello");
            for (bytes, is_true) in [(&b"hello"[..], true), (b"hell", false), (b"hallo", false), (b"", false)]
            {
                fs::write(&copy, bytes).unwrap();
                assert_eq!(is_true_copy(&root, inside, &copy).unwrap(), is_true, "{inside:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn a_blob_that_was_damaged_before_is_copied_as_it_is() {
        let blob = Path::new("blobs/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        let (_dir, root, copy) = with(blob, b"jello");
        fs::write(&copy, b"jello").unwrap();
        assert!(is_true_copy(&root, blob, &copy).unwrap());
        fs::write(&copy, b"jelly").unwrap();
        assert!(!is_true_copy(&root, blob, &copy).unwrap());
    }

    #[test]
    fn nobody_opens_a_folder_that_is_at_rest() {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::of(dir.path()).unwrap();
        assert_eq!(crate::Store::open(dir.path()).unwrap_err().code(), "data-folder-in-use");
        drop(at_rest);
        crate::Store::open(dir.path()).unwrap();
    }
}
