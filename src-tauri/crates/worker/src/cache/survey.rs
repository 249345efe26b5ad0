//! One look at all that is kept.

use std::collections::{HashMap, HashSet};

use deskgrid_job::{BlobHash, BlobKey, DataRef, Definition, JobId, Time};
use deskgrid_store::{CacheRecords, Holdings, StoreError};

use super::{Item, Kind, Survey};
use crate::run::Kit;

/// Why the result or the log of a job cannot go.
const UNFINISHED: &str = "The job is not over";
/// Why a file cannot go.
const NEEDED: &str = "A waiting or running job needs it";

/// What lies in our folder.
pub(super) async fn disk(kit: &Kit) -> Result<Survey, StoreError> {
    let mut holdings = kit.store.holdings().await?;
    let records = kit.store.cache_records().await?;
    let read = kit.read_definition;
    let left = kit.cache.left().clone();
    let sorted = tokio::task::spawn_blocking(move || {
        // A job may refer to one of those again, which then is no longer left.
        let wanted: HashSet<_> = records.files.iter().map(|file| file.hash).collect();
        holdings.blobs.retain(|blob| !left.contains(&blob.hash) || wanted.contains(&blob.hash));
        sort(&holdings, &records, read)
    });
    sorted.await.map_err(|_| StoreError::Stopped)
}

/// Which file belongs to what.
fn sort(holdings: &Holdings, records: &CacheRecords, read: fn(&str) -> Result<Definition, String>) -> Survey {
    let mut sizes: HashMap<BlobHash, u64> =
        holdings.blobs.iter().map(|blob| (blob.hash, blob.size)).collect();
    let needed = needed(records, read);
    let mut items = results(holdings, records, &mut sizes);
    items.extend(logs(holdings, records));
    items.extend(blobs(holdings, records, &sizes, &needed));
    Survey { items, records: holdings.records }
}

fn is_pinned(records: &CacheRecords, kind: Kind, id: &str) -> bool {
    records.pinned.contains(&(kind.as_str().to_owned(), id.to_owned()))
}

/// The results; takes the files that they refer to out of `sizes`. The newest take theirs first, see [`Item::bytes`].
fn results(holdings: &Holdings, records: &CacheRecords, sizes: &mut HashMap<BlobHash, u64>) -> Vec<Item> {
    let mut files: HashMap<&JobId, Vec<BlobHash>> = HashMap::new();
    for file in &records.files {
        files.entry(&file.job).or_default().push(file.hash);
    }
    let mut jobs: Vec<_> = records.jobs.iter().filter(|job| files.contains_key(&job.job)).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse((job.is_unfinished, job.used_at)));
    let item = |job: &&deskgrid_store::KeptResult| Item {
        bytes: files[&job.job].iter().filter_map(|hash| sizes.remove(hash)).sum(),
        log_bytes: holdings.logs.get(&job.job).copied().unwrap_or_default(),
        used_at: Some(job.used_at),
        is_pinned: is_pinned(records, Kind::Result, job.job.as_str()),
        jobs: vec![job.job.clone()],
        obstacle: job.is_unfinished.then_some(UNFINISHED),
        ..Item::new(Kind::Result, job.job.as_str(), &job.name)
    };
    jobs.iter().map(item).collect()
}

fn logs(holdings: &Holdings, records: &CacheRecords) -> Vec<Item> {
    let jobs: HashMap<_, _> = records.jobs.iter().map(|job| (&job.job, job)).collect();
    let item = |(id, bytes): (&JobId, &u64)| {
        let job = jobs.get(id);
        Item {
            bytes: *bytes,
            used_at: job.map(|job| job.used_at),
            is_pinned: is_pinned(records, Kind::Log, id.as_str()),
            jobs: vec![id.clone()],
            obstacle: job.filter(|job| job.is_unfinished).map(|_| UNFINISHED),
            ..Item::new(Kind::Log, id.as_str(), job.map_or(id.as_str(), |job| &job.name))
        }
    };
    holdings.logs.iter().map(item).collect()
}

/// The files that are left over when results have taken theirs.
fn blobs(
    holdings: &Holdings,
    records: &CacheRecords,
    left: &HashMap<BlobHash, u64>,
    needed: &HashSet<BlobHash>,
) -> Vec<Item> {
    let names: HashMap<_, _> = records.named.iter().map(|(name, hash)| (*hash, name)).collect();
    let spare = holdings.blobs.iter().filter(|blob| left.contains_key(&blob.hash));
    let item = |blob: &deskgrid_store::Holding| {
        let id = blob.hash.to_string();
        Item {
            bytes: blob.size,
            used_at: Some(blob.used_at),
            is_pinned: is_pinned(records, Kind::Blob, &id),
            obstacle: needed.contains(&blob.hash).then_some(NEEDED),
            ..Item::new(Kind::Blob, &id, names.get(&blob.hash).map_or(&id[..12], |name| name))
        }
    };
    spare.map(item).collect()
}

/// The files that jobs name which are not over.
pub(super) fn needed(
    records: &CacheRecords,
    read: fn(&str) -> Result<Definition, String>,
) -> HashSet<BlobHash> {
    let by_name: HashMap<_, _> = records.named.iter().map(|(name, hash)| (name.as_str(), *hash)).collect();
    let hash_of = |key: &BlobKey| match key {
        BlobKey::Hash(hash) => Some(*hash),
        BlobKey::Name(name) => by_name.get(name.as_str()).copied(),
    };
    let mut needed = HashSet::new();
    for (_, text) in &records.unfinished {
        let Ok(definition) = read(text) else { continue };
        for data in definition.inputs.values().chain(definition.config_files.values()) {
            match data {
                DataRef::Inline(_) => {}
                DataRef::Key(key) => needed.extend(hash_of(key)),
                DataRef::Url { hash, key, .. } => {
                    needed.extend(*hash);
                    needed.extend(key.as_ref().and_then(hash_of));
                }
            }
        }
    }
    needed
}

/// What the engine keeps for us; nothing when there is none, or when it does not answer.
pub(super) async fn engine(kit: &Kit) -> Vec<Item> {
    let Some(engine) = kit.engine.borrow().ready().cloned() else { return Vec::new() };
    let Ok(records) = kit.store.cache_records().await else { return Vec::new() };
    let names: Vec<String> = records.images.iter().map(|image| image.name.clone()).collect();
    let sizes = engine.image_sizes(&names).await.unwrap_or_default();
    let used_at: HashMap<_, Time> =
        records.images.iter().map(|image| (image.name.clone(), image.used_at)).collect();
    let images = sizes.into_iter().map(|(name, bytes)| Item {
        bytes,
        used_at: used_at.get(&name).copied(),
        is_pinned: is_pinned(&records, Kind::Image, &name),
        ..Item::new(Kind::Image, &name, &name)
    });
    let mut items: Vec<_> = images.collect();
    for (name, bytes) in engine.cache_volumes().await.unwrap_or_default() {
        let is_pinned = is_pinned(&records, Kind::JobCache, &name);
        items.push(Item {
            bytes: bytes.unwrap_or_default(),
            is_pinned,
            ..Item::new(Kind::JobCache, &name, &name)
        });
    }
    items
}

#[cfg(test)]
mod tests {
    use deskgrid_store::{Holding, KeptFile, KeptResult};

    use super::*;

    fn id(name: &str) -> JobId {
        JobId::new(name).unwrap()
    }

    fn hash(number: u8) -> BlobHash {
        BlobHash([number; 32])
    }

    fn kept(name: &str, used_at: u64, is_unfinished: bool) -> KeptResult {
        KeptResult { job: id(name), name: name.to_owned(), used_at: Time(used_at), is_unfinished }
    }

    fn no_definition(_: &str) -> Result<Definition, String> {
        Err("none".to_owned())
    }

    #[test]
    fn a_shared_file_counts_once_with_the_result_used_last_and_the_rest_are_blobs() {
        let blob = |number, size| Holding { hash: hash(number), size, used_at: Time(5) };
        let holdings = Holdings {
            blobs: vec![blob(1, 100), blob(2, 10), blob(3, 1)],
            logs: [(id("old"), 7)].into(),
            records: 1000,
        };
        let file = |job: &str, number| KeptFile { job: id(job), hash: hash(number) };
        let records = CacheRecords {
            jobs: vec![kept("old", 1, false), kept("new", 2, false), kept("bare", 3, false)],
            files: vec![file("old", 1), file("old", 2), file("new", 1)],
            ..CacheRecords::default()
        };
        let survey = sort(&holdings, &records, no_definition);
        let bytes = |kind, id: &str| {
            survey.items.iter().find(|item| item.kind == kind && item.id == id).map(|item| item.bytes)
        };
        assert_eq!((bytes(Kind::Result, "new"), bytes(Kind::Result, "old")), (Some(100), Some(10)));
        assert_eq!(bytes(Kind::Result, "bare"), None);
        assert_eq!(bytes(Kind::Log, "old"), Some(7));
        assert_eq!(bytes(Kind::Blob, &hash(3).to_string()), Some(1));
        assert_eq!(survey.on_disk(), 1118);
    }

    #[test]
    fn what_unfinished_jobs_name_is_needed() {
        fn read(text: &str) -> Result<Definition, String> {
            if text.is_empty() {
                return Err("no definition".to_owned());
            }
            let inputs = [
                ("a", DataRef::Key(BlobKey::Hash(hash(1)))),
                ("b", DataRef::Key(BlobKey::Name("mine".to_owned()))),
                ("c", DataRef::Url { url: String::new(), hash: Some(hash(3)), key: None }),
            ];
            let inputs = inputs.map(|(path, data)| (deskgrid_job::FilePath::new(path).unwrap(), data));
            Ok(Definition {
                image: deskgrid_job::ImageSource::Reference("x".to_owned()),
                command: None,
                entrypoint: None,
                env: [].into(),
                workdir: None,
                shm_size: None,
                inputs: inputs.into(),
                config_files: [].into(),
                max_duration: None,
                needs: deskgrid_job::Needs::default(),
            })
        }
        let records = CacheRecords {
            unfinished: vec![(id("a"), "{}".to_owned()), (id("bad"), String::new())],
            named: vec![("mine".to_owned(), hash(2)), ("other".to_owned(), hash(4))],
            ..CacheRecords::default()
        };
        assert_eq!(needed(&records, read), [hash(1), hash(2), hash(3)].into());
    }
}
