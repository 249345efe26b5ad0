//! What a definition says of a job, put beside its record for lists.

use std::sync::Arc;

use deskgrid_job::{Definition, ImageSource, JobId, shell};
use deskgrid_store::{Change, StoreError};

use crate::run::Kit;

/// Jobs that are described in one go: short enough to hold up nobody else who writes.
const AT_ONCE: usize = 200;

/// The change that notes what `definition` says.
pub(super) fn description(id: &JobId, definition: &Definition) -> Change {
    let image = match &definition.image {
        ImageSource::Reference(reference) => Some(reference.clone()),
        ImageSource::Build(_) => None,
    };
    Change::Describe { id: id.clone(), image, command: shell::command_line(definition) }
}

/// Describes the jobs that were submitted before this was noted. Over at once where there are none.
pub(super) async fn describe_old_jobs(kit: Arc<Kit>) {
    if let Err(error) = describe_all(&kit).await {
        tracing::warn!(%error, "lists show some old jobs without their commands");
    }
}

async fn describe_all(kit: &Kit) -> Result<(), StoreError> {
    loop {
        let jobs = kit.store.undescribed(AT_ONCE).await?;
        if jobs.is_empty() {
            return Ok(());
        }
        let read = kit.read_definition;
        let changes = tokio::task::spawn_blocking(move || {
            let change = |(id, text): (JobId, String)| match read(&text) {
                Ok(definition) => description(&id, &definition),
                Err(_) => Change::Describe { id, image: None, command: None },
            };
            jobs.into_iter().map(change).collect()
        });
        kit.store.commit(changes.await.map_err(|_| StoreError::Stopped)?).await?;
    }
}
