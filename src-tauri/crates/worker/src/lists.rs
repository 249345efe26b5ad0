//! What every queue lists at present for each of its readers, and how a reader that is slow or late catches up with it.
//!
//! Written by the queue's owner alone, after the change is on disk. A reader keeps only a version number, so a slow
//! one costs nothing: it is handed every change that it missed, or the whole list when it missed too many.

mod chronicle;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deskgrid_job::{Caller, Job, JobId, LogLine, Outlook, Phase};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

pub use chronicle::ChangedJobs;
use chronicle::Chronicle;

/// Changes that are kept for readers that are behind; more than this and they get the whole list.
const KEPT_CHANGES: usize = 8192;
/// Live news that are kept for slow readers.
const KEPT_NEWS: usize = 256;
/// Changes reach one reader at most this often.
const TICK: Duration = Duration::from_millis(40);

/// The lists of all queues for all their readers; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Lists {
    by_outlook: Arc<Mutex<HashMap<Outlook, List>>>,
    /// For readers of everything, also of jobs that no list shows any more.
    chronicle: Chronicle,
}

struct List {
    jobs: HashMap<JobId, Arc<Job>>,
    /// How many of them are not finished.
    unfinished: usize,
    /// Every change with its version, oldest first.
    changes: VecDeque<(u64, Arc<Job>)>,
    /// Changes before this version are no longer in `changes`.
    forgotten: u64,
    /// The version after the newest change.
    version: u64,
    /// The version at which a job last left.
    left_at: u64,
    changed: watch::Sender<u64>,
    news: broadcast::Sender<News>,
}

/// Which build or run step lines belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The image is pulled.
    Pull,
    /// What the image is built from is brought here.
    Context,
    /// The image is built.
    Build,
    /// The container runs.
    Run,
}

/// Something that happened in a queue just now. A reader that is too slow misses some.
#[derive(Clone, Debug)]
pub enum News {
    /// A job changed; also told of jobs that end without being listed any more.
    State(Arc<Job>),
    /// Lines arrived; they are in the log on disk already.
    Lines(Arc<LiveLines>),
    /// How far the pull of a job's image is.
    Pull(JobId, Arc<deskgrid_docker::PullProgress>),
}

/// Lines of one job as they came.
#[derive(Debug)]
pub struct LiveLines {
    /// The job.
    pub id: JobId,
    /// What wrote them.
    pub step: Step,
    /// The lines in order, or the first of them when many came at once.
    pub lines: Vec<LogLine>,
    /// How many more came; they are in the log only, so that news which wait for slow readers stay small.
    pub left_out: u64,
    text: OnceLock<Bytes>,
}

impl LiveLines {
    /// Lines that `step` of a job wrote, and how many more there were.
    pub fn new(id: JobId, step: Step, lines: Vec<LogLine>, left_out: u64) -> Self {
        Self { id, step, lines, left_out, text: OnceLock::new() }
    }

    /// The lines as all readers send them: the first one's `write` makes the text for all.
    pub fn text(&self, write: impl FnOnce(&[LogLine]) -> String) -> Bytes {
        self.text.get_or_init(|| write(&self.lines).into()).clone()
    }
}

/// What a reader of a list gets next.
#[derive(Debug)]
pub enum Listing {
    /// The whole list; forget what was known.
    Whole {
        /// Of the list. Readers of the same list at the same version get the same jobs.
        version: u64,
        /// In no order.
        jobs: Vec<Arc<Job>>,
    },
    /// Changes in order; a job may be among them several times, once for each state it went through.
    Changes(Vec<Arc<Job>>),
}

impl Default for List {
    fn default() -> Self {
        Self {
            jobs: HashMap::new(),
            unfinished: 0,
            changes: VecDeque::new(),
            forgotten: 1,
            version: 1,
            left_at: 0,
            changed: watch::Sender::new(1),
            news: broadcast::Sender::new(KEPT_NEWS),
        }
    }
}

impl List {
    fn note(&mut self, job: Arc<Job>) {
        if self.changes.len() == KEPT_CHANGES
            && let Some((version, _)) = self.changes.pop_front()
        {
            self.forgotten = version + 1;
        }
        self.changes.push_back((self.version, job));
        self.version += 1;
    }

    fn is_unused(&self) -> bool {
        self.jobs.is_empty() && self.changed.receiver_count() == 0 && self.news.receiver_count() == 0
    }

    fn whole(&self) -> Vec<Arc<Job>> {
        self.jobs.values().cloned().collect()
    }

    /// The changes from version `seen` on of jobs that are still listed, or nothing when some are forgotten.
    fn since(&self, seen: u64) -> Option<Vec<Arc<Job>>> {
        let from = self.changes.partition_point(|(version, _)| *version < seen);
        let news = self.changes.iter().skip(from).map(|(_, job)| job);
        (seen >= self.forgotten)
            .then(|| news.filter(|job| self.jobs.contains_key(&job.id)).cloned().collect())
    }
}

impl Lists {
    fn lock(&self) -> MutexGuard<'_, HashMap<Outlook, List>> {
        self.by_outlook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new or changed job on all lists that it belongs on.
    pub(crate) fn show(&self, job: Job) {
        let job = Arc::new(job);
        let mut lists = self.lock();
        for outlook in job.outlooks() {
            let list = lists.entry(outlook).or_default();
            list.unfinished += usize::from(is_unfinished(&job));
            let before = list.jobs.insert(job.id.clone(), job.clone());
            list.unfinished -= usize::from(before.is_some_and(|job| is_unfinished(&job)));
            list.note(job.clone());
            let _ = list.news.send(News::State(job.clone()));
            list.changed.send_replace(list.version);
        }
        self.chronicle.note(&job.id);
    }

    /// Takes a job off these lists.
    pub(crate) fn hide(&self, job: Job, outlooks: &[Outlook]) {
        let job = Arc::new(job);
        let mut lists = self.lock();
        for outlook in outlooks {
            let Some(list) = lists.get_mut(outlook) else { continue };
            if let Some(before) = list.jobs.remove(&job.id) {
                list.unfinished -= usize::from(is_unfinished(&before));
                list.left_at = list.version;
                list.version += 1;
            }
            let _ = list.news.send(News::State(job.clone()));
            list.changed.send_replace(list.version);
            if list.is_unused() {
                lists.remove(outlook);
            }
        }
        self.chronicle.note(&job.id);
    }

    /// Lets readers of everything look at a job again of which something changed that no list shows.
    pub(crate) fn note(&self, job: &JobId) {
        self.chronicle.note(job);
    }

    /// A reader of which jobs change, over all queues.
    pub(crate) fn changes(&self) -> ChangedJobs {
        self.chronicle.follow()
    }

    /// Tells the readers of all lists with `job` something that is not kept.
    pub(crate) fn tell(&self, job: &JobId, news: &News) {
        let lists = self.lock();
        for list in lists.values().filter(|list| list.jobs.contains_key(job)) {
            let _ = list.news.send(news.clone());
        }
    }

    /// All jobs that `outlook` shows, in no order.
    pub(crate) fn all(&self, outlook: &Outlook) -> Vec<Arc<Job>> {
        self.lock().get(outlook).map(List::whole).unwrap_or_default()
    }

    /// A listed job of any queue.
    pub(crate) fn job(&self, id: &JobId) -> Option<Arc<Job>> {
        self.lock().values().find_map(|list| list.jobs.get(id)).cloned()
    }

    /// Whether `outlook` shows this job.
    pub(crate) fn shows(&self, outlook: &Outlook, id: &JobId) -> bool {
        self.lock().get(outlook).is_some_and(|list| list.jobs.contains_key(id))
    }

    /// How many unfinished jobs a caller has asked for, in all queues.
    pub(crate) fn unfinished(&self, caller: &Caller) -> usize {
        let lists = self.lock();
        lists.iter().filter(|(outlook, _)| outlook.caller == *caller).map(|(_, list)| list.unfinished).sum()
    }

    /// Every listed job once.
    pub(crate) fn everything(&self) -> HashMap<JobId, Arc<Job>> {
        let lists = self.lock();
        lists.values().flat_map(|list| list.jobs.iter()).map(|(id, job)| (id.clone(), job.clone())).collect()
    }

    /// Live news in `outlook` from now on.
    pub(crate) fn news(&self, outlook: &Outlook) -> broadcast::Receiver<News> {
        with_room(&mut self.lock()).entry(outlook.clone()).or_default().news.subscribe()
    }

    /// A reader of `outlook` that has seen nothing yet.
    pub(crate) fn feed(&self, outlook: &Outlook) -> Feed {
        let changed = with_room(&mut self.lock()).entry(outlook.clone()).or_default().changed.subscribe();
        Feed {
            lists: self.clone(),
            outlook: outlook.clone(),
            changed,
            seen: 0,
            whole_seen: 0,
            whole_at: None,
            told_at: None,
        }
    }
}

fn is_unfinished(job: &Job) -> bool {
    matches!(job.phase, Phase::Queued | Phase::Running)
}

/// Any name makes a queue; those that nobody uses any more are dropped before they pile up.
fn with_room(lists: &mut HashMap<Outlook, List>) -> &mut HashMap<Outlook, List> {
    const MOST_UNUSED: usize = 64;
    if lists.len() > MOST_UNUSED {
        lists.retain(|_, list| !list.is_unused());
    }
    lists
}

/// One reader's place in a queue's list.
pub struct Feed {
    lists: Lists,
    outlook: Outlook,
    changed: watch::Receiver<u64>,
    /// The version up to which the reader knows everything.
    seen: u64,
    /// The version of the last whole list that it got.
    whole_seen: u64,
    /// When it last got the whole list, and how many jobs that were.
    whole_at: Option<(Instant, usize)>,
    told_at: Option<Instant>,
}

impl Feed {
    /// What is new for this reader, as soon as there is something; the whole list at first.
    ///
    /// Safe to drop while it waits: nothing is lost by that.
    pub async fn next(&mut self) -> Listing {
        loop {
            if let Some(told) = self.told_at {
                tokio::time::sleep_until(told + TICK).await;
            }
            self.changed.mark_unchanged();
            if let Some(listing) = self.take() {
                self.told_at = Some(Instant::now());
                return listing;
            }
            self.wait().await;
        }
    }

    /// Whether the list changed since the last answer of [`Feed::next`].
    pub fn is_behind(&self) -> bool {
        // The sender lives with the list, which lives with its readers.
        self.changed.has_changed().unwrap_or(true)
    }

    /// The next answer of [`Feed::next`] shall be the whole list.
    pub fn ask_for_whole(&mut self) {
        self.whole_seen = 0;
        self.whole_at = None;
    }

    /// Whether a job left since the last whole list: only the next one tells that it is gone.
    fn is_owed_whole(&self, list: &List) -> bool {
        list.left_at >= self.whole_seen
    }

    fn take(&mut self) -> Option<Listing> {
        let lists = self.lists.clone();
        let lists = lists.lock();
        let list = lists.get(&self.outlook)?;
        if self.is_owed_whole(list) && self.whole_due().is_none_or(|due| due <= Instant::now()) {
            return Some(self.take_whole(list));
        }
        let Some(changes) = list.since(self.seen) else { return Some(self.take_whole(list)) };
        self.seen = list.version;
        (!changes.is_empty()).then_some(Listing::Changes(changes))
    }

    fn take_whole(&mut self, list: &List) -> Listing {
        self.seen = list.version;
        self.whole_seen = list.version;
        self.whole_at = Some((Instant::now(), list.jobs.len()));
        Listing::Whole { version: list.version, jobs: list.whole() }
    }

    /// Whole lists because of jobs that left come the rarer the longer the list is.
    fn whole_due(&self) -> Option<Instant> {
        let (when, jobs) = self.whole_at?;
        Some(when + Duration::from_millis(jobs as u64 / 2))
    }

    async fn wait(&mut self) {
        let due = {
            let lists = self.lists.lock();
            lists.get(&self.outlook).filter(|list| self.is_owed_whole(list)).and_then(|_| self.whole_due())
        };
        let changed = self.changed.changed();
        match due {
            Some(due) => tokio::select! {
                _ = changed => {}
                () = tokio::time::sleep_until(due) => {}
            },
            // The sender lives as long as the list, and a list with a reader is never dropped.
            None => drop(changed.await),
        }
    }
}

#[cfg(test)]
mod tests;
