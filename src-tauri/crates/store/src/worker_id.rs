//! The name of this worker, kept so that after a restart it knows its containers again.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use deskgrid_job::WorkerId;

use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::{Store, blocking};

/// `given`, the stored one, or a new one; it is stored when this returns.
pub(crate) async fn settle(store: &Store, given: Option<WorkerId>) -> Result<WorkerId, StoreError> {
    let folder = Arc::clone(&store.shared.folder);
    let stored = blocking(move || read(&folder)).await?;
    let id = match given.or_else(|| stored.clone()) {
        Some(id) => id,
        None => WorkerId::new(&store.shared.database.random_name().await?)
            .map_err(|error| StoreError::damaged(error.to_string()))?,
    };
    if stored.as_ref() == Some(&id) {
        return Ok(id);
    }
    let folder = Arc::clone(&store.shared.folder);
    blocking(move || folder.write_durably(&folder.worker_id(), &format!("{id}\n")).map(|()| id)).await
}

/// A file that holds no usable name counts as none: its containers cannot be found by it in any case.
fn read(folder: &Folder) -> Result<Option<WorkerId>, StoreError> {
    let path = folder.worker_id();
    match fs::read_to_string(&path) {
        Ok(text) => Ok(WorkerId::new(text.trim()).ok()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_random_name_stays_and_a_given_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let random = store.worker_id(None).await.unwrap();
        assert_eq!(store.worker_id(None).await.unwrap(), random);
        let given = WorkerId::new("lab-7").unwrap();
        assert_eq!(store.worker_id(Some(given.clone())).await.unwrap(), given);
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.worker_id(None).await.unwrap(), given);
    }
}
