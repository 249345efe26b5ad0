//! Verifying all that is kept: every stored file is hashed, every file that a record refers to is looked for, and the
//! database is checked. Damaged files are set aside on the way; nothing else is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deskgrid_job::{BlobHash, JobId};

use crate::error::StoreError;
use crate::{CacheRecords, Holding, Rebuilt, Store, blocking};

/// How far a verification is, and whether it shall go on. Shared by whoever asked for it and the thread that works.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    files: AtomicU64,
    bytes: AtomicU64,
    all_files: AtomicU64,
    all_bytes: AtomicU64,
    is_cancelled: AtomicBool,
}

/// A moment of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyCount {
    /// Files that were hashed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files in all.
    pub all_files: u64,
    /// Bytes in all.
    pub all_bytes: u64,
}

impl VerifyProgress {
    /// How far it is.
    pub fn count(&self) -> VerifyCount {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        VerifyCount {
            files: read(&self.files),
            bytes: read(&self.bytes),
            all_files: read(&self.all_files),
            all_bytes: read(&self.all_bytes),
        }
    }

    /// Ends it after the file at hand.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended early.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    fn begin(&self, blobs: &[Holding]) {
        self.all_files.store(blobs.len() as u64, Ordering::Relaxed);
        self.all_bytes.store(blobs.iter().map(|blob| blob.size).sum(), Ordering::Relaxed);
    }

    fn done(&self, blob: &Holding) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(blob.size, Ordering::Relaxed);
    }
}

/// What is wrong with a stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It had other bytes than its name promises, and was set aside.
    Damaged,
    /// A record refers to it, and it is not there.
    Missing,
    /// It could not be read.
    Unreadable,
}

impl Wrong {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A stored file with which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub hash: BlobHash,
    /// What is wrong.
    pub wrong: Wrong,
    /// The jobs whose inputs or outputs it is.
    pub jobs: Vec<JobId>,
    /// The names that clients gave it.
    pub names: Vec<String>,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files with which something is wrong.
    pub faults: Vec<Fault>,
    /// What is wrong with the database, in its own words.
    pub records: Vec<String>,
    /// What was done about a damaged database since the data folder was opened.
    pub rebuilt: Option<Rebuilt>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.records.is_empty() && self.rebuilt.is_none()
    }
}

impl Store {
    /// Verifies everything. It takes as long as reading all files does; work can go on meanwhile.
    ///
    /// # Errors
    /// When the folder or the records cannot be read at all.
    pub async fn verify(&self, progress: std::sync::Arc<VerifyProgress>) -> Result<Findings, StoreError> {
        let records = self.shared.database.check().await?;
        let rebuilt = self.rebuilt().filter(|rebuilt| rebuilt.is_fresh);
        let known = self.cache_records().await?;
        let (blobs, holdings) = (self.blobs(), self.holdings().await?.blobs);
        progress.begin(&holdings);
        let found = blocking(move || {
            let mut wrong = BTreeMap::new();
            for holding in &holdings {
                if progress.is_cancelled() {
                    return Ok(wrong);
                }
                match blobs.verify_blocking(holding.hash) {
                    Ok(_) => {}
                    Err(StoreError::DamagedFile { .. }) => drop(wrong.insert(holding.hash, Wrong::Damaged)),
                    Err(error) => {
                        tracing::warn!(%error, "a stored file could not be verified");
                        wrong.insert(holding.hash, Wrong::Unreadable);
                    }
                }
                progress.done(holding);
            }
            Ok(wrong)
        });
        let mut wrong = found.await?;
        for hash in self.missing(&known).await? {
            wrong.entry(hash).or_insert(Wrong::Missing);
        }
        let faults = wrong.into_iter().map(|(hash, wrong)| fault(hash, wrong, &known));
        Ok(Findings { faults: faults.collect(), records, rebuilt })
    }

    /// The files that `known` refers to and that are not there. What was deleted since is not missing: its records go
    /// before its files do.
    async fn missing(&self, known: &CacheRecords) -> Result<Vec<BlobHash>, StoreError> {
        let mut missing = Vec::new();
        for hash in referred(known) {
            if self.blobs().size(hash).await?.is_none() {
                missing.push(hash);
            }
        }
        if !missing.is_empty() {
            let now = referred(&self.cache_records().await?);
            missing.retain(|hash| now.contains(hash));
        }
        Ok(missing)
    }
}

/// The files that records of results refer to, and names.
fn referred(known: &CacheRecords) -> BTreeSet<BlobHash> {
    known.files.iter().map(|file| file.hash).chain(known.named.iter().map(|(_, hash)| *hash)).collect()
}

fn fault(hash: BlobHash, wrong: Wrong, known: &CacheRecords) -> Fault {
    let jobs: BTreeSet<_> =
        known.files.iter().filter(|file| file.hash == hash).map(|file| &file.job).collect();
    let names = known.named.iter().filter(|(_, named)| *named == hash).map(|(name, _)| name.clone());
    Fault { hash, wrong, jobs: jobs.into_iter().cloned().collect(), names: names.collect() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn stored(store: &Store, text: &'static str) -> BlobHash {
        let mut incoming = store.blobs().receive(None);
        incoming.push(bytes::Bytes::from_static(text.as_bytes())).await.unwrap();
        incoming.finish().await.unwrap().hash
    }

    #[tokio::test]
    async fn damaged_and_missing_files_are_found_and_named_and_sound_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (good, bad, gone) =
            (stored(&store, "good").await, stored(&store, "bad").await, stored(&store, "gone").await);
        store.blobs().bind_name("b.txt", bad).await.unwrap();
        store.blobs().bind_name("g.txt", gone).await.unwrap();
        for (hash, bytes) in [(bad, Some("bat")), (gone, None)] {
            let place = store.blobs().path(hash);
            std::fs::remove_file(&place).unwrap();
            if let Some(bytes) = bytes {
                std::fs::write(&place, bytes).unwrap();
            }
        }
        let progress = Arc::new(VerifyProgress::default());
        let findings = store.verify(progress.clone()).await.unwrap();
        let mut found: Vec<_> =
            findings.faults.iter().map(|fault| (fault.hash, fault.wrong, fault.names.join(","))).collect();
        found.sort_by_key(|(_, _, name)| name.clone());
        assert_eq!(found, [(bad, Wrong::Damaged, "b.txt".into()), (gone, Wrong::Missing, "g.txt".into())]);
        assert!(findings.records.is_empty() && !findings.is_sound());
        assert_eq!(progress.count(), VerifyCount { files: 2, bytes: 7, all_files: 2, all_bytes: 7 });
        assert!(store.blobs().size(good).await.unwrap().is_some());
        assert!(dir.path().join("damaged").join(bad.to_string()).exists());
    }

    #[tokio::test]
    async fn what_is_deleted_meanwhile_is_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (gone, deleted) = (stored(&store, "gone").await, stored(&store, "deleted").await);
        store.blobs().bind_name("g.txt", gone).await.unwrap();
        store.blobs().bind_name("d.txt", deleted).await.unwrap();
        let known = store.cache_records().await.unwrap();
        store.commit(vec![crate::Change::Unname(deleted)]).await.unwrap();
        for hash in [gone, deleted] {
            std::fs::remove_file(store.blobs().path(hash)).unwrap();
        }
        assert_eq!(store.missing(&known).await.unwrap(), [gone]);
    }

    #[tokio::test]
    async fn a_cancelled_verification_stops_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        stored(&store, "a").await;
        let progress = Arc::new(VerifyProgress::default());
        progress.cancel();
        assert!(store.verify(progress.clone()).await.unwrap().is_sound());
        assert_eq!(progress.count().files, 0);
    }
}
