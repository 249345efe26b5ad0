//! The number of the latest commit. The database bears it, and each second copy of a record that of the commit it was
//! made after. A copy that is ahead tells that the database has lost commits, which it does not notice by itself: of a
//! write-ahead log that is damaged it silently takes what comes before the damage.
//!
//! It stands in the header of the file, in the place that the format has for a number of the application. So it is
//! written with every transaction, and needs no table.

use rusqlite::Connection;

use crate::error::StoreError;

const FIELD: &str = "application_id";

/// As wide as its place; after the last one nothing is counted any more.
pub(super) type CommitNumber = i32;

/// The number of the latest commit; 0 before the first.
pub(super) fn read(from: &Connection) -> Result<CommitNumber, StoreError> {
    Ok(from.pragma_query_value(None, FIELD, |row| row.get(0))?)
}

/// Sets it, as a part of the open transaction if there is one.
pub(super) fn write(to: &Connection, number: CommitNumber) -> Result<(), StoreError> {
    Ok(to.pragma_update(None, FIELD, number)?)
}
