//! How the owner has its decisions written: again and again until they are on the disk.

use std::path::Path;
use std::time::Duration;

use deskgrid_store::{Change, StoreError};

use super::Owner;

/// After a failed write the owner tries again this much later.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// It says so at the first failure, and after so many more.
const TRIES_PER_WORD: u32 = 60;

impl Owner {
    /// Records that were rebuilt meanwhile need not know that jobs run: all that are in memory are saved once more.
    pub(super) async fn save_rebuilt(&mut self) {
        let rebuilds = self.kit.store.rebuilds();
        if std::mem::replace(&mut self.rebuilds, rebuilds) != rebuilds {
            self.store(self.queue.jobs().cloned().map(Change::Save).collect()).await;
        }
    }

    /// Nobody is told anything before it is on disk; while the disk refuses, everyone waits and can read why.
    pub(super) async fn store(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut tries = 0_u32;
        while let Err(error) = self.kit.store.commit(changes.clone()).await {
            if tries.is_multiple_of(TRIES_PER_WORD) {
                tracing::error!(%error, "could not write the database; trying again until it can be written");
            }
            let why = Some(told(&error, self.kit.store.place()));
            self.situation.send_if_modified(|situation| {
                let is_news = situation.unwritten != why;
                situation.unwritten = why;
                is_news
            });
            tries += 1;
            tokio::time::sleep(DISK_PAUSE).await;
        }
        if tries > 0 {
            self.situation.send_modify(|situation| situation.unwritten = None);
        }
    }
}

/// What is wrong, and where.
fn told(error: &StoreError, folder: &Path) -> String {
    let (words, folder) = (error.to_string(), folder.display().to_string());
    if words.contains(&folder) { words } else { format!("{words} (data folder {folder})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_named_once_whatever_is_wrong() {
        let folder = Path::new("/data");
        let damaged = told(&StoreError::RecordsDamaged { why: "torn".into() }, folder);
        assert!(damaged.ends_with(" (data folder /data)"), "{damaged}");
        let full = told(&StoreError::DiskFull { path: "/data/deskgrid.sqlite3".into() }, folder);
        assert_eq!(full.matches("/data").count(), 1, "{full}");
    }
}
