//! Removes what the person or the limit wants gone, as far as nobody needs it.

use std::collections::HashSet;

use deskgrid_docker::Engine;
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{BlobHash, Caller, JobId, Outlook, QueueName, Time};
use deskgrid_store::{Change, GRACE};

use super::{Freed, Item, Kind, survey};
use crate::{Release, Worker, WorkerError};

/// Removes `items` and says what became free. What is pinned stays.
pub(super) async fn remove(worker: &Worker, items: &[(Kind, String)]) -> Result<Freed, WorkerError> {
    let before = survey::disk(&worker.0.kit).await?;
    let wanted: HashSet<(Kind, &str)> = items.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
    let free = before.items.iter().filter(|item| item.obstacle.is_none() && !item.is_pinned);
    let meant: Vec<_> = free.filter(|item| wanted.contains(&(item.kind, item.id.as_str()))).collect();
    let disk = before.freed(&meant).disk;
    let of = |kind: Kind| meant.iter().filter(move |item| item.kind == kind);
    let jobs: Vec<_> = of(Kind::Result).filter_map(|item| JobId::new(&item.id).ok()).collect();
    let mut files: HashSet<BlobHash> = of(Kind::Blob).filter_map(|item| BlobHash::parse(&item.id)).collect();
    files.extend(files_of(worker, &jobs).await?);
    for job in &jobs {
        delete(worker, job).await?;
    }
    let contexts: Vec<_> = of(Kind::Context).collect();
    files.extend(contexts.iter().flat_map(|context| &context.files));
    let gone = contexts.iter().map(|context| Change::ContextGone(context.id.clone()));
    worker.store().commit(gone.collect()).await?;
    for log in of(Kind::Log) {
        if let Ok(job) = JobId::new(&log.id) {
            worker.store().remove_logs(&job).await?;
        }
    }
    remove_spare(worker, files).await?;
    let engine = remove_from_engine(worker, items).await;
    worker.0.kit.cache.changed();
    // Files that are too fresh go by themselves a little later.
    Ok(Freed { disk, engine, at_least: false })
}

/// The stored files of these jobs.
async fn files_of(worker: &Worker, jobs: &[JobId]) -> Result<Vec<BlobHash>, WorkerError> {
    let mut files = Vec::new();
    for job in jobs {
        let result = worker.store().result(job).await?.unwrap_or_default();
        files.extend(result.outputs.values().map(|file| file.hash));
        files.extend(worker.store().inputs(job).await?.into_iter().map(|(_, hash)| hash));
    }
    Ok(files)
}

/// Deletes a job through the queue, which alone may.
async fn delete(worker: &Worker, id: &JobId) -> Result<(), WorkerError> {
    let Some(job) = worker.job(id).await? else { return Ok(()) };
    let mut queues: Vec<QueueName> = job.holds.iter().map(|hold| hold.queue.clone()).collect();
    queues.dedup();
    if queues.is_empty() {
        queues.extend(QueueName::new("local"));
    }
    for queue in queues {
        let outlook = Outlook { queue, caller: Caller::Program };
        let release = Release { id: id.clone(), outlook, slots: Released::All, why: Withdrawal::Delete };
        worker.release(release).await?;
    }
    Ok(())
}

/// Removes those of `files` that no record refers to any more. One that was brought or asked for within the grace
/// time is left to a later look.
async fn remove_spare(worker: &Worker, mut files: HashSet<BlobHash>) -> Result<(), WorkerError> {
    if files.is_empty() {
        return Ok(());
    }
    let records = worker.store().cache_records().await?;
    let needed = survey::needed(&records, worker.0.kit.read_definition);
    files.retain(|hash| !needed.contains(hash));
    let referred = survey::referred(&records);
    files.retain(|hash| !referred.contains(hash));
    let before = Time::now().minus(GRACE);
    let gone = worker.store().remove_blobs(files.iter().copied().collect(), before).await?;
    let gone: HashSet<_> = gone.into_iter().collect();
    // Those that are too fresh now: their time comes when the keeper looks next.
    worker.0.kit.cache.leave_for_later(files.difference(&gone).copied());
    worker.store().commit(gone.into_iter().map(Change::Unname).collect()).await?;
    Ok(())
}

/// Removes those that were given up earlier and were too fresh then.
pub(super) async fn remove_left(worker: &Worker) -> Result<(), WorkerError> {
    let left = worker.0.kit.cache.take_left();
    remove_spare(worker, left).await
}

/// Removes images and volumes that are ours, and says how many bytes the engine has then got free. What is in use
/// stays, and is seen again by the next look. An image that has a name of somebody else's too loses ours alone.
async fn remove_from_engine(worker: &Worker, items: &[(Kind, String)]) -> u64 {
    let mut wanted: HashSet<(Kind, &str)> =
        items.iter().map(|(kind, id)| (*kind, id.as_str())).filter(|(kind, _)| !kind.is_on_disk()).collect();
    let Some(engine) = worker.0.kit.engine.borrow().ready().cloned() else { return 0 };
    let mut freed = 0;
    while !wanted.is_empty() {
        // Only what a look finds to be ours: nobody can name anything else.
        let mut found = survey::engine(&worker.0.kit).await;
        found.retain(|item| {
            !item.is_pinned && item.obstacle.is_none() && wanted.contains(&(item.kind, item.id.as_str()))
        });
        if found.is_empty() {
            break;
        }
        for item in found {
            wanted.retain(|(kind, id)| (*kind, *id) != (item.kind, item.id.as_str()));
            freed += remove_one(worker, &engine, &item).await;
            // What the others have alone is different from now on.
            if item.image.as_ref().is_some_and(|(image, _)| image.unique != Some(image.bytes)) {
                break;
            }
        }
    }
    freed
}

/// Removes one thing, and says how many bytes became free.
async fn remove_one(worker: &Worker, engine: &Engine, item: &Item) -> u64 {
    let removed = match &item.image {
        Some((image, _)) => {
            engine.remove_image(&item.id).await.map(|is_gone| image.unique.filter(|_| is_gone).unwrap_or(0))
        }
        None => engine.remove_volume(&item.id).await.map(|()| item.bytes),
    };
    match removed {
        Ok(bytes) => {
            let gone = Change::ImageGone(item.id.clone());
            if item.kind == Kind::Image
                && let Err(error) = worker.store().commit(vec![gone]).await
            {
                tracing::warn!(%error, "could not note that an image is gone");
            }
            bytes
        }
        Err(error) => {
            tracing::info!(name = item.id, %error, "it stays in the engine");
            0
        }
    }
}
