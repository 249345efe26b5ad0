//! Removes what the person or the limit wants gone, as far as nobody needs it.

use std::collections::HashSet;

use deskgrid_docker::{Certainty, Disposal, Engine, HeldImage, freed_by, full_name};
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{BlobHash, Caller, JobId, Outlook, QueueName, Time};
use deskgrid_store::{Change, GRACE};

use super::{Freed, Item, Kind, Survey, survey, unwanted};
use crate::{Release, Worker, WorkerError};

/// Removes `items` and says what became free. What is pinned stays.
pub(super) async fn remove(worker: &Worker, items: &[(Kind, String)]) -> Result<Freed, WorkerError> {
    let before = survey::disk(&worker.0.kit).await?;
    let meant = removable(&before, items);
    let mut in_engine: HashSet<_> = items.iter().filter(|(kind, _)| !kind.is_on_disk()).cloned().collect();
    // They go with the results, but before them, as nobody would count them then.
    in_engine.extend(before.built_for_none_but(&meant).into_iter().map(|image| (Kind::Image, image)));
    let (engine, certainty) = remove_from_engine(worker, &in_engine).await?;
    let disk = remove_from_disk(worker, &before, &meant).await?;
    Ok(Freed { disk, engine, certainty })
}

/// The same for what lies in our folder, without a look into the engine: what goes there with it goes a little later.
/// Says how many bytes of this disk became free.
pub(super) async fn make_room(worker: &Worker, items: &[(Kind, String)]) -> Result<u64, WorkerError> {
    let before = survey::disk(&worker.0.kit).await?;
    remove_from_disk(worker, &before, &removable(&before, items)).await
}

/// Those of `items` that are there and may go.
fn removable<'a>(before: &'a Survey, items: &[(Kind, String)]) -> Vec<&'a Item> {
    let wanted: HashSet<(Kind, &str)> = items.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
    let may_go = before.items.iter().filter(|item| item.may_go());
    may_go.filter(|item| wanted.contains(&(item.kind, item.id.as_str()))).collect()
}

async fn remove_from_disk(worker: &Worker, before: &Survey, meant: &[&Item]) -> Result<u64, WorkerError> {
    let disk = before.freed(meant).disk;
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
    worker.0.kit.cache.changed();
    // Files that are too fresh go by themselves a little later.
    Ok(disk)
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
    // Asked before the records are, to which they may come meanwhile.
    for hash in worker.0.kit.cache.unrecorded.files() {
        files.remove(&hash);
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
/// stays, and is seen again by the next look; an image that could not be removed is tried again. One that has a name of
/// somebody else's too loses ours alone.
async fn remove_from_engine(
    worker: &Worker,
    wanted: &HashSet<(Kind, String)>,
) -> Result<(u64, Certainty), WorkerError> {
    let kit = &worker.0.kit;
    if wanted.is_empty() {
        return Ok((0, Certainty::Exact));
    }
    let Some(engine) = kit.engine.borrow().ready().cloned() else {
        let kept = unwanted::kept(kit).await?;
        let images = wanted.iter().filter(|(kind, _)| *kind == Kind::Image).map(|(_, name)| name.as_str());
        unwant(worker, images.filter(|name| !kept.contains(&full_name(name))), None).await?;
        return Ok((0, Certainty::Exact));
    };
    // Only what a look finds to be ours: nobody can name anything else.
    let before = survey::engine(kit).await;
    let mut going = before.items;
    going.retain(|item| item.may_go() && wanted.contains(&(item.kind, item.id.clone())));
    let went = remove_each(worker, &engine, &going).await?;
    let layers = match freed_by(&went.images, None) {
        (_, Certainty::Exact) => None,
        _ => before.layers.zip(survey::engine(kit).await.layers),
    };
    let (in_images, certainty) = freed_by(&went.images, layers);
    Ok((in_images + went.in_volumes, certainty))
}

/// What went from the engine.
#[derive(Default)]
struct Went<'a> {
    images: Vec<&'a HeldImage>,
    /// Bytes.
    in_volumes: u64,
}

async fn remove_each<'a>(
    worker: &Worker,
    engine: &Engine,
    items: &'a [Item],
) -> Result<Went<'a>, WorkerError> {
    let (mut went, mut gone, mut left) = (Went::default(), Vec::new(), Vec::new());
    for item in items {
        let removed = match &item.image {
            None => engine.remove_volume(&item.id).await.map(|()| went.in_volumes += item.bytes),
            Some((image, record)) => unwanted::dispose(engine, record).await.map(|disposal| {
                went.images.extend((disposal == Disposal::Image).then_some(image));
                gone.push(Change::ImageGone(record.clone()));
            }),
        };
        if let Err(error) = removed {
            tracing::info!(name = item.id, %error, "it stays in the engine for now");
            left.extend(item.image.is_some().then_some(item.id.as_str()));
        }
    }
    worker.store().commit(gone).await?;
    unwant(worker, left.into_iter(), Some(&engine.info().id)).await?;
    Ok(went)
}

/// Has these images go when they can.
async fn unwant(
    worker: &Worker,
    images: impl Iterator<Item = &str>,
    engine: Option<&str>,
) -> Result<(), WorkerError> {
    let change =
        |name: &str| Change::ImageUnwanted { name: name.to_owned(), engine: engine.map(str::to_owned) };
    let changes: Vec<_> = images.map(change).collect();
    if !changes.is_empty() {
        // Before it is told: who looks at once shall find it.
        worker.store().commit(changes).await?;
        worker.0.kit.cache.owe_images(true);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use deskgrid_docker::EngineWatch;
    use deskgrid_store::{ImageRecord, Origin, Store};

    use super::super::keeper::tests::{job, setup};
    use super::*;
    use crate::Running;

    /// A finished job with an image that was built for it.
    fn built(name: &str) -> Vec<Change> {
        let image = ImageRecord {
            engine: "e".to_owned(),
            name: format!("{name}:1"),
            id: Some(name.to_owned()),
            origin: Origin::Built,
            used_at: Time(1),
            is_unwanted: false,
        };
        let mut changes = job(name, 1, BlobHash([1; 32]));
        changes.push(Change::JobImage { id: JobId::new(name).unwrap(), image: image.name.clone() });
        changes.push(Change::ImageBrought(image));
        changes
    }

    #[tokio::test]
    async fn what_is_to_go_when_the_engine_is_back_is_what_the_person_does_not_keep() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut changes = [built("kept"), built("spare")].concat();
        changes.push(Change::Pin {
            kind: Kind::Image.as_str().to_owned(),
            id: "kept:1".to_owned(),
            is_on: true,
        });
        store.commit(changes).await.unwrap();
        let engine = EngineWatch::start(Some("unix:///nonexistent/engine.sock".to_owned()));
        let running = Running::start(setup(store.clone(), &engine)).await.unwrap();
        let mut items = ["kept", "spare"].map(|job| (Kind::Result, job.to_owned())).to_vec();
        items.push((Kind::Image, "kept:1".to_owned()));
        running.worker().remove_from_cache(&items).await.unwrap();
        let going = store.images().await.unwrap().into_iter().filter(|image| image.is_unwanted);
        assert_eq!(going.map(|image| image.name).collect::<Vec<_>>(), ["spare:1"]);
    }
}
