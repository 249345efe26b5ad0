//! The database as the one thread that writes has it: open, sound as far as is known, its second copies in step.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use deskgrid_fault::{Point, point};
use deskgrid_job::JobId;
use rusqlite::{Connection, TransactionBehavior};

use super::commit_number::{self, CommitNumber};
use super::record_keeper::{Compared, RecordKeeper};
use super::{Change, Rebuilt, rebuild, schema, soundness, subject};
use crate::error::StoreError;
use crate::folder::Folder;
use crate::logs::LogKind;

/// Writes changes and their second copies.
pub(super) struct Book {
    connection: Connection,
    keeper: RecordKeeper,
    number: CommitNumber,
}

impl Book {
    /// Opens or creates the database of `folder`, and has the folder prepared by `prepare` before any copy is written
    /// to it. A damaged database is rebuilt.
    pub(super) fn open(
        folder: &Folder,
        prepare: impl Fn() -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        rebuild::go_on(folder)?;
        let opened = soundness::open(folder).and_then(|connection| {
            prepare()?;
            Self::begin(connection, folder)
        });
        match opened {
            Err(StoreError::RecordsDamaged { why }) => {
                let connection = rebuilt(folder, why)?;
                prepare()?;
                Self::begin(connection, folder)
            }
            opened => opened.inspect(|_| folder.forget_damage()),
        }
    }

    /// Makes a new database in place of the one that was found damaged, and that nobody has open any more.
    pub(super) fn rebuild(folder: &Folder, why: String) -> Result<Self, StoreError> {
        rebuilt(folder, why).and_then(|connection| Self::begin(connection, folder))
    }

    fn begin(connection: Connection, folder: &Folder) -> Result<Self, StoreError> {
        let started = RecordKeeper::start(&connection, folder)
            .and_then(|keeper| Ok((keeper, commit_number::read(&connection)?)));
        match started {
            Ok((keeper, number)) => Ok(Self { connection, keeper, number }),
            Err(error) => {
                schema::leave(&connection);
                Err(error)
            }
        }
    }

    /// Makes the changes in one transaction, and brings them onto the disk.
    pub(super) fn write<C: Borrow<[Change]>>(
        &mut self,
        folder: &Folder,
        group: &[C],
    ) -> Result<(), StoreError> {
        let changes = || group.iter().flat_map(Borrow::borrow);
        let number = self.number.saturating_add(1);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut subjects = BTreeSet::new();
        for change in changes() {
            subjects.extend(subject::changed_by(change, &transaction)?);
            change.apply(&transaction)?;
        }
        let records = self.keeper.sum_up(&transaction, number, subjects)?;
        commit_number::write(&transaction, number)?;
        point(Point::RecordsWritten);
        transaction.commit()?;
        point(Point::RecordsCommitted);
        self.number = number;
        for id in changes().filter_map(Change::erased) {
            remove_logs(folder, id);
        }
        self.keeper.follow(&self.connection, folder, number, records);
        Ok(())
    }

    /// Compares some records, those of subjects that come after `after`, with their second copies.
    pub(super) fn compare(&self, folder: &Folder, after: &str) -> Result<Compared, StoreError> {
        self.keeper.compare(&self.connection, folder, self.number, after)
    }

    /// Closes it in order.
    pub(super) fn close(self, folder: &Folder) {
        self.keeper.end(&self.connection, folder);
    }

    /// Closes it, damaged as it is.
    pub(super) fn leave(self) {
        schema::leave(&self.connection);
    }
}

/// Makes a new database in place of a damaged one, and opens it.
fn rebuilt(folder: &Folder, why: String) -> Result<Connection, StoreError> {
    tracing::error!(why, "the job records are damaged; rebuilding them from their second copies");
    let Rebuilt { jobs, aside, .. } = rebuild::rebuild(folder, why)?;
    tracing::warn!(jobs, aside = %aside.display(), "the job records are rebuilt");
    let connection = schema::open(&folder.database())?;
    folder.count_rebuild();
    Ok(connection)
}

/// A log that stays behind does no harm, since the next run of the job removes it; so this only warns.
fn remove_logs(folder: &Folder, id: &JobId) {
    for kind in [LogKind::Run, LogKind::Build] {
        let path = folder.log(id, kind);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "could not remove the log of an erased job");
            }
            _ => {}
        }
    }
    point(Point::LogsRemoved);
}
