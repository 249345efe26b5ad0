//! The connections that read, beside the one that writes.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::error::StoreError;
use crate::folder::Folder;

/// Reading at once; each connection keeps some memory while idle, and a read takes well under a millisecond.
const READERS: usize = 2;

/// How often the database was replaced by a new one.
pub(super) type Edition = u64;

#[derive(Debug)]
pub(super) struct Readers {
    folder: Arc<Folder>,
    /// Held for reading by whoever reads, on a thread that may block; for writing while the database is replaced.
    edition: RwLock<Edition>,
    idle: Mutex<Vec<Connection>>,
    pub(super) permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(folder: &Arc<Folder>) -> Self {
        Self {
            folder: Arc::clone(folder),
            edition: RwLock::default(),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Answers a query, and says of which edition the database was that it asked.
    pub(super) fn ask<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> (Edition, Result<T, StoreError>) {
        let edition = self.edition.read().unwrap_or_else(PoisonError::into_inner);
        let answer = self.take().and_then(|connection| {
            let answer = query(&connection);
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        (*edition, answer)
    }

    /// Closes all connections. Nobody opens one until the answer is dropped; whoever has replaced the database
    /// counts its edition there.
    pub(super) fn shut(&self) -> RwLockWriteGuard<'_, Edition> {
        let alone = self.edition.write().unwrap_or_else(PoisonError::into_inner);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        alone
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_reader(&self.folder.database()), Ok)
    }
}
