//! Stored bytes, named by their SHA-256 and never changed.
//!
//! Blobs come in one at a time ([`Incoming`], an upload) or many at once ([`Batch`], the outputs of a job). Both
//! write a [`draft`] first and [`shelve`] it when it is complete.

mod batch;
mod draft;
mod incoming;
mod proof;
mod shelve;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deskgrid_job::{BlobHash, BlobKey};

pub use batch::Batch;
pub use incoming::Incoming;
pub use proof::CheckedReader;
pub(crate) use proof::{Proofs, digest};

use crate::error::{StoreError, failed};
use crate::{Change, Shared, blocking};

/// What has been stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The SHA-256 of the bytes.
    pub hash: BlobHash,
    /// Their number.
    pub size: u64,
}

/// A stored blob, open for reading.
#[derive(Debug)]
pub struct BlobFile {
    /// Positioned at the first byte.
    pub file: File,
    /// Length in bytes.
    pub size: u64,
    /// Where it lies. Nobody may write there.
    pub path: PathBuf,
}

/// A handle on the blobs of the store. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Blobs {
    shared: Arc<Shared>,
}

impl Blobs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Begins to take in a blob, which must have the hash `expected` where one is given. Needs a runtime.
    pub fn receive(&self, expected: Option<BlobHash>) -> Incoming {
        Incoming::start(self.clone(), expected)
    }

    /// Begins to take in many blobs at once, on a thread that may block.
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// Where a blob of that hash lies if it is stored. Nobody may write there.
    pub fn path(&self, hash: BlobHash) -> PathBuf {
        self.shared.folder.blob(hash)
    }

    /// Opens a blob; none when it is not stored.
    pub async fn open(&self, hash: BlobHash) -> Result<Option<BlobFile>, StoreError> {
        let blobs = self.clone();
        blocking(move || blobs.open_blocking(hash)).await
    }

    /// As [`Blobs::open`], on a thread that may block.
    pub fn open_blocking(&self, hash: BlobHash) -> Result<Option<BlobFile>, StoreError> {
        let path = self.path(hash);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let found = there("open", &path, opened)?;
        Ok(found.map(|(size, file)| BlobFile { file, size, path }))
    }

    /// The length of a blob in bytes; none when it is not stored.
    pub async fn size(&self, hash: BlobHash) -> Result<Option<u64>, StoreError> {
        let path = self.path(hash);
        blocking(move || {
            let metadata = fs::metadata(&path);
            Ok(there("look at", &path, metadata)?.map(|metadata| metadata.len()))
        })
        .await
    }

    /// Notes that someone is about to refer to a blob, which keeps it for a while.
    pub async fn note_use(&self, hash: BlobHash) {
        let (folder, path) = (self.shared.folder.clone(), self.path(hash));
        // What is not there needs no note, and what cannot be noted is at worst brought again.
        let _ = blocking(move || folder.touch(hash).map_err(failed("note the use of", &path))).await;
    }

    /// Lets `name` stand for the blob `hash`, and for no other any more. Durable when this returns.
    pub async fn bind_name(&self, name: &str, hash: BlobHash) -> Result<(), StoreError> {
        let change = Change::Name { name: name.to_owned(), hash };
        self.shared.database.commit(vec![change]).await
    }

    /// The hash that `key` means, whether a blob of it is stored or not; none for an unknown name.
    pub async fn resolve(&self, key: &BlobKey) -> Result<Option<BlobHash>, StoreError> {
        match key {
            BlobKey::Hash(hash) => Ok(Some(*hash)),
            BlobKey::Name(name) => self.shared.database.named_blob(name.clone()).await,
        }
    }

    /// Hash and length of the blob that `key` means; none when it is not stored.
    pub async fn find(&self, key: &BlobKey) -> Result<Option<Stored>, StoreError> {
        let Some(hash) = self.resolve(key).await? else { return Ok(None) };
        Ok(self.size(hash).await?.map(|size| Stored { hash, size }))
    }
}

/// Turns "not found" into none.
fn there<T>(doing: &'static str, path: &Path, tried: io::Result<T>) -> Result<Option<T>, StoreError> {
    match tried {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(doing, path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::Store;

    pub(super) fn hash_of(bytes: &[u8]) -> BlobHash {
        BlobHash(Sha256::digest(bytes).into())
    }

    pub(super) fn incoming_is_empty(dir: &tempfile::TempDir) -> bool {
        crate::folder::entries(&dir.path().join("incoming")).unwrap().is_empty()
    }

    #[tokio::test]
    async fn a_name_stands_for_the_blob_it_was_last_given() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let key = BlobKey::new("data.json").unwrap();
        assert_eq!(blobs.find(&key).await.unwrap(), None);
        for text in ["one", "three"] {
            let mut batch = blobs.batch();
            let stored = batch.write(text.as_bytes()).unwrap();
            batch.commit().unwrap();
            blobs.bind_name("data.json", stored.hash).await.unwrap();
        }
        let found = blobs.find(&key).await.unwrap();
        assert_eq!(found, Some(Stored { hash: hash_of(b"three"), size: 5 }));
        assert_eq!(blobs.find(&BlobKey::Hash(hash_of(b"one"))).await.unwrap().unwrap().size, 3);
    }

    #[tokio::test]
    async fn what_is_not_stored_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Store::open(dir.path()).unwrap().blobs();
        let hash = hash_of(b"nothing");
        assert!(blobs.open(hash).await.unwrap().is_none());
        assert_eq!(blobs.find(&BlobKey::Hash(hash)).await.unwrap(), None);
    }
}
