//! Images that are to go: what could not be removed, as the engine was away or a container had it, is tried again. And
//! once for each life of an engine: what was built for us there and is not on record is found again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::{Disposal, Engine, EngineError};
use deskgrid_store::{Change, ImageRecord, StoreError};

use super::{Kind, Trouble, ownership, survey};
use crate::run::Kit;

/// After a first try that failed: a run that ended leaves its container for a moment. Each further one waits twice as
/// long.
const SOON: Duration = Duration::from_secs(2);
/// No longer than this: a container of the person's may be gone.
const AT_MOST: Duration = Duration::from_secs(600);

/// Works until it is dropped.
pub(crate) async fn keep(kit: Arc<Kit>) {
    let (mut engine, mut owed) = (kit.engine.clone(), kit.cache.owes_images.subscribe());
    engine.mark_changed();
    let mut pause = SOON;
    loop {
        let is_owed = *owed.borrow_and_update();
        if !is_owed {
            pause = SOON;
        }
        tokio::select! {
            biased;
            Ok(()) = engine.changed() => find_again(&kit).await,
            Ok(()) = owed.changed(), if !is_owed => continue,
            () = tokio::time::sleep(pause), if is_owed => pause = AT_MOST.min(pause * 2),
            else => return,
        }
        remove(&kit).await;
    }
}

/// Puts what was built for us in the engine on record.
async fn find_again(kit: &Kit) {
    let Some(engine) = kit.engine.borrow().ready().cloned() else { return };
    let found = async {
        let held = engine.built_images(kit.worker.as_str()).await?;
        let records = kit.store.images().await?;
        let adopted = ownership::adopted(&engine.info().id, &records, &held);
        let found = adopted.len();
        kit.store.commit(adopted.into_iter().map(Change::ImageBrought).collect()).await?;
        Ok::<_, Trouble>(found)
    };
    match found.await {
        Ok(0) => {}
        Ok(_) => kit.cache.changed(),
        Err(error) => tracing::info!(%error, "could not see what was built here earlier; a later look does"),
    }
}

/// Removes those of the images that are to go which are in the engine and which nobody needs.
pub(super) async fn remove(kit: &Kit) {
    match try_remove(kit).await {
        Ok(left) => kit.cache.owe_images(left),
        Err(error) => {
            tracing::warn!(%error, "it is not known who uses the images that are to go; they stay for now");
            kit.cache.owe_images(true);
        }
    }
}

/// Says whether some are left.
async fn try_remove(kit: &Kit) -> Result<bool, StoreError> {
    let all = kit.store.images().await?;
    let unwanted: Vec<_> = all.into_iter().filter(|image| image.is_unwanted && image.id.is_some()).collect();
    // What an engine has that is away is tried when that comes.
    let Some(engine) = kit.engine.borrow().ready().cloned() else { return Ok(false) };
    let mut here = unwanted.into_iter().filter(|image| image.engine == engine.info().id).peekable();
    if here.peek().is_none() {
        return Ok(false);
    }
    let kept = kept(kit).await?;
    let (mut is_left, mut gone) = (false, Vec::new());
    for image in here {
        if kept.contains(&deskgrid_docker::full_name(&image.name)) {
            is_left = true;
            continue;
        }
        match dispose(&engine, &image).await {
            Ok(_) => gone.push(Change::ImageGone(image)),
            Err(error) => {
                tracing::info!(image = image.name, %error, "the image stays for now");
                is_left = true;
            }
        }
    }
    if !gone.is_empty() {
        kit.store.commit(gone).await?;
        kit.cache.changed();
    }
    Ok(is_left)
}

/// The images that jobs need or that the person keeps, by their full names.
pub(super) async fn kept(kit: &Kit) -> Result<HashSet<String>, StoreError> {
    let (records, read) = (kit.store.cache_records().await?, kit.read_definition);
    let kept = move || {
        let pinned = records.pinned.iter().filter(|(kind, _)| kind == Kind::Image.as_str());
        let mut kept: HashSet<_> = pinned.map(|(_, name)| deskgrid_docker::full_name(name)).collect();
        kept.extend(survey::needed_images(&records, read));
        kept
    };
    tokio::task::spawn_blocking(kept).await.map_err(|_| StoreError::Stopped)
}

/// Removes what this record speaks of, and nothing else.
pub(super) async fn dispose(engine: &Engine, image: &ImageRecord) -> Result<Disposal, EngineError> {
    match &image.id {
        Some(id) => engine.remove_image(&image.name, id).await,
        None => Ok(Disposal::Nothing),
    }
}
