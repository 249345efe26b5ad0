//! One blob that arrives piece by piece, as an upload does. Memory does not grow with its size.

use bytes::Bytes;
use deskgrid_job::BlobHash;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::draft::{Draft, PIECE};
use super::shelve::shelve;
use super::{Blobs, Stored};
use crate::error::StoreError;
use crate::room::Purpose;

/// Pieces that may wait for the disk: 2 MiB at most.
const WAITING: usize = 8;

enum Message {
    Piece(Bytes),
    End,
}

/// A blob that is coming in. Dropping it before [`Incoming::finish`] leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    pieces: mpsc::Sender<Message>,
    /// Hashes and writes; ends by itself when `pieces` is dropped. None once it has been asked how it ended.
    task: Option<JoinHandle<Result<Stored, StoreError>>>,
}

impl Incoming {
    pub(super) fn start(blobs: Blobs, expected: Option<BlobHash>) -> Self {
        let (pieces, waiting) = mpsc::channel(WAITING);
        let task = tokio::task::spawn_blocking(move || take_in(&blobs, expected, waiting));
        Self { pieces, task: Some(task) }
    }

    /// Takes the next bytes; waits while the disk is behind.
    ///
    /// # Errors
    /// What stopped the writing, such as [`StoreError::DiskFull`]. Nothing can be pushed after that.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            if self.pieces.send(Message::Piece(piece)).await.is_err() {
                return Err(self.outcome().await.err().unwrap_or(StoreError::Stopped));
            }
        }
        Ok(())
    }

    /// Ends the blob. It is in its place and on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`] when the bytes are not the expected ones; nothing is stored then, nor after any
    /// other error.
    pub async fn finish(mut self) -> Result<Stored, StoreError> {
        // When the task has ended already, its outcome says why.
        let _ = self.pieces.send(Message::End).await;
        self.outcome().await
    }

    async fn outcome(&mut self) -> Result<Stored, StoreError> {
        match self.task.take() {
            Some(task) => task.await.unwrap_or(Err(StoreError::Stopped)),
            None => Err(StoreError::Stopped),
        }
    }
}

fn take_in(
    blobs: &Blobs,
    expected: Option<BlobHash>,
    mut waiting: mpsc::Receiver<Message>,
) -> Result<Stored, StoreError> {
    let folder = &blobs.shared.folder;
    let mut draft = Draft::create(folder, Purpose::Incoming)?;
    let mut piece = Vec::new();
    loop {
        match waiting.blocking_recv() {
            Some(Message::Piece(bytes)) => {
                // Small pieces are gathered, large ones go straight through.
                if piece.len() + bytes.len() > PIECE {
                    draft.write(&piece)?;
                    piece.clear();
                }
                if bytes.len() >= PIECE { draft.write(&bytes)? } else { piece.extend_from_slice(&bytes) }
            }
            Some(Message::End) => break,
            // The sender is gone without an end: the upload was broken off.
            None => return Err(StoreError::Stopped),
        }
    }
    draft.write(&piece)?;
    let finished = draft.finish()?;
    let stored = finished.stored;
    match expected {
        Some(expected) if expected != stored.hash => {
            Err(StoreError::HashMismatch { expected, found: stored.hash })
        }
        _ => shelve(folder, vec![finished]).map(|()| stored),
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
        let mut incoming = blobs.receive(None);
        incoming.push(Bytes::from(vec![1; 3 * PIECE])).await.unwrap();
        let task = incoming.task.take().unwrap();
        drop(incoming);
        assert!(matches!(task.await.unwrap(), Err(StoreError::Stopped)));
        assert!(incoming_is_empty(&dir));
    }

    #[tokio::test]
    async fn an_error_of_the_disk_reaches_the_sender() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        std::fs::remove_dir_all(dir.path().join("incoming")).unwrap();
        let error = put(&blobs, None, &vec![Bytes::from_static(b"x"); 100]).await.unwrap_err();
        assert_eq!(error.code(), "disk-failed", "{error}");
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
