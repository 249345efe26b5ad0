//! The cache: what is kept of jobs and for jobs, how large it is, and what goes when.
//!
//! Nothing is known here but what the records, the folder and the engine say at the moment of a look. What is removed
//! is looked at once more right before, so that a job that came meanwhile keeps what it needs.

mod built;
mod coming;
mod keeper;
mod others;
mod ownership;
mod plan;
mod removal;
mod survey;
mod unrecorded;
mod unwanted;
mod uses;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use deskgrid_docker::Certainty;
use deskgrid_docker::{Engine, EngineError, HeldImage};
use deskgrid_job::{BlobHash, JobId, Time};
use deskgrid_store::{ImageRecord, StoreError};
use tokio::sync::{Notify, Semaphore, watch};

pub(crate) use built::{images_of, remove_if_deleted, remove_unused};
use coming::{Coming, OnItsWay};
pub(crate) use keeper::keep;
pub(crate) use others::watch as watch_others;
pub(crate) use ownership::record;
pub use plan::plan;
pub(crate) use unrecorded::Spared;
pub(crate) use unwanted::keep as keep_images;

use crate::{Worker, WorkerError};

/// What can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What a job came to, with its outputs and inputs.
    Result,
    /// A stored file that no job on record refers to.
    Blob,
    /// What a job and the making of its image wrote.
    Log,
    /// A download that images are built from.
    Context,
    /// An image in the engine that we had pulled or built.
    Image,
    /// A volume in the engine in which jobs keep things for later jobs.
    JobCache,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Self::Result, Self::Blob, Self::Log, Self::Context, Self::Image, Self::JobCache];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Blob => "blob",
            Self::Log => "log",
            Self::Context => "context",
            Self::Image => "image",
            Self::JobCache => "jobcache",
        }
    }

    /// The kind of a stable word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it lies in our folder, and not in the engine.
    pub fn is_on_disk(self) -> bool {
        matches!(self, Self::Result | Self::Blob | Self::Log | Self::Context)
    }
}

/// One thing that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Of which kind it is.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// Its size. A file that several results share counts with the one that was used last: when old results go first,
    /// that is the one with which the file goes.
    pub bytes: u64,
    /// Bytes of the log that goes with it, which is an item of its own too.
    pub log_bytes: u64,
    /// When it was last used, as far as that is known.
    pub used_at: Option<Time>,
    /// Whether the person keeps it.
    pub is_pinned: bool,
    /// The jobs that it belongs to.
    pub jobs: Vec<JobId>,
    /// Why it cannot be removed now.
    pub obstacle: Option<&'static str>,
    /// The stored files that it keeps, each once.
    pub files: Vec<BlobHash>,
    /// The image in the engine that it is, and what is on record of that.
    pub image: Option<(HeldImage, ImageRecord)>,
    /// The name of the image that was built for it, which goes with the last result that has it.
    pub built: Option<String>,
}

impl Item {
    /// Something of no size of which nothing more is known.
    pub fn new(kind: Kind, id: &str, name: &str) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
            bytes: 0,
            log_bytes: 0,
            used_at: None,
            is_pinned: false,
            jobs: Vec::new(),
            obstacle: None,
            files: Vec::new(),
            image: None,
            built: None,
        }
    }

    fn may_go(&self) -> bool {
        self.obstacle.is_none() && !self.is_pinned
    }
}

/// Bytes that become free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// On this computer's disk.
    pub disk: u64,
    /// Inside the engine, whose disk may be another one.
    pub engine: u64,
    /// How well the number of the engine is known.
    pub certainty: Certainty,
}

/// A stored file: its size, and how many keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptBlob {
    bytes: u64,
    keepers: usize,
}

/// The cache at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Everything that is kept, in no order.
    pub items: Vec<Item>,
    /// Bytes of our own records on the disk.
    pub records: u64,
    pub(crate) blobs: HashMap<BlobHash, KeptBlob>,
    /// For the sake of how many jobs each image that we built is kept.
    pub(crate) built_for: HashMap<String, usize>,
}

impl Survey {
    /// Bytes on the disk, the records among them.
    pub fn on_disk(&self) -> u64 {
        self.bytes(true) + self.records
    }

    /// Bytes in the engine.
    pub fn in_engine(&self) -> u64 {
        self.bytes(false)
    }

    /// Leaves out what is about to go: for its sake nothing is kept any more.
    pub fn leave_out(&mut self, going: &HashSet<(Kind, String)>) {
        let is_going = |item: &mut Item| going.contains(&(item.kind, item.id.clone()));
        for item in self.items.extract_if(.., is_going) {
            for hash in &item.files {
                self.blobs.entry(*hash).and_modify(|blob| blob.keepers = blob.keepers.saturating_sub(1));
            }
            if let Some(count) = item.built.as_ref().and_then(|image| self.built_for.get_mut(image)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// The names of the images that go when `items` do, as they were built for nobody else.
    fn built_for_none_but(&self, items: &[&Item]) -> HashSet<String> {
        let mut going: HashMap<&str, usize> = HashMap::new();
        for image in items.iter().filter_map(|item| item.built.as_deref()) {
            *going.entry(image).or_default() += 1;
        }
        let is_last =
            |(image, count): &(&str, usize)| self.built_for.get(*image).is_none_or(|all| all <= count);
        going.into_iter().filter(is_last).map(|(image, _)| image.to_owned()).collect()
    }

    /// What becomes free when `items` go together, and with results the images that were built for them: files that
    /// somebody else keeps stay, and so do images with another name and layers that other images have.
    pub fn freed(&self, items: &[&Item]) -> Freed {
        let mut going: HashMap<BlobHash, usize> = HashMap::new();
        let mut logs: HashMap<&str, u64> = HashMap::new();
        for item in items {
            for hash in &item.files {
                *going.entry(*hash).or_default() += 1;
            }
            match item.kind {
                Kind::Log => drop(logs.insert(&item.id, item.bytes)),
                Kind::Result => drop(logs.insert(&item.id, item.log_bytes)),
                _ => {}
            }
        }
        let files = going.iter().filter_map(|(hash, count)| {
            self.blobs.get(hash).filter(|blob| blob.keepers <= *count).map(|blob| blob.bytes)
        });
        let built = self.built_for_none_but(items);
        let goes_along = |item: &&Item| item.kind == Kind::Image && item.may_go() && built.contains(&item.id);
        let along = self.items.iter().filter(goes_along);
        let along = along.filter(|image| !items.iter().any(|item| std::ptr::eq(*item, *image)));
        let images = items.iter().copied().chain(along).filter_map(|item| Some(&item.image.as_ref()?.0));
        let images: Vec<_> = images.collect();
        let (in_images, certainty) = deskgrid_docker::freed(&images);
        let volumes = items.iter().filter(|item| item.kind == Kind::JobCache).map(|item| item.bytes);
        Freed {
            disk: files.sum::<u64>() + logs.values().sum::<u64>(),
            engine: in_images + volumes.sum::<u64>(),
            certainty,
        }
    }

    fn bytes(&self, on_disk: bool) -> u64 {
        self.items.iter().filter(|item| item.kind.is_on_disk() == on_disk).map(|item| item.bytes).sum()
    }
}

/// What the worker keeps of the cache's own state.
pub(crate) struct Control {
    /// The limit in bytes that was chosen; none for the usual one.
    pub(crate) limit: watch::Sender<Option<u64>>,
    /// Changes when something was added or removed.
    pub(crate) version: watch::Sender<u64>,
    /// Told when the disk has less room than shall stay free.
    pub(crate) low: Notify,
    /// What was read lately.
    pub(crate) uses: uses::Uses,
    /// Files that were given up and were too fresh to be removed at once. Nobody is shown them any more.
    left: Mutex<HashSet<BlobHash>>,
    /// Outputs of jobs whose end is not on record yet.
    unrecorded: unrecorded::Unrecorded,
    /// Whether images are to go that could not be removed at once.
    owes_images: watch::Sender<bool>,
    /// The images that runs have on their way, until that is noted of each as one that is here.
    coming: Coming,
    /// One at a time decides what goes: another would count on what the first is about to remove.
    turn: Semaphore,
}

impl Control {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            limit: watch::Sender::new(limit),
            version: watch::Sender::new(0),
            low: Notify::new(),
            uses: uses::Uses::default(),
            left: Mutex::default(),
            unrecorded: unrecorded::Unrecorded::default(),
            owes_images: watch::Sender::new(false),
            coming: Coming::default(),
            turn: Semaphore::new(1),
        }
    }

    pub(crate) fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Has the keeper make room on the disk, as far as it can.
    pub(crate) fn want_room(&self) {
        self.low.notify_one();
    }

    fn owe_images(&self, owed: bool) {
        self.owes_images.send_if_modified(|old| std::mem::replace(old, owed) != owed);
    }

    /// While it lasts, no output of a run goes that is told to it.
    pub(crate) fn spare(&self) -> Spared {
        self.unrecorded.begin()
    }

    /// While it lasts, what is noted of this image as one on its way stays, although it is not there.
    pub(crate) fn on_its_way(&self, image: &str) -> OnItsWay<'_> {
        self.coming.begin(image)
    }

    fn is_coming(&self, engine: &Engine, image: &str) -> bool {
        self.coming.has(image) || engine.is_bringing(image)
    }

    fn left(&self) -> MutexGuard<'_, HashSet<BlobHash>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_for_later(&self, files: impl Iterator<Item = BlobHash>) {
        self.left().extend(files);
    }

    fn take_left(&self) -> HashSet<BlobHash> {
        std::mem::take(&mut self.left())
    }

    fn has_left(&self) -> bool {
        !self.left().is_empty()
    }
}

/// Why the engine's images and what is on record of them could not be compared.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The limit where nobody chose one: a tenth of the disk, and no more than this.
const USUAL_LIMIT: u64 = 20 * 1000 * 1000 * 1000;

/// The limit for a disk of `total` bytes.
pub fn usual_limit(total: u64) -> u64 {
    USUAL_LIMIT.min(total / 10)
}

impl Worker {
    /// Looks at everything on the disk.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn survey_cache(&self) -> Result<Survey, WorkerError> {
        uses::settle(self).await?;
        Ok(survey::disk(&self.0.kit).await?)
    }

    /// Looks at what is in the engine too, as far as that answers.
    pub async fn survey_engine(&self, survey: &mut Survey) {
        survey.items.extend(survey::engine(&self.0.kit).await.items);
    }

    /// Removes these items for good, as far as nobody needs them, and says what became free.
    ///
    /// # Errors
    /// When the records cannot be read, or the worker is stopping.
    pub async fn remove_from_cache(&self, items: &[(Kind, String)]) -> Result<Freed, WorkerError> {
        removal::remove(self, items).await
    }

    /// Chooses the limit of the cache in bytes; none for the usual one.
    pub fn set_cache_limit(&self, limit: Option<u64>) {
        let sender = &self.0.kit.cache.limit;
        if sender.send_if_modified(|old| std::mem::replace(old, limit) != limit) {
            self.0.kit.cache.changed();
        }
    }

    /// The limit that was chosen.
    pub fn cache_limit(&self) -> Option<u64> {
        *self.0.kit.cache.limit.borrow()
    }

    /// Chooses how many bytes of the disk stay free; none for the usual.
    pub fn set_disk_reserve(&self, bytes: Option<u64>) {
        self.0.store.set_reserve(bytes);
    }

    /// Makes sure that the disk takes `bytes` more and keeps its reserve, for which results and files go that were
    /// used least, if that helps.
    ///
    /// # Errors
    /// [`deskgrid_store::StoreError::LowOnDisk`] when it does not.
    pub async fn make_room(&self, bytes: u64) -> Result<(), WorkerError> {
        if self.0.store.check_room(bytes).await.is_err() {
            keeper::make_room(self, bytes).await;
        }
        Ok(self.0.store.check_room(bytes).await?)
    }

    /// Tells when something was added to the cache or left it.
    pub fn cache_changes(&self) -> watch::Receiver<u64> {
        self.0.kit.cache.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_store::Origin;

    use super::*;

    fn result(id: &str) -> Item {
        Item {
            built: Some("b".to_owned()),
            files: vec![BlobHash([1; 32])],
            ..Item::new(Kind::Result, id, id)
        }
    }

    fn image(is_pinned: bool) -> Item {
        let record = ImageRecord {
            engine: "e".to_owned(),
            name: "b".to_owned(),
            id: Some("1".to_owned()),
            origin: Origin::Built,
            used_at: Time(1),
            is_unwanted: false,
        };
        let held =
            HeldImage { name: "b".to_owned(), bytes: 9, unique: Some(7), names: 1, ..HeldImage::default() };
        Item { image: Some((held, record)), is_pinned, ..Item::new(Kind::Image, "b", "b") }
    }

    /// Two results with a file and an image that was built for both.
    fn survey(is_pinned: bool) -> Survey {
        Survey {
            items: vec![result("one"), result("two"), image(is_pinned)],
            records: 0,
            blobs: [(BlobHash([1; 32]), KeptBlob { bytes: 5, keepers: 2 })].into(),
            built_for: [("b".to_owned(), 2)].into(),
        }
    }

    fn freed(survey: &Survey, kinds: &[Kind]) -> (u64, u64) {
        let items: Vec<_> = survey.items.iter().filter(|item| kinds.contains(&item.kind)).collect();
        let freed = survey.freed(&items);
        (freed.disk, freed.engine)
    }

    #[test]
    fn with_the_last_result_goes_the_image_that_was_built_for_it_and_it_counts_once() {
        let both = survey(false);
        assert_eq!(freed(&both, &[Kind::Result]), (5, 7));
        assert_eq!(freed(&both, &[Kind::Result, Kind::Image]), (5, 7));
        let one = both.freed(&[&both.items[0]]);
        assert_eq!((one.disk, one.engine), (0, 0), "the other one has both still");
        assert_eq!(freed(&survey(true), &[Kind::Result]), (5, 0), "the person keeps it");
    }

    #[test]
    fn what_is_about_to_go_keeps_nothing() {
        let mut survey = survey(false);
        survey.leave_out(&[(Kind::Result, "one".to_owned())].into());
        assert_eq!(survey.items.len(), 2);
        assert_eq!(freed(&survey, &[Kind::Result]), (5, 7));
    }
}
