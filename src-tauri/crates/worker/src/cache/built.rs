//! An image that was built for a job goes with the job's result, unless another kept job uses it (protocol section 4,
//! *`Deleted`*).

use std::collections::BTreeSet;
use std::sync::Arc;

use deskgrid_job::JobId;
use deskgrid_store::Change;

use super::unwanted;
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
        remove(&kit, image).await;
    }
}

/// The same, when the job `id` is not on record any more.
pub(crate) async fn remove_if_deleted(kit: &Kit, id: &JobId, image: String) {
    // A read that fails removes nothing.
    if matches!(kit.store.job(id).await, Ok(None)) {
        remove(kit, image).await;
    }
}

/// In whichever engines it is. One that a waiting job wants stays, and so does for now one whose container is removed
/// in a moment: the run that owns that looks again then.
async fn remove(kit: &Kit, image: String) {
    let unwant = async {
        if !kit.store.is_unused_build(&image).await? {
            return Ok(false);
        }
        let unwanted = Change::ImageUnwanted { name: image.clone(), engine: None };
        kit.store.commit(vec![unwanted]).await.map(|()| true)
    };
    match unwant.await {
        Ok(true) => unwanted::remove(kit).await,
        Ok(false) => {}
        Err(error) => tracing::warn!(image, %error, "it is not known who uses the image; it stays"),
    }
}
