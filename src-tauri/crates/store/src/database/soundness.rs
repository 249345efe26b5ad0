//! Whether the database can be relied on, found out when it is opened and noted when it shows later.
//!
//! The whole structure of a small database is checked at every start, which takes some milliseconds; that of a large
//! one after an end that was not orderly, and after damage was met. What goes unnoticed until then is met by whoever
//! reads it, and by `deskgrid verify`.

use std::fs;

use deskgrid_job::Time;
use rusqlite::Connection;

use super::{job_row, schema};
use crate::error::StoreError;
use crate::folder::Folder;

/// Up to this size, in bytes, a database is checked at every start.
const SMALL: u64 = 32 << 20;

/// Opens the database of `folder`, or creates it.
///
/// # Errors
/// [`StoreError::RecordsDamaged`] when it is damaged, [`StoreError::Newer`] when a newer program wrote it.
pub(super) fn open(folder: &Folder) -> Result<Connection, StoreError> {
    let path = folder.database();
    schema::look_at(&path)?;
    let has_to_be_checked = is_suspect(folder);
    drop(folder.create_database()?);
    let connection = schema::open(&path)?;
    if has_to_be_checked {
        check(&connection)?;
    }
    Ok(connection)
}

/// Whether the structure is checked before it is relied on.
fn is_suspect(folder: &Folder) -> bool {
    let size = |path| fs::metadata(path).map(|facts| facts.len()).unwrap_or_default();
    // The write-ahead log goes when the database is closed.
    let log = folder.database().with_extension("sqlite3-wal");
    size(folder.database()) <= SMALL || size(log) > 0 || folder.suspicion().exists()
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let complaints = schema::quick_check(connection)?;
    if let Some(first) = complaints.first() {
        return Err(StoreError::RecordsDamaged { why: first.clone() });
    }
    // Without the jobs that are not over nothing starts.
    match job_row::in_memory(connection, Time(u64::MAX)) {
        Err(error @ (StoreError::Damaged { .. } | StoreError::Database(_))) => {
            Err(StoreError::RecordsDamaged { why: error.to_string() })
        }
        read => read.map(drop),
    }
}

/// The next start need not look because of what was met earlier.
pub(super) fn forget_damage(folder: &Folder) {
    // What cannot be removed costs the next start a check.
    let _ = fs::remove_file(folder.suspicion());
}

impl Folder {
    /// Has the next start check the database, if `error` says that it is damaged.
    pub(super) fn note_damage(&self, error: &StoreError) {
        if !matches!(error, StoreError::RecordsDamaged { .. }) || self.suspicion().exists() {
            return;
        }
        tracing::error!(%error, "the job records are damaged");
        if let Err(error) = fs::write(self.suspicion(), "") {
            tracing::warn!(%error, "this could not be noted for the next start");
        }
    }

    /// Whether damage was met since the start.
    pub(crate) fn has_damaged_records(&self) -> bool {
        self.suspicion().exists()
    }
}
