//! One look at all that is kept.

use std::collections::{HashMap, HashSet};

use deskgrid_contexts::Source;
use deskgrid_docker::{Engine, EngineError, HeldImage, HeldVolume, full_name};
use deskgrid_job::{BlobHash, BlobKey, DataRef, Definition, ImageSource, JobId, Time};
use deskgrid_store::{CacheRecords, ContextRecord, Holdings, ImageRecord, StoreError};

use super::{Item, KeptBlob, Kind, Survey, ownership};
use crate::run::Kit;
use crate::sites::cache_volume;

/// Why the result or the log of a job cannot go.
const UNFINISHED: &str = "The job is not over";
/// Why a file or an image cannot go.
const NEEDED: &str = "A waiting or running job needs it";
/// Why an image or a volume cannot go.
const IN_CONTAINER: &str = "A container uses it";
/// Why an image cannot go of which nothing but the name was noted.
const OF_UNKNOWN_ORIGIN: &str = "It may be yours: only you can remove it, with `docker image rm`";

/// What lies in our folder.
pub(super) async fn disk(kit: &Kit) -> Result<Survey, StoreError> {
    let mut holdings = kit.store.holdings().await?;
    let records = kit.store.cache_records().await?;
    let read = kit.read_definition;
    let left = kit.cache.left().clone();
    let sorted = tokio::task::spawn_blocking(move || {
        // A job may refer to one of those again, which then is no longer left.
        let wanted = referred(&records);
        holdings.blobs.retain(|blob| !left.contains(&blob.hash) || wanted.contains(&blob.hash));
        sort(&holdings, &records, read)
    });
    sorted.await.map_err(|_| StoreError::Stopped)
}

/// The files that records refer to.
pub(super) fn referred(records: &CacheRecords) -> HashSet<BlobHash> {
    let of_jobs = records.files.iter().map(|file| file.hash);
    of_jobs.chain(records.contexts.iter().map(|context| context.hash)).collect()
}

/// Which file belongs to what.
fn sort(holdings: &Holdings, records: &CacheRecords, read: fn(&str) -> Result<Definition, String>) -> Survey {
    let mut sizes: HashMap<BlobHash, u64> =
        holdings.blobs.iter().map(|blob| (blob.hash, blob.size)).collect();
    let needed = needed(records, read);
    let read_at = outputs_read(holdings, records);
    let mut items = results(holdings, records, &mut sizes, &read_at);
    items.extend(logs(holdings, records));
    items.extend(contexts(records, &mut sizes, read));
    items.extend(blobs(holdings, records, &sizes, &needed));
    let blobs = kept_blobs(holdings, &items, &needed);
    let mut built_for: HashMap<String, usize> = HashMap::new();
    for (_, image) in &records.built_for {
        *built_for.entry(image.clone()).or_default() += 1;
    }
    Survey { items, records: holdings.records, blobs, built_for }
}

/// Who keeps each stored file; a job that is not over keeps what it names.
fn kept_blobs(
    holdings: &Holdings,
    items: &[Item],
    needed: &HashSet<BlobHash>,
) -> HashMap<BlobHash, KeptBlob> {
    let kept = |blob: &deskgrid_store::Holding| {
        (blob.hash, KeptBlob { bytes: blob.size, keepers: usize::from(needed.contains(&blob.hash)) })
    };
    let mut blobs: HashMap<_, _> = holdings.blobs.iter().map(kept).collect();
    for hash in items.iter().flat_map(|item| &item.files) {
        if let Some(blob) = blobs.get_mut(hash) {
            blob.keepers += 1;
        }
    }
    blobs
}

fn is_pinned(records: &CacheRecords, kind: Kind, id: &str) -> bool {
    records.pinned.contains(&(kind.as_str().to_owned(), id.to_owned()))
}

/// When an output of each job was last read. Of its inputs this says nothing: other jobs read them too.
fn outputs_read<'a>(holdings: &Holdings, records: &'a CacheRecords) -> HashMap<&'a JobId, Time> {
    let times: HashMap<_, _> = holdings.blobs.iter().map(|blob| (blob.hash, blob.used_at)).collect();
    let mut read_at: HashMap<&JobId, Time> = HashMap::new();
    for file in records.files.iter().filter(|file| file.is_output) {
        if let Some(time) = times.get(&file.hash) {
            let latest = read_at.entry(&file.job).or_default();
            *latest = (*latest).max(*time);
        }
    }
    read_at
}

/// The results; takes the files that they refer to out of `sizes`. The newest take theirs first, see [`Item::bytes`].
fn results(
    holdings: &Holdings,
    records: &CacheRecords,
    sizes: &mut HashMap<BlobHash, u64>,
    read_at: &HashMap<&JobId, Time>,
) -> Vec<Item> {
    let used_at = |job: &deskgrid_store::KeptResult| {
        read_at.get(&job.job).copied().unwrap_or_default().max(job.used_at)
    };
    let mut files: HashMap<&JobId, Vec<BlobHash>> = HashMap::new();
    for file in &records.files {
        files.entry(&file.job).or_default().push(file.hash);
    }
    for files in files.values_mut() {
        files.sort_unstable();
        files.dedup();
    }
    let built: HashMap<_, _> = records.built_for.iter().map(|(job, image)| (job, image)).collect();
    let mut jobs: Vec<_> = records.jobs.iter().filter(|job| files.contains_key(&job.job)).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse((job.is_unfinished, used_at(job))));
    let item = |job: &&deskgrid_store::KeptResult| Item {
        bytes: files[&job.job].iter().filter_map(|hash| sizes.remove(hash)).sum(),
        log_bytes: holdings.logs.get(&job.job).copied().unwrap_or_default(),
        used_at: Some(used_at(job)),
        is_pinned: is_pinned(records, Kind::Result, job.job.as_str()),
        jobs: vec![job.job.clone()],
        obstacle: job.is_unfinished.then_some(UNFINISHED),
        files: files[&job.job].clone(),
        built: built.get(&job.job).map(|image| (*image).clone()),
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

/// The downloads for builds, with the jobs whose images are built from them.
fn contexts(
    records: &CacheRecords,
    sizes: &mut HashMap<BlobHash, u64>,
    read: fn(&str) -> Result<Definition, String>,
) -> Vec<Item> {
    if records.contexts.is_empty() {
        return Vec::new();
    }
    let (built, waiting) = (by_context(&records.built, read), by_context(&records.unfinished, read));
    let item = |context: &ContextRecord| {
        let jobs = [&waiting, &built].into_iter().filter_map(|jobs| jobs.get(&context.key)).flatten();
        Item {
            bytes: sizes.remove(&context.hash).unwrap_or_default(),
            used_at: Some(context.used_at),
            is_pinned: is_pinned(records, Kind::Context, &context.key),
            jobs: jobs.cloned().collect(),
            obstacle: waiting.contains_key(&context.key).then_some(NEEDED),
            files: vec![context.hash],
            ..Item::new(Kind::Context, &context.key, &context.key)
        }
    };
    records.contexts.iter().map(item).collect()
}

/// The jobs among these that build from a download, by what that is filed under.
fn by_context(
    definitions: &[(JobId, String)],
    read: fn(&str) -> Result<Definition, String>,
) -> HashMap<String, Vec<JobId>> {
    let mut jobs: HashMap<String, Vec<JobId>> = HashMap::new();
    for (id, text) in definitions {
        let Ok(Definition { image: ImageSource::Build(block), .. }) = read(text) else { continue };
        let Some(Ok(source)) = block.context.as_deref().map(|text| Source::parse(text, |_| None)) else {
            continue;
        };
        if let Source::Remote(remote) = source {
            jobs.entry(remote.cache_key()).or_default().push(id.clone());
        }
    }
    jobs
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
            files: vec![blob.hash],
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
        if let ImageSource::Build(block) = &definition.image {
            needed.extend(block.context_key.as_ref().and_then(hash_of));
        }
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

/// What the engine keeps for us.
#[derive(Default)]
pub(super) struct InEngine {
    pub(super) items: Vec<Item>,
    /// Bytes of the layers of all its images, where it told.
    pub(super) layers: Option<u64>,
}

/// Looks at what the engine keeps for us; nothing when there is none, or when it does not answer.
pub(super) async fn engine(kit: &Kit) -> InEngine {
    let Some(engine) = kit.engine.borrow().ready().cloned() else { return InEngine::default() };
    let Ok(records) = kit.store.cache_records().await else { return InEngine::default() };
    look_into(&engine, kit, &records).await.unwrap_or_else(|error| {
        tracing::info!(%error, "could not see what the engine keeps");
        InEngine::default()
    })
}

async fn look_into(engine: &Engine, kit: &Kit, records: &CacheRecords) -> Result<InEngine, EngineError> {
    let id = &engine.info().id;
    let of_engine = records.images.iter().filter(|record| ownership::is_in(record, id));
    let names: Vec<String> = of_engine.map(|record| record.name.clone()).collect();
    let held = engine.holdings(&names, kit.worker.as_str()).await?;
    let owned =
        ownership::compare(id, &records.images, &held.images, |name| kit.cache.is_coming(engine, name));
    let users = Users::of(records, kit.read_definition);
    let images = owned.images.iter().map(|(image, record)| users.image(records, image, record));
    let volumes = held.volumes.iter().map(|volume| volume_item(records, volume));
    let items = images.chain(volumes).collect();
    if !owned.changes.is_empty()
        && let Err(error) = kit.store.commit(owned.changes).await
    {
        tracing::warn!(%error, "could not note which images are ours");
    }
    Ok(InEngine { items, layers: held.layers })
}

/// The images that jobs need which are not over, by their full names.
pub(super) fn needed_images(
    records: &CacheRecords,
    read: fn(&str) -> Result<Definition, String>,
) -> HashSet<String> {
    Users::of(records, read).needed
}

/// Which jobs use what there is in the engine.
struct Users {
    /// Jobs by image.
    of_images: HashMap<String, Vec<JobId>>,
    /// Images that jobs need which are not over.
    needed: HashSet<String>,
}

impl Users {
    fn of(records: &CacheRecords, read: fn(&str) -> Result<Definition, String>) -> Self {
        let mut of_images: HashMap<String, Vec<JobId>> = HashMap::new();
        for (id, image) in &records.job_images {
            of_images.entry(full_name(image)).or_default().push(id.clone());
        }
        let mut needed = HashSet::new();
        for (id, text) in &records.unfinished {
            let Ok(definition) = read(text) else { continue };
            let image = full_name(definition.image.image());
            let jobs = of_images.entry(image.clone()).or_default();
            if !jobs.contains(id) {
                jobs.push(id.clone());
            }
            needed.insert(image);
        }
        Self { of_images, needed }
    }

    fn image(&self, records: &CacheRecords, image: &HeldImage, record: &ImageRecord) -> Item {
        let name = full_name(&image.name);
        let obstacle = if self.needed.contains(&name) {
            Some(NEEDED)
        } else if image.is_used {
            Some(IN_CONTAINER)
        } else {
            record.id.is_none().then_some(OF_UNKNOWN_ORIGIN)
        };
        Item {
            bytes: image.bytes,
            used_at: Some(record.used_at),
            is_pinned: is_pinned(records, Kind::Image, &image.name),
            jobs: self.of_images.get(&name).cloned().unwrap_or_default(),
            obstacle,
            image: Some((image.clone(), record.clone())),
            ..Item::new(Kind::Image, &image.name, &image.name)
        }
    }
}

/// A volume was last used by the last of its jobs that is on record.
fn volume_item(records: &CacheRecords, volume: &HeldVolume) -> Item {
    let jobs = records.jobs.iter().filter(|job| cache_volume(&job.callers) == volume.name);
    let jobs: Vec<_> = jobs.collect();
    Item {
        bytes: volume.bytes.unwrap_or_default(),
        used_at: jobs.iter().map(|job| job.used_at).max(),
        is_pinned: is_pinned(records, Kind::JobCache, &volume.name),
        jobs: jobs.iter().map(|job| job.job.clone()).collect(),
        obstacle: volume.is_used.then_some(IN_CONTAINER),
        ..Item::new(Kind::JobCache, &volume.name, &volume.name)
    }
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
        let used_at = Time(used_at);
        KeptResult { job: id(name), name: name.to_owned(), used_at, is_unfinished, callers: Vec::new() }
    }

    fn no_definition(_: &str) -> Result<Definition, String> {
        Err("none".to_owned())
    }

    #[test]
    fn a_shared_file_counts_once_with_the_result_used_last_and_the_rest_are_blobs() {
        let blob = |number, size| Holding { hash: hash(number), size, used_at: Time(0) };
        let holdings = Holdings {
            blobs: vec![blob(1, 100), blob(2, 10), blob(3, 1)],
            logs: [(id("old"), 7)].into(),
            records: 1000,
        };
        let file = |job: &str, number| KeptFile { job: id(job), hash: hash(number), is_output: true };
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
    fn a_result_was_last_used_when_one_of_its_outputs_was_read() {
        let holdings = Holdings {
            blobs: vec![
                Holding { hash: hash(1), size: 1, used_at: Time(90) },
                Holding { hash: hash(2), size: 1, used_at: Time(99) },
            ],
            ..Holdings::default()
        };
        let file = |number, is_output| KeptFile { job: id("a"), hash: hash(number), is_output };
        let records = CacheRecords {
            jobs: vec![kept("a", 50, false)],
            files: vec![file(1, true), file(2, false)],
            ..CacheRecords::default()
        };
        assert_eq!(sort(&holdings, &records, no_definition).items[0].used_at, Some(Time(90)));
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
