//! An image that was built for a job goes with the job's result, unless another kept job uses it (protocol section 4,
//! *`Deleted`*).

use std::collections::BTreeSet;
use std::sync::Arc;

use deskgrid_job::{ImageSource, JobId};
use deskgrid_store::{Change, StoreError};

use crate::run::Kit;

/// The images of the jobs that `changes` erase, as far as they are known; to be asked before that happens.
pub(crate) async fn images_of(kit: &Kit, changes: &[Change]) -> Vec<String> {
    let mut images = BTreeSet::new();
    for change in changes {
        let Change::Erase(id) = change else { continue };
        match kit.store.job_image(id).await {
            Ok(image) => images.extend(image),
            Err(error) => tracing::warn!(job = %id, %error, "its image is not known and stays"),
        }
    }
    images.into_iter().collect()
}

/// Removes those of `images` that we built and that nobody uses any more.
pub(crate) async fn remove_unused(kit: Arc<Kit>, images: Vec<String>) {
    for image in images {
        remove(&kit, &image).await;
    }
}

/// The same, when the job `id` is not on record any more.
pub(crate) async fn remove_if_deleted(kit: &Kit, id: &JobId, image: String) {
    // A read that fails removes nothing.
    if matches!(kit.store.job(id).await, Ok(None)) {
        remove(kit, &image).await;
    }
}

async fn remove(kit: &Kit, image: &str) {
    match is_unused(kit, image).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return tracing::warn!(image, %error, "it is not known who uses the image; it stays"),
    }
    let Some(engine) = kit.engine.borrow().ready().cloned() else { return };
    // A container in its way is removed in a moment, and the run that owns it looks again then.
    if let Err(error) = engine.remove_image(image).await {
        return tracing::info!(image, %error, "the image stays for now");
    }
    if let Err(error) = kit.store.commit(vec![Change::ImageGone(image.to_owned())]).await {
        tracing::warn!(image, %error, "could not note that an image is gone");
    }
    kit.cache.changed();
}

async fn is_unused(kit: &Kit, image: &str) -> Result<bool, StoreError> {
    if !kit.store.is_unused_build(image).await? {
        return Ok(false);
    }
    // A job that waits has no image yet, and its definition names it.
    let waiting = kit.store.cache_records().await?.unfinished;
    let (read, image) = (kit.read_definition, image.to_owned());
    let is_wanted = move || {
        let wants = |source: &ImageSource| source.image() == image;
        waiting.iter().any(|(_, text)| read(text).is_ok_and(|definition| wants(&definition.image)))
    };
    tokio::task::spawn_blocking(is_wanted).await.map(|is_wanted| !is_wanted).map_err(|_| StoreError::Stopped)
}
