//! One blob that arrives piece by piece, as an upload does. Memory does not grow with its size, and no thread waits for
//! a client: however many bring their bytes slowly, the disk stays free for everybody else.

use bytes::Bytes;
use deskgrid_job::BlobHash;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::draft::{Draft, PIECE};
use super::shelve::shelve;
use super::{Blobs, Stored};
use crate::error::StoreError;
use crate::room::Purpose;

/// While a thread writes, so many bytes are gathered for it; then more wait.
const GATHERED: usize = 2 * PIECE;
/// Or so many pieces, each of which costs memory beyond its bytes.
const MOST_PIECES: usize = 512;

/// A blob that is coming in. Dropping it before [`Incoming::finish`] leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    blobs: Blobs,
    expected: Option<BlobHash>,
    gathered: Vec<Bytes>,
    bytes: usize,
    writing: Writing,
}

/// Where the part is that came in before.
#[derive(Debug)]
enum Writing {
    /// Nothing was written yet.
    NotBegun,
    /// A thread hashes and writes.
    Busy(JoinHandle<Result<Draft, StoreError>>),
    /// It failed, which has been told.
    Failed,
}

impl Incoming {
    pub(super) fn start(blobs: Blobs, expected: Option<BlobHash>) -> Self {
        Self { blobs, expected, gathered: Vec::new(), bytes: 0, writing: Writing::NotBegun }
    }

    /// Takes the next bytes; waits while the disk is behind.
    ///
    /// # Errors
    /// What stopped the writing, such as [`StoreError::DiskFull`]. Nothing can be pushed after that.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.bytes += bytes.len();
        self.gathered.push(bytes);
        let is_full = self.bytes >= GATHERED || self.gathered.len() >= MOST_PIECES;
        let is_idle = !matches!(&self.writing, Writing::Busy(task) if !task.is_finished());
        if is_full || is_idle { self.pass_on().await } else { Ok(()) }
    }

    /// Ends the blob. It is in its place and on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`] when the bytes are not the expected ones; nothing is stored then, nor after any
    /// other error.
    pub async fn finish(mut self) -> Result<Stored, StoreError> {
        let draft = self.written().await?;
        let (blobs, expected, gathered) =
            (self.blobs.clone(), self.expected, std::mem::take(&mut self.gathered));
        let ended =
            tokio::task::spawn_blocking(move || end(&blobs, expected, write(&blobs, draft, &gathered)?));
        ended.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Has what was gathered written, once what came before is.
    async fn pass_on(&mut self) -> Result<(), StoreError> {
        let draft = self.written().await?;
        let (blobs, gathered) = (self.blobs.clone(), std::mem::take(&mut self.gathered));
        self.bytes = 0;
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || write(&blobs, draft, &gathered)));
        Ok(())
    }

    /// Waits until all that was passed on is written; none when nothing was.
    async fn written(&mut self) -> Result<Option<Draft>, StoreError> {
        match std::mem::replace(&mut self.writing, Writing::Failed) {
            Writing::NotBegun => Ok(None),
            Writing::Busy(task) => task.await.unwrap_or(Err(StoreError::Stopped)).map(Some),
            Writing::Failed => Err(StoreError::Stopped),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Removing a large file takes a while, and whoever drops this need not wait for it. The task ends when that is
        // done; what it does not come to is swept at the next start.
        if let Writing::Busy(task) = std::mem::replace(&mut self.writing, Writing::Failed)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                if let Ok(Ok(draft)) = task.await {
                    let _ = tokio::task::spawn_blocking(move || drop(draft)).await;
                }
            });
        }
    }
}

/// Adds the pieces to the draft, which begins with the first of them.
fn write(blobs: &Blobs, draft: Option<Draft>, pieces: &[Bytes]) -> Result<Draft, StoreError> {
    let mut draft = match draft {
        Some(draft) => draft,
        None => Draft::create(&blobs.shared.folder, Purpose::Incoming)?,
    };
    let mut small = Vec::new();
    for piece in pieces {
        // Small pieces are gathered, large ones go straight through.
        if small.len() + piece.len() > PIECE {
            draft.write(&small)?;
            small.clear();
        }
        if piece.len() >= PIECE {
            piece.chunks(PIECE).try_for_each(|part| draft.write(part))?;
        } else {
            small.extend_from_slice(piece);
        }
    }
    draft.write(&small)?;
    Ok(draft)
}

fn end(blobs: &Blobs, expected: Option<BlobHash>, draft: Draft) -> Result<Stored, StoreError> {
    let finished = draft.finish()?;
    let stored = finished.stored;
    match expected {
        Some(expected) if expected != stored.hash => {
            Err(StoreError::HashMismatch { expected, found: stored.hash })
        }
        _ => shelve(&blobs.shared.folder, vec![finished]).map(|()| stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::blobs::tests::{hash_of, incoming_is_empty};

    async fn put(blobs: &Blobs, expected: Option<BlobHash>, pieces: &[Bytes]) -> Result<Stored, StoreError> {
        let mut incoming = blobs.receive(expected);
        for piece in pieces {
            incoming.push(piece.clone()).await?;
        }
        incoming.finish().await
    }

    #[tokio::test]
    async fn bytes_of_any_cut_come_back_under_their_hash() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        let whole = Bytes::from(bytes.clone());
        let cuts = [0..1, 1..7, 7..300_000, 300_000..300_001, 300_001..1_000_003];
        let pieces: Vec<_> = cuts.into_iter().map(|cut| whole.slice(cut)).collect();
        let stored = put(&blobs, Some(hash_of(&bytes)), &pieces).await.unwrap();
        assert_eq!(stored, Stored { hash: hash_of(&bytes), size: 1_000_003 });
        let found = blobs.open(stored.hash).await.unwrap().unwrap();
        assert_eq!((std::fs::read(&found.path).unwrap(), found.size), (bytes, 1_000_003));
        assert!(incoming_is_empty(&dir));
    }

    #[tokio::test]
    async fn no_bytes_are_a_blob_too() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let stored = put(&blobs, None, &[]).await.unwrap();
        assert_eq!(stored, Stored { hash: hash_of(b""), size: 0 });
    }

    #[tokio::test]
    async fn bytes_under_a_wrong_hash_are_refused_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let error = put(&blobs, Some(hash_of(b"this")), &[Bytes::from("that")]).await.unwrap_err();
        assert!(
            matches!(error, StoreError::HashMismatch { found, .. } if found == hash_of(b"that")),
            "{error}"
        );
        assert!(blobs.open(hash_of(b"this")).await.unwrap().is_none());
        assert!(blobs.open(hash_of(b"that")).await.unwrap().is_none());
        assert!(incoming_is_empty(&dir));
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        for pieces in 0..5 {
            let mut incoming = blobs.receive(None);
            for _ in 0..pieces {
                incoming.push(Bytes::from(vec![1; PIECE])).await.unwrap();
            }
            drop(incoming);
            // A thread may still be at it, and removes what it wrote when it is done.
            while !incoming_is_empty(&dir) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn an_error_of_the_disk_reaches_the_sender() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        std::fs::remove_dir_all(dir.path().join("incoming")).unwrap();
        for count in [1, 5 * MOST_PIECES] {
            let pieces = vec![Bytes::from_static(b"x"); count];
            let error = put(&blobs, None, &pieces).await.unwrap_err();
            assert_eq!(error.code(), "disk-failed", "{error}");
        }
    }

    #[tokio::test]
    async fn an_error_at_the_last_step_leaves_nothing_either() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let place = blobs.path(hash_of(b"x"));
        std::fs::remove_dir(place.parent().unwrap()).unwrap();
        let error = put(&blobs, None, &[Bytes::from_static(b"x")]).await.unwrap_err();
        assert_eq!(error.code(), "disk-failed", "{error}");
        assert!(incoming_is_empty(&dir));
    }

    /// `/dev/full` refuses every byte for want of room, as a full disk does.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_is_called_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = crate::Folder::create(dir.path()).unwrap();
        folder.prepare().unwrap();
        let mut draft = Draft::create(&std::sync::Arc::new(folder), Purpose::Outputs).unwrap();
        draft.write_to(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert_eq!(draft.write(b"x").unwrap_err().code(), "disk-full");
        drop(draft);
        assert!(incoming_is_empty(&dir));
    }

    /// Systems tell that bytes did not get onto the disk once, and that may be while more are coming.
    #[cfg(unix)]
    #[test]
    fn what_the_disk_refuses_while_a_large_file_is_written_is_told_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = crate::Folder::create(dir.path()).unwrap();
        folder.prepare().unwrap();
        let mut draft = Draft::create(&std::sync::Arc::new(folder), Purpose::Outputs).unwrap();
        // A pipe cannot be synced.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let drain = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        draft.write_to(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
        let piece = vec![7; 1024 * 1024];
        for _ in 0..40 {
            draft.write(&piece).unwrap();
        }
        assert_eq!(draft.finish().unwrap_err().code(), "disk-failed");
        drain.join().unwrap().unwrap();
        assert!(incoming_is_empty(&dir));
    }

    #[tokio::test]
    async fn the_same_blob_may_come_in_many_times_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let bytes = Bytes::from(vec![7; 100_000]);
        let mut uploads = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (blobs, bytes) = (blobs.clone(), bytes.clone());
            uploads.spawn(async move { put(&blobs, Some(hash_of(&bytes)), &[bytes]).await.unwrap() });
        }
        uploads.join_all().await;
        assert_eq!(blobs.size(hash_of(&bytes)).await.unwrap(), Some(100_000));
        assert!(incoming_is_empty(&dir));
    }

    #[tokio::test]
    async fn a_blob_that_was_cut_short_on_disk_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        std::fs::write(blobs.path(hash_of(b"whole")), "who").unwrap();
        put(&blobs, None, &[Bytes::from_static(b"whole")]).await.unwrap();
        assert_eq!(std::fs::read(blobs.path(hash_of(b"whole"))).unwrap(), b"whole");
    }
}
