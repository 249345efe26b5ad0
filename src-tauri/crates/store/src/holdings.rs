//! What lies on the disk: every stored file and every log with its size, and the removal of
//! what nobody needs. Who needs what is not decided here.

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, JobId, Time};

use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::{Store, blocking, platform};

/// A file that was brought here or asked for so lately is never removed: someone may be about to refer to it.
pub const GRACE: Duration = Duration::from_secs(120);

/// A stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Its content.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last brought or asked for by its name.
    pub used_at: Time,
}

/// What the data folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Every stored file.
    pub blobs: Vec<Holding>,
    /// Bytes of the logs of each job.
    pub logs: HashMap<JobId, u64>,
    /// Bytes of the database and of the second copies of its records.
    pub records: u64,
}

impl Store {
    /// Looks at every file. It takes some microseconds for each.
    pub async fn holdings(&self) -> Result<Holdings, StoreError> {
        let folder = self.shared.folder.clone();
        blocking(move || {
            Ok(Holdings { blobs: blobs(&folder), logs: logs(&folder), records: records(&folder) })
        })
        .await
    }

    /// Removes those of the files that were neither brought nor asked for since `before`, and says which are gone.
    /// The caller has made sure that no record refers to them.
    pub async fn remove_blobs(
        &self,
        hashes: Vec<BlobHash>,
        before: Time,
    ) -> Result<Vec<BlobHash>, StoreError> {
        let folder = self.shared.folder.clone();
        blocking(move || {
            let gone = hashes.into_iter().filter(|hash| remove_blob(&folder, *hash, before));
            Ok(gone.collect())
        })
        .await
    }

    /// Removes the logs of a job.
    pub async fn remove_logs(&self, id: &JobId) -> Result<(), StoreError> {
        let (logs, id) = (self.logs(), id.clone());
        blocking(move || logs.remove(&id)).await
    }
}

pub(crate) fn gone(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What cannot be removed stays, and is seen again by the next look.
fn remove_blob(folder: &Folder, hash: BlobHash, before: Time) -> bool {
    let path = folder.blob(hash);
    // Whoever brings the same bytes either finds them and says so before this, or finds them gone and brings them.
    let _alone = folder.comings.write().unwrap_or_else(PoisonError::into_inner);
    let used_at = fs::metadata(&path).ok().and_then(|facts| facts.modified().ok()).map(time);
    if used_at.is_some_and(|used_at| used_at > Time::now()) {
        // By a clock that was ahead. Its time of grace begins now, and does not last until then.
        let _ = platform::touch(&path);
    }
    let is_gone = used_at.is_some_and(|used_at| used_at < before) && fs::remove_file(&path).is_ok();
    point(Point::BlobRemoved);
    is_gone
}

fn time(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Files that go away meanwhile, or that are none of ours, are passed over.
pub(crate) fn files_below(folder: &Path) -> impl Iterator<Item = DirEntry> {
    let parts = fs::read_dir(folder).into_iter().flatten().flatten();
    parts.flat_map(|part| fs::read_dir(part.path()).into_iter().flatten().flatten())
}

fn blobs(folder: &Folder) -> Vec<Holding> {
    let holding = |file: DirEntry| {
        let hash = BlobHash::parse(file.file_name().to_str()?)?;
        let facts = file.metadata().ok()?;
        Some(Holding { hash, size: facts.len(), used_at: facts.modified().map(time).unwrap_or_default() })
    };
    files_below(&folder.blobs()).filter_map(holding).collect()
}

fn logs(folder: &Folder) -> HashMap<JobId, u64> {
    let mut logs = HashMap::new();
    for file in files_below(&folder.logs()) {
        let name = file.file_name();
        // 32 digits, a hyphen, the id, and the kind of the log.
        let id = name.to_str().and_then(|name| name.get(33..)).and_then(|rest| {
            let stem = rest.strip_suffix(".run.jsonl").or_else(|| rest.strip_suffix(".build.jsonl"))?;
            JobId::new(stem).ok()
        });
        if let (Some(id), Ok(facts)) = (id, file.metadata()) {
            *logs.entry(id).or_default() += facts.len();
        }
    }
    logs
}

fn records(folder: &Folder) -> u64 {
    let main = folder.database();
    let beside = |end: &str| main.with_extension(format!("sqlite3{end}"));
    let database: u64 = [main.clone(), beside("-wal"), beside("-shm")]
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|facts| facts.len())
        .sum();
    let copies = folder.records();
    let copies = files_below(&copies).filter_map(|file| file.metadata().ok());
    database + copies.map(|facts| facts.len()).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogKind, Opening};

    async fn stored(store: &Store, bytes: &'static [u8]) -> BlobHash {
        let mut incoming = store.blobs().receive(None);
        incoming.push(bytes::Bytes::from_static(bytes)).await.unwrap();
        incoming.finish().await.unwrap().hash
    }

    #[tokio::test]
    async fn files_and_logs_are_found_with_their_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hash = stored(&store, b"12345").await;
        let id = JobId::new("a.job-1").unwrap();
        let line = deskgrid_job::LogLine { text: "x\n".into(), time: Time(1), is_stderr: false };
        store.logs().writer(&id, LogKind::Build, Opening::Truncate).unwrap().append(&[line]).unwrap();
        let holdings = store.holdings().await.unwrap();
        assert_eq!(holdings.blobs.iter().map(|blob| (blob.hash, blob.size)).collect::<Vec<_>>(), [(hash, 5)]);
        assert_eq!(holdings.logs.get(&id), Some(&10));
        assert!(holdings.records > 0);
        assert!(store.room().await.unwrap().total > 0);
        store.remove_logs(&id).await.unwrap();
        assert!(store.holdings().await.unwrap().logs.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_a_clock_used_that_was_ahead_has_its_time_of_grace_from_now_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hash = stored(&store, b"ahead").await;
        let in_a_year = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
        fs::File::open(store.blobs().path(hash)).unwrap().set_modified(in_a_year).unwrap();
        let removed = async |before| store.remove_blobs(vec![hash], before).await.unwrap();
        assert_eq!(removed(Time::now().minus(GRACE)).await, []);
        assert_eq!(removed(Time::now().plus(Duration::from_secs(1))).await, [hash]);
    }

    #[tokio::test]
    async fn a_file_that_was_brought_or_asked_for_lately_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hash = stored(&store, b"old").await;
        let path = store.blobs().path(hash);
        let age = || fs::File::open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        age();
        let hour_ago = Time::now().minus(Duration::from_secs(3600));
        stored(&store, b"old").await;
        assert_eq!(store.remove_blobs(vec![hash], hour_ago).await.unwrap(), []);
        age();
        store.blobs().note_use(hash).await;
        assert_eq!(store.remove_blobs(vec![hash], hour_ago).await.unwrap(), []);
        age();
        assert_eq!(store.remove_blobs(vec![hash], hour_ago).await.unwrap(), [hash]);
        assert_eq!(store.blobs().size(hash).await.unwrap(), None);
    }
}
