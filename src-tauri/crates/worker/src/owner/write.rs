//! How the owner has its decisions written, and reads what they need: again and again until that is done.

use std::path::Path;
use std::time::Duration;

use deskgrid_job::JobId;
use deskgrid_store::{Change, StoreError};

use super::Owner;
use super::kept::Kept;

/// After a failure the owner tries again this much later.
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
        let mut tries = Tries::of(self);
        while let Err(error) = self.kit.store.commit(changes.clone()).await {
            tries.failed("write", &error).await;
        }
    }

    /// The records of these jobs. While they cannot be read, everyone waits as well.
    pub(super) async fn read(&self, ids: &[JobId]) -> Kept {
        let mut tries = Tries::of(self);
        loop {
            match Kept::read(&self.kit.store, ids).await {
                Ok(kept) => return kept,
                Err(error) => tries.failed("read", &error).await,
            }
        }
    }
}

/// What the disk refuses again and again. Nobody can read of it any more when this is dropped.
struct Tries<'a> {
    owner: &'a Owner,
    count: u32,
}

impl<'a> Tries<'a> {
    fn of(owner: &'a Owner) -> Self {
        Self { owner, count: 0 }
    }

    /// Has everyone know why, and waits for the next try.
    async fn failed(&mut self, doing: &str, error: &StoreError) {
        if self.count.is_multiple_of(TRIES_PER_WORD) {
            tracing::error!(%error, "could not {doing} the database; trying again until it can be done");
        }
        let why = Some(told(error, self.owner.kit.store.place()));
        self.owner.situation.send_if_modified(|situation| {
            let is_news = situation.unwritten != why;
            situation.unwritten = why;
            is_news
        });
        self.count += 1;
        tokio::time::sleep(DISK_PAUSE).await;
    }
}

impl Drop for Tries<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.owner.situation.send_modify(|situation| situation.unwritten = None);
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
