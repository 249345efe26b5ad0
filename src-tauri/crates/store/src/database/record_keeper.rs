//! Keeps the record files in step with the commits, on the thread that writes them.
//!
//! A commit is answered when its copies are written. So at any kill a copy is as new as all that anybody was told,
//! and only what nobody was told can be missing from it. What trails nevertheless (after a kill between commit and
//! copy, or a power cut) is mended at the next start, before anybody is told anything. A copy that could not be written
//! is written with one of the next commits.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use deskgrid_fault::{Point, point};
use rusqlite::{Connection, OptionalExtension as _};

use super::commit_number::{self, CommitNumber};
use super::record_file::{CopyHead, JobTables, Record};
use super::{schema, subject};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::holdings::files_below;
use crate::platform;

/// Copies that are owed and are tried again with one commit, which waits for them.
const OWED_AT_ONCE: usize = 100;

/// Copies that say that something was erased; with so many of them they are removed.
const MOST_ERASED: usize = if cfg!(test) { 8 } else { 1000 };

/// Records that are compared with their copies in one go, for which writers wait.
const COMPARED_AT_ONCE: usize = 100;

/// What comparing some records with their copies came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// In words, whose copies do not say what the rows say, although they should: one of both is damaged.
    pub(super) differing: Vec<String>,
    /// The last subject that was looked at; none when there was none.
    pub(super) last: Option<String>,
}

/// Writes record files.
pub(super) struct RecordKeeper {
    tables: JobTables,
    /// Subjects whose copies could not be written: the next commits try again.
    owed: BTreeSet<String>,
    /// Whether copies could not even be compared with their rows: the next start tries again.
    is_unknown: bool,
    /// Subjects that were erased; their copies say so as long as older rows of them may still come to light.
    erased: Vec<String>,
}

impl RecordKeeper {
    /// Looks at the tables of the open database. Unless an orderly end says that there is no need to, every copy is
    /// compared with its rows, and mended.
    ///
    /// # Errors
    /// [`StoreError::RecordsDamaged`] when copies are ahead of the database: it has lost commits.
    pub(super) fn start(database: &Connection, folder: &Folder) -> Result<Self, StoreError> {
        let mut keeper = Self {
            tables: JobTables::of(database)?,
            owed: BTreeSet::new(),
            is_unknown: false,
            erased: Vec::new(),
        };
        // It says nothing any more from the first commit on.
        if forget_step(folder)? {
            return Ok(keeper);
        }
        match keeper.catch_up(database, folder) {
            Err(error @ StoreError::RecordsDamaged { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the second copies of records could not be compared; the next start tries again");
                keeper.is_unknown = true;
                Ok(keeper)
            }
            Ok(()) => Ok(keeper),
        }
    }

    /// Reads what the open transaction, which will be the commit of this number, says of `subjects`, and has the database
    /// know what that comes to.
    pub(super) fn sum_up(
        &self,
        transaction: &Connection,
        number: CommitNumber,
        subjects: BTreeSet<String>,
    ) -> Result<Vec<Record>, StoreError> {
        let read = |subject: String| {
            let record = self.tables.read(transaction, &subject, number)?;
            if !subject::is_loose(&subject) {
                record.note_sum(transaction)?;
            }
            Ok(record)
        };
        subjects.into_iter().map(read).collect()
    }

    /// Writes the copies of what a commit has changed, and of some that are owed.
    pub(super) fn follow(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        changed: Vec<Record>,
    ) {
        for record in changed {
            let copied = self.copy(folder, &record);
            self.note(record.subject, copied);
            point(Point::RecordCopied);
        }
        let owed: Vec<_> = self.owed.iter().take(OWED_AT_ONCE).cloned().collect();
        for subject in owed {
            let record = self.tables.read(database, &subject, number);
            if record.and_then(|record| self.copy(folder, &record)).is_err() {
                // What is in the way is in the way of all.
                break;
            }
            self.owed.remove(&subject);
        }
        self.drop_many_erased(database, folder);
    }

    fn copy(&mut self, folder: &Folder, record: &Record) -> Result<(), StoreError> {
        if record.is_erased() {
            self.erased.push(record.subject.clone());
        }
        record.write(folder)
    }

    /// Notes what came of writing a copy.
    fn note(&mut self, subject: String, copied: Result<(), StoreError>) {
        match copied {
            Ok(()) => drop(self.owed.remove(&subject)),
            Err(error) => {
                let of = subject::words(&subject);
                tracing::warn!(of, %error, "a second copy of a record could not be written; it is tried again");
                self.owed.insert(subject);
            }
        }
    }

    /// Whether every copy says what the latest commit says.
    fn is_in_step(&self) -> bool {
        self.owed.is_empty() && !self.is_unknown
    }

    /// Notes that all copies are in step, if they are. Nothing is committed any more.
    pub(super) fn end(mut self, database: &Connection, folder: &Folder) {
        // What was erased must not come back from the log.
        if !self.is_in_step() || !is_settled(database) {
            return;
        }
        self.drop_erased(folder);
        if let Err(error) = fs::write(folder.records_in_step(), "") {
            tracing::warn!(%error, "the next start compares all records with their second copies");
        }
    }

    /// Compares some copies, those of subjects that come after `after`, with their rows.
    pub(super) fn compare(
        &self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        after: &str,
    ) -> Result<Compared, StoreError> {
        let mut compared = Compared::default();
        // What could not be brought into step says nothing about the disk.
        if self.is_unknown {
            return Ok(compared);
        }
        let subjects = subject::all_after(database, after, COMPARED_AT_ONCE)?;
        for subject in subjects.iter().filter(|subject| !self.owed.contains(*subject)) {
            let copy = Record::load(&folder.record(subject));
            let record = self.tables.read(database, subject, number)?;
            if copy.is_none_or(|copy| !copy.says_the_same(&record)) {
                compared.differing.push(subject::words(subject));
            }
        }
        compared.last = subjects.into_iter().next_back();
        Ok(compared)
    }

    fn catch_up(&mut self, database: &Connection, folder: &Folder) -> Result<(), StoreError> {
        let number = commit_number::read(database)?;
        let subjects = subject::all(database)?;
        let copies = heads(folder);
        let newest = copies.iter().map(|copy| copy.commit).max().unwrap_or_default();
        if newest > number {
            let why = format!("its latest {} changes are missing", newest.saturating_sub(number));
            return Err(StoreError::RecordsDamaged { why });
        }
        platform::create_private_folder(&folder.records()).map_err(failed("create", &folder.records()))?;
        let known: HashSet<&str> = subjects.iter().map(String::as_str).collect();
        let erased = copies.into_iter().map(|copy| copy.subject);
        let erased = erased.filter(|copy| !known.contains(copy.as_str())).collect();
        self.forget_erased(database, folder, number, erased)?;
        let transaction = database.unchecked_transaction()?;
        for subject in &subjects {
            self.bring_into_step(&transaction, folder, number, subject)?;
            point(Point::RecordCompared);
        }
        Ok(transaction.commit()?)
    }

    /// Writes the copy of a subject anew where it says something else than the rows: it trails. But rows that are not
    /// those any more that were written are damaged, and get back what was written, if that is what the copy says.
    fn bring_into_step(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        subject: &str,
    ) -> Result<(), StoreError> {
        let record = self.tables.read(database, subject, number)?;
        let copy = Record::load(&folder.record(subject));
        let is_same = copy.as_ref().is_some_and(|copy| copy.says_the_same(&record));
        if !subject::is_loose(subject) {
            let noted = noted_sum(database, subject)?;
            if noted != record.sum() {
                // Of tables of another form nothing can be told.
                let copy = copy.filter(|copy| !is_same && copy.form == record.form && copy.is_sound());
                if let Some(copy) = copy.filter(|_| noted.is_some()) {
                    if copy.sum() == noted {
                        tracing::error!(job = subject, "a damaged record was restored from its second copy");
                        return self.tables.replace(database, &copy);
                    }
                    tracing::error!(
                        job = subject,
                        "a record is damaged, and its second copy is older: it stays"
                    );
                }
                record.note_sum(database)?;
            }
        }
        if !is_same {
            let written = record.write(folder);
            self.note(record.subject, written);
        }
        Ok(())
    }

    /// Removes the copies of what is known no more. What was erased must not come back from the log of the database: as
    /// long as it might, they say that it was, also those that a kill kept from saying so.
    fn forget_erased(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        erased: Vec<String>,
    ) -> Result<(), StoreError> {
        let is_settled = erased.is_empty() || is_settled(database);
        for subject in erased {
            if is_settled {
                remove(&folder.record(&subject));
            } else {
                let record = self.tables.read(database, &subject, number)?;
                let copied = self.copy(folder, &record);
                self.note(subject, copied);
            }
        }
        Ok(())
    }

    /// Removes copies that say that something was erased, where there are many: webhooks leave one each.
    fn drop_many_erased(&mut self, database: &Connection, folder: &Folder) {
        if self.erased.len() < MOST_ERASED || !self.is_in_step() {
            return;
        }
        // Nobody who writes waits here for one who reads: a later commit tries again.
        let is_settled = database.busy_timeout(Duration::ZERO).is_ok() && is_settled(database);
        if let Err(error) = database.busy_timeout(schema::PATIENCE) {
            tracing::warn!(%error, "the database waits for nobody any more");
        }
        if is_settled {
            self.drop_erased(folder);
        }
    }

    /// Removes copies that say that something was erased. The log of the database has nothing of it any more.
    fn drop_erased(&mut self, folder: &Folder) {
        for subject in self.erased.drain(..) {
            let path = folder.record(&subject);
            // It may have come again.
            if Record::load(&path).is_some_and(|record| record.is_erased()) {
                remove(&path);
            }
        }
    }
}

/// What the rows of a job came to when they were written.
pub(super) fn noted_sum(database: &Connection, job: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = database.prepare_cached("SELECT sum FROM record_sum WHERE job = ?1")?;
    Ok(statement.query_row([job], |row| row.get(0)).optional()?)
}

/// Removes the note that all copies are in step, and says whether there was one. It stays removed in a power cut too.
pub(super) fn forget_step(folder: &Folder) -> Result<bool, StoreError> {
    let marker = folder.records_in_step();
    // A program that knows copies of jobs alone shall not go by it either.
    let _ = fs::remove_file(folder.jobs_in_step());
    match fs::remove_file(&marker) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        removed => {
            let removed = removed.and_then(|()| platform::sync_folder(&folder.records()));
            removed.map_err(failed("remove", &marker)).map(|()| true)
        }
    }
}

/// What all copies that read say of themselves.
fn heads(folder: &Folder) -> Vec<CopyHead> {
    files_below(&folder.records()).filter_map(|file| CopyHead::load(&file.path())).collect()
}

/// Brings the log of the database into its file, and says whether nothing is left of it.
fn is_settled(database: &Connection) -> bool {
    let is_busy = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    is_busy.is_ok_and(|is_busy| !is_busy)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not remove the copy of an erased record");
        }
        _ => {}
    }
}
