//! Which results and files were read lately. It is noted in memory, where it costs next to nothing, and goes to the disk
//! before it matters: with every look at the cache, and now and then. A crash loses some minutes of it.
//!
//! On the disk it is the time of the files themselves, so that a result was last used when one of its outputs was.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deskgrid_job::{BlobHash, JobId};
use tokio::sync::Notify;

use crate::{Worker, WorkerError};

/// What was read since this was last on the disk.
#[derive(Default)]
pub(crate) struct Uses {
    read: Mutex<Read>,
    /// Told when something was noted.
    noted: Notify,
}

#[derive(Default)]
struct Read {
    results: HashSet<JobId>,
    files: HashSet<BlobHash>,
}

impl Uses {
    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is something to bring to the disk.
    pub(super) fn is_waiting(&self) -> bool {
        let read = self.lock();
        !read.results.is_empty() || !read.files.is_empty()
    }

    /// Waits until something is noted.
    pub(super) async fn noted(&self) {
        self.noted.notified().await;
    }
}

/// Brings what was noted to the disk.
pub(super) async fn settle(worker: &Worker) -> Result<(), WorkerError> {
    let Read { results, mut files } = std::mem::take(&mut *worker.0.kit.cache.uses.lock());
    for job in results {
        // One output of a result stands for all.
        let result = worker.store().result(&job).await?.unwrap_or_default();
        files.extend(result.outputs.values().next().map(|file| file.hash));
    }
    for hash in files {
        worker.store().blobs().note_use(hash).await;
    }
    Ok(())
}

impl Worker {
    /// Notes that somebody read the result of a job.
    pub fn note_result_read(&self, id: &JobId) {
        let uses = &self.0.kit.cache.uses;
        uses.lock().results.insert(id.clone());
        uses.noted.notify_one();
    }

    /// Notes that somebody read a stored file.
    pub fn note_file_read(&self, hash: BlobHash) {
        let uses = &self.0.kit.cache.uses;
        uses.lock().files.insert(hash);
        uses.noted.notify_one();
    }
}
