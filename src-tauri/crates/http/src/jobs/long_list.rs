//! The answer to who asks for a list of thousands of jobs. Scripts ask again and again, and to write megabytes takes
//! milliseconds in which a thread serves nobody else: it is done on one that may block, and the last such answer is kept
//! until its list changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use deskgrid_job::{Job, Outlook};
use deskgrid_wire::answer;
use deskgrid_worker::{Feed, Listing, WorkerError};
use tokio::sync::Semaphore;

use super::view;
use crate::Site;
use crate::error::HttpError;

/// Lists of so many jobs are long.
const LONG: usize = 500;

/// The last long list that was written; a cheap handle.
#[derive(Clone)]
pub(crate) struct LongList {
    kept: Arc<Mutex<Option<Kept>>>,
    /// One list is written at a time: of hundreds of scripts that ask at the same moment all but one find it written.
    turn: Arc<Semaphore>,
}

impl Default for LongList {
    fn default() -> Self {
        Self { kept: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

struct Kept {
    outlook: Outlook,
    /// It has read the list as the text has it.
    feed: Feed,
    text: Bytes,
}

impl LongList {
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text, when it is of this list and still true.
    fn find(&self, outlook: &Outlook) -> Option<Bytes> {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| kept.feed.is_behind()) {
            *kept = None;
        }
        kept.as_ref().filter(|kept| kept.outlook == *outlook).map(|kept| kept.text.clone())
    }
}

/// The jobs that `outlook` shows, as JSON.
pub(super) async fn text(site: &Site, outlook: Outlook) -> Result<Bytes, HttpError> {
    if let Some(text) = site.long_list().find(&outlook) {
        return Ok(text);
    }
    let jobs = site.worker().list(&outlook);
    if jobs.len() < LONG {
        return Ok(write(site, &outlook, &jobs));
    }
    // Nobody closes it.
    let _turn = site.long_list().turn.acquire().await.ok();
    if let Some(text) = site.long_list().find(&outlook) {
        return Ok(text);
    }
    let mut feed = site.worker().feed(&outlook);
    let (Listing::Whole { jobs, .. } | Listing::Changes(jobs)) = feed.next().await;
    let writer = site.clone();
    let written = tokio::task::spawn_blocking(move || (write(&writer, &outlook, &jobs), outlook)).await;
    let (text, outlook) = written.map_err(|_| WorkerError::Stopping)?;
    *site.long_list().lock() = Some(Kept { outlook, feed, text: text.clone() });
    Ok(text)
}

fn write(site: &Site, outlook: &Outlook, jobs: &[Arc<Job>]) -> Bytes {
    answer::jobs(jobs.iter().map(Arc::as_ref), view(site, outlook)).into()
}
