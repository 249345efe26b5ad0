//! Whether the database can be relied on, found out when it is opened.
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
use crate::holdings::files_below;

/// Up to this size, in bytes, a database is checked at every start.
const SMALL: u64 = 32 << 20;

/// Opens the database of `folder`, or creates it.
///
/// # Errors
/// [`StoreError::RecordsDamaged`] when it is damaged, [`StoreError::Newer`] when a newer program wrote it.
pub(super) fn open(folder: &Folder) -> Result<Connection, StoreError> {
    let path = folder.database();
    schema::look_at(&path)?;
    if fs::metadata(&path).map_or(true, |facts| facts.len() == 0) && has_copies(folder) {
        return Err(StoreError::RecordsDamaged { why: "the file is gone".into() });
    }
    let has_to_be_checked = is_suspect(folder);
    drop(folder.create_database()?);
    let connection = schema::open(&path)?;
    match has_to_be_checked.then(|| check(&connection)) {
        Some(Err(error)) => {
            schema::leave(&connection);
            Err(error)
        }
        _ => Ok(connection),
    }
}

/// Whether the structure is checked before it is relied on.
fn is_suspect(folder: &Folder) -> bool {
    let size = |path| fs::metadata(path).map(|facts| facts.len()).unwrap_or_default();
    // The write-ahead log goes when the database is closed.
    let log = folder.database().with_extension("sqlite3-wal");
    size(folder.database()) <= SMALL || size(log) > 0 || folder.suspicion().exists()
}

fn has_copies(folder: &Folder) -> bool {
    files_below(&folder.records()).next().is_some()
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
