//! Whether a stored file still has the bytes that its name promises. One that has not is set aside, so that nobody is
//! given wrong bytes under a right name.
//!
//! Hashing a large file takes seconds, so what was found sound is remembered, in memory, until the file changes: each
//! life hashes a file before it hands out the first byte of it. What a failing disk gives back differently later,
//! without any change that the system tells, shows when the file is handed out whole, or verified.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use deskgrid_fault::{Point, point};
use deskgrid_job::BlobHash;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::draft::{PIECE, fill};
use super::{BlobFile, Blobs};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::{blocking, platform};

/// Files that are remembered; with more than these all are forgotten.
const MOST: usize = 16_384;

/// What tells a file from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    number: u64,
}

impl Stamp {
    fn of(facts: &Metadata) -> Self {
        Self { size: facts.len(), modified: facts.modified().ok(), number: platform::file_number(facts) }
    }
}

/// The files that were found sound, as they were then.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    sound: Mutex<HashMap<BlobHash, Stamp>>,
    /// Files that are being hashed, each with a lock that is held meanwhile: whoever else wants one waits for that.
    hashing: Mutex<HashMap<BlobHash, Weak<Mutex<()>>>>,
    /// Files that were set aside since the start.
    damaged: watch::Sender<u64>,
}

impl Proofs {
    fn lock(&self) -> MutexGuard<'_, HashMap<BlobHash, Stamp>> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, hash: BlobHash, facts: &Metadata) {
        let mut proofs = self.lock();
        if proofs.len() >= MOST {
            proofs.clear();
        }
        proofs.insert(hash, Stamp::of(facts));
    }

    fn holds(&self, hash: BlobHash, facts: &Metadata) -> bool {
        self.lock().get(&hash) == Some(&Stamp::of(facts))
    }

    /// Files that were set aside since the start.
    pub(crate) fn damaged(&self) -> watch::Receiver<u64> {
        self.damaged.subscribe()
    }

    /// What is held while a file is hashed, so that many who want it do not all read it.
    fn turn(&self, hash: BlobHash) -> Arc<Mutex<()>> {
        let mut hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        hashing.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = hashing.get(&hash).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        hashing.insert(hash, Arc::downgrade(&turn));
        turn
    }

    fn forget(&self, hash: BlobHash) {
        self.lock().remove(&hash);
    }
}

impl Folder {
    /// Notes that the file at its place has just been given the bytes that its name promises.
    pub(super) fn note_sound(&self, hash: BlobHash) {
        if let Ok(facts) = fs::metadata(self.blob(hash)) {
            self.proofs.note(hash, &facts);
        }
    }

    /// Gives a stored file the present time; what was known of it stays known.
    pub(super) fn touch(&self, hash: BlobHash) -> io::Result<()> {
        let place = self.blob(hash);
        let was_sound = fs::metadata(&place).is_ok_and(|facts| self.proofs.holds(hash, &facts));
        platform::touch(&place)?;
        if was_sound {
            self.note_sound(hash);
        }
        Ok(())
    }

    /// Moves a damaged file out of the way, unless another has taken its place meanwhile, and says so.
    fn set_aside(&self, hash: BlobHash, file: &File) -> StoreError {
        let (place, aside) = (self.blob(hash), self.damaged().join(hash.to_string()));
        self.proofs.forget(hash);
        let _alone = self.comings.write().unwrap_or_else(PoisonError::into_inner);
        if platform::is_same_file(file, &place).unwrap_or(true) {
            let moved = platform::create_private_folder(&self.damaged())
                .and_then(|()| fs::rename(&place, &aside))
                // Where it cannot be kept, it must not stay under its name.
                .or_else(|_| fs::remove_file(&place));
            point(Point::BlobSetAside);
            self.proofs.damaged.send_modify(|files| *files += 1);
            match moved {
                Ok(()) => tracing::error!(%hash, "a stored file was damaged on the disk; it was set aside"),
                Err(error) => {
                    tracing::error!(%hash, %error, "a stored file is damaged, and cannot be set aside");
                }
            }
        }
        StoreError::DamagedFile { hash, aside }
    }

    /// Whether the file at its place has the right bytes; they are hashed, unless that was done since it last changed.
    pub(super) fn is_sound(&self, hash: BlobHash) -> bool {
        let place = self.blob(hash);
        let Ok(mut file) = File::open(&place) else { return false };
        let Ok(facts) = file.metadata() else { return false };
        if self.proofs.holds(hash, &facts) {
            return true;
        }
        let is_sound = is_sound(&mut file, hash, &place).unwrap_or(false);
        if is_sound {
            self.proofs.note(hash, &facts);
        }
        is_sound
    }

    /// Why a file is not there, if it was found damaged.
    pub(super) fn damage(&self, hash: BlobHash) -> Option<StoreError> {
        let aside = self.damaged().join(hash.to_string());
        aside.exists().then_some(StoreError::DamagedFile { hash, aside })
    }
}

/// Whether the bytes of `file` have the hash `hash`.
fn is_sound(file: &mut File, hash: BlobHash, path: &Path) -> Result<bool, StoreError> {
    match digest(file) {
        // A sector that cannot be read is damage like another one.
        Err(error) if is_damage(&error) => Ok(false),
        found => Ok(found.map_err(failed("read", path))? == hash),
    }
}

/// The hash of all that is left to read of `file`.
pub(crate) fn digest(file: &mut File) -> io::Result<BlobHash> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let filled = fill(file, &mut buffer)?;
        hasher.update(&buffer[..filled]);
        if filled < buffer.len() {
            return Ok(BlobHash(hasher.finalize().into()));
        }
    }
}

/// Whether the disk itself could not give the bytes.
fn is_damage(error: &io::Error) -> bool {
    /// `EIO`, on every Unix.
    const INPUT_OUTPUT: i32 = 5;
    cfg!(unix) && error.raw_os_error() == Some(INPUT_OUTPUT)
}

impl Blobs {
    /// Opens a blob that is known to have the right bytes: they are hashed, unless that was done since it last
    /// changed. None when it is not stored.
    ///
    /// # Errors
    /// [`StoreError::DamagedFile`] when it has other bytes; it is set aside then.
    pub async fn open_sound(&self, hash: BlobHash) -> Result<Option<BlobFile>, StoreError> {
        let blobs = self.clone();
        blocking(move || blobs.open_sound_blocking(hash)).await
    }

    /// As [`Blobs::open_sound`], on a thread that may block.
    pub fn open_sound_blocking(&self, hash: BlobHash) -> Result<Option<BlobFile>, StoreError> {
        let folder = &self.shared.folder;
        let Some(blob) = self.open_or_tell(hash)? else { return Ok(None) };
        let facts = blob.file.metadata().map_err(failed("look at", &blob.path))?;
        if folder.proofs.holds(hash, &facts) {
            return Ok(Some(blob));
        }
        let turn = folder.proofs.turn(hash);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have hashed it while this one waited.
        if folder.proofs.holds(hash, &facts) {
            return Ok(Some(blob));
        }
        self.verify_blocking(hash)?;
        // Another may have set it aside.
        self.open_or_tell(hash)
    }

    /// Opens a blob; one that is not there because it was found damaged is an error.
    fn open_or_tell(&self, hash: BlobHash) -> Result<Option<BlobFile>, StoreError> {
        match self.open_blocking(hash)? {
            None => self.shared.folder.damage(hash).map_or(Ok(None), Err),
            found => Ok(found),
        }
    }

    /// Hashes a blob, whatever is known of it. False when it is not stored. On a thread that may block.
    ///
    /// # Errors
    /// [`StoreError::DamagedFile`] when it has other bytes; it is set aside then.
    pub fn verify_blocking(&self, hash: BlobHash) -> Result<bool, StoreError> {
        let Some(BlobFile { mut file, path, .. }) = self.open_blocking(hash)? else { return Ok(false) };
        let facts = file.metadata().map_err(failed("look at", &path))?;
        if !is_sound(&mut file, hash, &path)? {
            return Err(self.shared.folder.set_aside(hash, &file));
        }
        self.shared.folder.proofs.note(hash, &facts);
        Ok(true)
    }

    /// All bytes of a blob, hashed. None when it is not stored. For small ones.
    ///
    /// # Errors
    /// As [`Blobs::open_sound`].
    pub async fn read_sound(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, StoreError> {
        let blobs = self.clone();
        blocking(move || {
            let Some(BlobFile { mut file, path, .. }) = blobs.open_or_tell(hash)? else { return Ok(None) };
            let mut bytes = Vec::new();
            match file.read_to_end(&mut bytes) {
                Err(error) if !is_damage(&error) => return Err(failed("read", &path)(error)),
                Ok(_) if <[u8; 32]>::from(Sha256::digest(&bytes)) == hash.0 => return Ok(Some(bytes)),
                _ => {}
            }
            Err(blobs.shared.folder.set_aside(hash, &file))
        })
        .await
    }

    /// Reads a blob piece by piece. It was hashed since it last changed, and is hashed once more on the way: so no byte
    /// of a file that was damaged before is given, and of one that a disk reads differently now not all. None when it
    /// is not stored.
    ///
    /// # Errors
    /// As [`Blobs::open_sound`].
    pub async fn read_checked(&self, hash: BlobHash) -> Result<Option<CheckedReader>, StoreError> {
        let blobs = self.clone();
        blocking(move || {
            let Some(blob) = blobs.open_sound_blocking(hash)? else { return Ok(None) };
            let (size, left) = (blob.size, blob.size);
            Ok(Some(CheckedReader { blobs, hash, blob, hasher: Sha256::new(), size, left }))
        })
        .await
    }
}

/// Gives the bytes of a blob, and the last of them only when all had the right hash.
#[derive(Debug)]
pub struct CheckedReader {
    blobs: Blobs,
    hash: BlobHash,
    blob: BlobFile,
    hasher: Sha256,
    size: u64,
    left: u64,
}

impl CheckedReader {
    /// The length of the blob in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes with the reader for those that follow; none at the end.
    ///
    /// # Errors
    /// [`StoreError::DamagedFile`] when the bytes are not the right ones; the blob is set aside then.
    pub async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>, StoreError> {
        if self.left == 0 {
            return Ok(None);
        }
        blocking(move || self.read().map(|piece| Some((piece, self)))).await
    }

    fn read(&mut self) -> Result<Vec<u8>, StoreError> {
        let wanted = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; wanted];
        let filled = match fill(&mut self.blob.file, &mut piece) {
            Err(error) if is_damage(&error) => 0,
            filled => filled.map_err(failed("read", &self.blob.path))?,
        };
        self.hasher.update(&piece[..filled]);
        self.left -= filled as u64;
        let is_whole = self.left > 0 || <[u8; 32]>::from(self.hasher.clone().finalize()) == self.hash.0;
        if filled < wanted || !is_whole {
            return Err(self.blobs.shared.folder.set_aside(self.hash, &self.blob.file));
        }
        if self.left == 0
            && let Ok(facts) = self.blob.file.metadata()
        {
            self.blobs.shared.folder.proofs.note(self.hash, &facts);
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::blobs::tests::hash_of;

    struct Case {
        dir: tempfile::TempDir,
        blobs: Blobs,
        hash: BlobHash,
    }

    fn case(bytes: &[u8]) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let mut batch = blobs.batch();
        batch.write(bytes).unwrap();
        batch.commit().unwrap();
        Case { dir, blobs, hash: hash_of(bytes) }
    }

    impl Case {
        /// Changes one byte of the stored file, as a failing disk does.
        fn damage(&self, at: usize) {
            let place = self.blobs.path(self.hash);
            let mut bytes = fs::read(&place).unwrap();
            bytes[at] ^= 1;
            fs::remove_file(&place).unwrap();
            fs::write(&place, bytes).unwrap();
        }

        fn is_set_aside(&self) -> bool {
            !self.blobs.path(self.hash).exists()
                && self.dir.path().join("damaged").join(self.hash.to_string()).exists()
        }

        async fn read_to_end(&self) -> (usize, Option<StoreError>) {
            let mut reader = self.blobs.read_checked(self.hash).await.unwrap().unwrap();
            let mut count = 0;
            loop {
                match reader.next().await {
                    Ok(Some((piece, rest))) => {
                        count += piece.len();
                        reader = rest;
                    }
                    Ok(None) => return (count, None),
                    Err(error) => return (count, Some(error)),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_sound_file_is_given_whole() {
        let case = case(&vec![7; 3 * PIECE + 5]);
        assert_eq!(case.read_to_end().await.0, 3 * PIECE + 5);
        assert_eq!(case.blobs.read_sound(case.hash).await.unwrap().unwrap().len(), 3 * PIECE + 5);
        assert!(case.blobs.open_sound(case.hash).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn not_a_byte_of_a_damaged_large_file_is_given() {
        let case = case(&vec![7; 3 * PIECE + 5]);
        case.damage(0);
        assert_eq!(case.blobs.read_checked(case.hash).await.unwrap_err().code(), "file-damaged");
        assert!(case.is_set_aside());
    }

    #[tokio::test]
    async fn the_end_of_a_file_that_reads_differently_than_before_is_held_back_and_the_file_is_set_aside() {
        let case = case(&vec![7; 3 * PIECE + 5]);
        case.damage(0);
        case.blobs.shared.folder.note_sound(case.hash);
        let (count, error) = case.read_to_end().await;
        assert_eq!((count, error.unwrap().code()), (3 * PIECE, "file-damaged"));
        assert!(case.is_set_aside());
        assert_eq!(case.blobs.read_sound(case.hash).await.unwrap_err().code(), "file-damaged");
    }

    #[tokio::test]
    async fn not_a_byte_of_a_damaged_small_file_is_given() {
        let case = case(b"small");
        case.damage(4);
        assert_eq!(case.blobs.read_sound(case.hash).await.unwrap_err().code(), "file-damaged");
        assert!(case.is_set_aside());
    }

    #[tokio::test]
    async fn a_file_that_was_cut_short_is_damaged() {
        let case = case(b"not so small");
        let place = case.blobs.path(case.hash);
        fs::remove_file(&place).unwrap();
        fs::write(&place, "not so").unwrap();
        assert_eq!(case.blobs.open_sound(case.hash).await.unwrap_err().code(), "file-damaged");
    }

    #[tokio::test]
    async fn what_is_known_of_a_file_counts_until_it_changes_and_not_for_verifying() {
        let case = case(b"bytes");
        let place = case.blobs.path(case.hash);
        let facts = fs::metadata(&place).unwrap();
        assert!(case.blobs.shared.folder.proofs.holds(case.hash, &facts), "what has come in is known");
        case.blobs.note_use(case.hash).await;
        assert!(case.blobs.shared.folder.proofs.holds(case.hash, &fs::metadata(&place).unwrap()));
        case.damage(1);
        assert!(!case.blobs.shared.folder.proofs.holds(case.hash, &fs::metadata(&place).unwrap()));
        case.blobs.shared.folder.note_sound(case.hash);
        assert_eq!(case.blobs.verify_blocking(case.hash).unwrap_err().code(), "file-damaged");
    }

    #[test]
    fn whoever_wants_a_file_that_is_being_hashed_waits_for_that_and_nobody_else_does() {
        let proofs = Proofs::default();
        let (one, other) = (BlobHash([1; 32]), BlobHash([2; 32]));
        let turn = proofs.turn(one);
        let held = turn.lock().unwrap();
        assert!(proofs.turn(one).try_lock().is_err() && proofs.turn(other).try_lock().is_ok());
        drop(held);
        drop(turn);
        assert!(proofs.turn(one).try_lock().is_ok());
        assert_eq!(proofs.hashing.lock().unwrap().len(), 1, "what is over is forgotten");
    }

    #[test]
    fn whoever_waited_while_a_file_was_found_damaged_hears_of_that() {
        let case = case(b"bytes");
        case.damage(1);
        let turn = case.blobs.shared.folder.proofs.turn(case.hash);
        let held = turn.lock().unwrap();
        let (blobs, hash) = (case.blobs.clone(), case.hash);
        let waits = std::thread::spawn(move || blobs.open_sound_blocking(hash).unwrap_err().code());
        while Arc::strong_count(&turn) == 1 {
            std::thread::yield_now();
        }
        assert_eq!(case.blobs.verify_blocking(case.hash).unwrap_err().code(), "file-damaged");
        drop(held);
        assert_eq!(waits.join().unwrap(), "file-damaged");
    }

    #[tokio::test]
    async fn bringing_a_damaged_file_again_heals_it() {
        let case = case(b"bytes");
        case.damage(2);
        let mut batch = case.blobs.batch();
        batch.write(&b"bytes"[..]).unwrap();
        batch.commit().unwrap();
        assert_eq!(case.blobs.read_sound(case.hash).await.unwrap().unwrap(), b"bytes");
    }
}
