//! Many blobs that come in together, as the outputs of a job do: few waits for the disk, whatever their number.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

use deskgrid_fault::{Point, point};

use super::draft::{Draft, Finished, PIECE, Temporary, hash_in_place};
use super::shelve::shelve;
use super::{Blobs, Stored};
use crate::error::{StoreError, failed};
use crate::platform;
use crate::room::Purpose;

/// Blobs that have no name in the store until [`Batch::commit`]. Dropping it before that leaves nothing behind.
/// Every call blocks on the disk.
#[derive(Debug)]
pub struct Batch {
    blobs: Blobs,
    finished: Vec<Finished>,
    /// Empty until the first file, then [`PIECE`] bytes for all of them.
    buffer: Vec<u8>,
}

impl Batch {
    pub(super) fn new(blobs: Blobs) -> Self {
        blobs.shared.folder.remove_leftovers();
        Self { blobs, finished: Vec::new(), buffer: Vec::new() }
    }

    /// Takes a regular file over from where it lies at `path`: linked when nobody else can still change it, copied
    /// otherwise (other names, another owner, another file system). `file` is that file, open for reading; its
    /// content counts, should `path` have come to name another one. One that was taken over before, and is a blob since,
    /// takes no room once more.
    ///
    /// The file stays at `path`, read-only: should we die before the result is written, it can be collected again.
    ///
    /// # Errors
    /// [`StoreError::File`] among others when it is no regular file.
    pub fn adopt(&mut self, mut file: File, path: &Path) -> Result<Stored, StoreError> {
        let metadata = file.metadata().map_err(failed("look at", path))?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(failed("store", path)(error));
        }
        file.rewind().map_err(failed("read", path))?;
        if let Some(temporary) = self.link_in(&file, path) {
            let finished = hash_in_place(file, temporary, self.buffer())?;
            return Ok(self.keep(finished));
        }
        if let Some(stored) = self.adopt_again(&file, path)? {
            return Ok(stored);
        }
        file.rewind().map_err(failed("read", path))?;
        self.write(file)
    }

    /// Takes a file that is a blob already, as outputs are that are collected once more. None when it is no such file.
    fn adopt_again(&mut self, file: &File, path: &Path) -> Result<Option<Stored>, StoreError> {
        if !platform::is_frozen(file).unwrap_or_default() {
            return Ok(None);
        }
        let Some(temporary) = self.link(file, path) else { return Ok(None) };
        let file_again = file.try_clone().map_err(failed("open", path))?;
        let finished = hash_in_place(file_again, temporary, self.buffer())?;
        let blob = self.blobs.shared.folder.blob(finished.stored.hash);
        let is_blob = platform::is_same_file(file, &blob).unwrap_or_default();
        Ok(is_blob.then(|| self.keep(finished)))
    }

    /// Copies all that `reader` gives.
    pub fn write(&mut self, reader: impl Read) -> Result<Stored, StoreError> {
        let mut draft = Draft::create(&self.blobs.shared.folder, Purpose::Outputs)?;
        draft.copy(reader, self.buffer())?;
        let finished = draft.finish()?;
        Ok(self.keep(finished))
    }

    /// Gives all blobs their names. They are on the disk when this returns.
    pub fn commit(self) -> Result<(), StoreError> {
        shelve(&self.blobs.shared.folder, self.finished)
    }

    fn keep(&mut self, finished: Finished) -> Stored {
        let stored = finished.stored;
        self.finished.push(finished);
        stored
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.buffer.resize(PIECE, 0);
        &mut self.buffer
    }

    /// None when the file has to be copied.
    fn link_in(&self, file: &File, path: &Path) -> Option<Temporary> {
        if platform::take_over(file).ok()? { self.link(file, path) } else { None }
    }

    fn link(&self, file: &File, path: &Path) -> Option<Temporary> {
        let fresh = self.blobs.shared.folder.fresh();
        fs::hard_link(path, &fresh).ok()?;
        point(Point::OutputLinked);
        // From here on its removal is certain, whatever it turns out to be.
        let temporary = Temporary::at(&self.blobs.shared.folder, fresh);
        platform::is_same_file(file, temporary.path()).ok()?.then_some(temporary)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Store;
    use crate::blobs::tests::{hash_of, incoming_is_empty};

    struct Case {
        dir: tempfile::TempDir,
        store: Store,
        blobs: Blobs,
        batch: Batch,
    }

    fn case() -> Case {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let blobs = store.blobs();
        let batch = blobs.batch();
        Case { dir, store, blobs, batch }
    }

    impl Case {
        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        }

        fn adopt(&mut self, path: &Path) -> Stored {
            self.batch.adopt(File::open(path).unwrap(), path).unwrap()
        }

        fn read(&self, hash: deskgrid_job::BlobHash) -> Vec<u8> {
            fs::read(self.blobs.path(hash)).unwrap()
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_adopted_file_is_linked_into_the_store_and_becomes_read_only() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let mut case = case();
        let path = case.file("out", "text");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4711)).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let stored = case.adopt(&path);
        assert_eq!(stored, Stored { hash: hash_of(b"text"), size: 4 });
        case.batch.commit().unwrap();
        assert!(path.exists(), "it can be collected again after a crash");
        let metadata = fs::metadata(case.blobs.path(stored.hash)).unwrap();
        assert_eq!((metadata.ino(), metadata.mode() & 0o7777), (inode, 0o444));
    }

    #[test]
    fn a_file_with_two_names_is_copied_so_that_the_other_name_cannot_change_it() {
        let mut case = case();
        let path = case.file("out", "text");
        let other = case.dir.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        let stored = case.adopt(&path);
        std::mem::replace(&mut case.batch, case.blobs.batch()).commit().unwrap();
        fs::write(&other, "changed").unwrap();
        assert_eq!(case.read(stored.hash), b"text");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_collected_once_more_is_not_copied() {
        use std::os::unix::fs::MetadataExt;
        let mut case = case();
        let path = case.file("out", "text");
        let first = case.adopt(&path);
        std::mem::replace(&mut case.batch, case.blobs.batch()).commit().unwrap();
        // A copy would have to be written.
        case.store.set_reserve(Some(1 << 60));
        assert_eq!(case.adopt(&path), first);
        std::mem::replace(&mut case.batch, case.blobs.batch()).commit().unwrap();
        assert_eq!(fs::metadata(case.blobs.path(first.hash)).unwrap().nlink(), 2);
        assert!(incoming_is_empty(&case.dir));
    }

    #[cfg(unix)]
    #[test]
    fn a_temporary_file_that_could_not_be_removed_is_removed_by_the_next_batch() {
        let case = case();
        let folder = case.blobs.shared.folder.clone();
        let path = folder.fresh();
        // A folder cannot be removed as a file is.
        fs::create_dir(&path).unwrap();
        drop(Temporary::at(&folder, path.clone()));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "left").unwrap();
        drop(case.blobs.batch());
        assert!(incoming_is_empty(&case.dir));
    }

    #[test]
    fn the_open_file_counts_when_its_path_names_another() {
        let mut case = case();
        let path = case.file("out", "wanted");
        let file = File::open(&path).unwrap();
        let moved = case.dir.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        case.file("out", "planted");
        let stored = case.batch.adopt(file, &path).unwrap();
        assert_eq!(stored.hash, hash_of(b"wanted"));
        std::mem::replace(&mut case.batch, case.blobs.batch()).commit().unwrap();
        assert_eq!(case.read(stored.hash), b"wanted");
        assert!(!case.blobs.path(hash_of(b"planted")).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused() {
        let mut case = case();
        let path = Path::new("/dev/null");
        let error = case.batch.adopt(File::open(path).unwrap(), path).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }

    #[test]
    fn two_thousand_small_files_are_all_there_after_one_commit() {
        let mut case = case();
        let mut hashes = Vec::new();
        for n in 0..2_000 {
            // Every tenth comes twice.
            let text = format!("content {}", n - n % 10 / 9);
            let stored = if n % 2 == 0 {
                case.batch.write(text.as_bytes()).unwrap()
            } else {
                let path = case.file(&format!("out{n}"), &text);
                case.adopt(&path)
            };
            assert_eq!(stored.hash, hash_of(text.as_bytes()));
            hashes.push((stored.hash, text));
        }
        let batch = std::mem::replace(&mut case.batch, case.blobs.batch());
        assert!(!case.blobs.path(hashes[0].0).exists(), "no name before the commit");
        batch.commit().unwrap();
        for (hash, text) in hashes {
            assert_eq!(case.read(hash), text.as_bytes());
        }
        assert!(incoming_is_empty(&case.dir));
    }

    #[test]
    fn a_batch_that_is_dropped_leaves_nothing() {
        let mut case = case();
        let stored = case.batch.write(&b"text"[..]).unwrap();
        drop(case.batch);
        assert!(!case.blobs.path(stored.hash).exists());
        assert!(incoming_is_empty(&case.dir));
    }

    #[test]
    fn a_reader_that_fails_leaves_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut case = case();
        case.batch.write((&b"some"[..]).chain(Broken)).unwrap_err();
        assert!(incoming_is_empty(&case.dir));
    }
}
