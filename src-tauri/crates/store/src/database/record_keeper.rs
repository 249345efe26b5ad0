//! Keeps the record files in step with the commits, on the thread that writes them.
//!
//! A commit is answered when its copies are written. So at any kill a copy is as new as all that anybody was told,
//! and only what nobody was told can be missing from it. What trails nevertheless (after a kill between commit and
//! copy, or a power cut) is mended at the next start, before anybody is told anything. A copy that could not be written
//! is written with one of the next commits.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use deskgrid_fault::{Point, point};
use deskgrid_job::JobId;
use rusqlite::Connection;

use super::commit_number::{self, CommitNumber};
use super::record_file::{CopyHead, JobRecord, JobTables};
use super::{Change, job_ids, job_ids_after};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::holdings::files_below;
use crate::platform;

/// Copies that are owed and are tried again with one commit, which waits for them.
const OWED_AT_ONCE: usize = 100;

/// Records that are compared with their copies in one go, for which writers wait.
const COMPARED_AT_ONCE: usize = 100;

/// What comparing some records with their copies came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The jobs whose copies do not say what their rows say, although they should: one of both is damaged.
    pub(super) differing: Vec<String>,
    /// The last job that was looked at; none when there was none.
    pub(super) last: Option<String>,
}

/// Writes record files.
pub(super) struct RecordKeeper {
    tables: JobTables,
    /// Jobs whose copies could not be written: the next commits try again.
    owed: BTreeSet<JobId>,
    /// Whether copies could not even be compared with their rows: the next start tries again.
    is_unknown: bool,
    /// Jobs that were erased; their copies say so as long as older rows of them may still come to light.
    erased: Vec<JobId>,
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

    /// Writes the files of the jobs that `changes`, which are committed, have changed, and of some that are owed.
    pub(super) fn follow<'a>(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        changes: impl Iterator<Item = &'a Change>,
    ) {
        let jobs: BTreeSet<_> = changes.filter_map(changed_job).collect();
        for id in jobs {
            let copied = self.copy(database, folder, number, &id);
            self.note(id.into_owned(), copied);
            point(Point::RecordCopied);
        }
        let owed: Vec<_> = self.owed.iter().take(OWED_AT_ONCE).cloned().collect();
        for id in owed {
            if self.copy(database, folder, number, &id).is_err() {
                // What is in the way is in the way of all.
                break;
            }
            self.owed.remove(&id);
        }
    }

    fn copy(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        id: &JobId,
    ) -> Result<(), StoreError> {
        let record = self.tables.read(database, id.as_str(), number)?;
        if record.is_erased() {
            self.erased.push(id.clone());
        }
        record.write(folder, id)
    }

    /// Notes what came of writing the copy of a job.
    fn note(&mut self, id: JobId, copied: Result<(), StoreError>) {
        match copied {
            Ok(()) => drop(self.owed.remove(&id)),
            Err(error) => {
                tracing::warn!(job = %id, %error, "a second copy of a job's record could not be written; it is tried again");
                self.owed.insert(id);
            }
        }
    }

    /// Whether every copy says what the latest commit says.
    fn is_in_step(&self) -> bool {
        self.owed.is_empty() && !self.is_unknown
    }

    /// Notes that all copies are in step, if they are. Nothing is committed any more.
    pub(super) fn end(self, database: &Connection, folder: &Folder) {
        // What was erased must not come back from the log.
        if !self.is_in_step() || !is_settled(database) {
            return;
        }
        for id in &self.erased {
            let path = folder.record(id);
            // The same job may have been submitted again.
            if JobRecord::load(&path).is_some_and(|record| record.is_erased()) {
                remove(&path);
            }
        }
        if let Err(error) = fs::write(folder.records_in_step(), "") {
            tracing::warn!(%error, "the next start compares all records with their second copies");
        }
    }

    /// Compares the copies of some jobs, those that come after `after`, with their rows.
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
        let jobs = job_ids_after(database, after, COMPARED_AT_ONCE)?;
        for id in jobs.iter().filter_map(|id| JobId::new(id).ok()).filter(|id| !self.owed.contains(id)) {
            let copy = JobRecord::load(&folder.record(&id));
            let record = self.tables.read(database, id.as_str(), number)?;
            if copy.is_none_or(|copy| !copy.says_the_same(&record)) {
                compared.differing.push(id.to_string());
            }
        }
        compared.last = jobs.into_iter().next_back();
        Ok(compared)
    }

    fn catch_up(&mut self, database: &Connection, folder: &Folder) -> Result<(), StoreError> {
        let number = commit_number::read(database)?;
        let jobs = job_ids(database)?;
        let copies = heads(folder);
        let newest = copies.iter().map(|copy| copy.commit).max().unwrap_or_default();
        if newest > number {
            let why = format!("its latest {} changes are missing", newest.saturating_sub(number));
            return Err(StoreError::RecordsDamaged { why });
        }
        platform::create_private_folder(&folder.records()).map_err(failed("create", &folder.records()))?;
        let known: HashSet<&str> = jobs.iter().map(String::as_str).collect();
        let erased = copies.iter().filter(|copy| !known.contains(copy.job.as_str()));
        erased.filter_map(|copy| JobId::new(&copy.job).ok()).for_each(|id| remove(&folder.record(&id)));
        for id in jobs.iter().filter_map(|id| JobId::new(id).ok()) {
            let record = self.tables.read(database, id.as_str(), number)?;
            let copy = JobRecord::load(&folder.record(&id));
            if copy.is_none_or(|copy| !copy.says_the_same(&record)) {
                let written = record.write(folder, &id);
                self.note(id, written);
            }
            point(Point::RecordCompared);
        }
        Ok(())
    }
}

/// Removes the note that all copies are in step, and says whether there was one. It stays removed in a power cut too.
pub(super) fn forget_step(folder: &Folder) -> Result<bool, StoreError> {
    let marker = folder.records_in_step();
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

/// The job whose file is to be written anew. That it runs has to be known too: its container is taken over then.
fn changed_job(change: &Change) -> Option<Cow<'_, JobId>> {
    match change {
        Change::Save(job) => Some(Cow::Borrowed(&job.id)),
        Change::Define { id, .. }
        | Change::Describe { id, .. }
        | Change::Course { id, .. }
        | Change::Finish { id, .. }
        | Change::Inputs { id, .. }
        | Change::JobImage { id, .. }
        | Change::Forget(id)
        | Change::Erase(id) => Some(Cow::Borrowed(id)),
        Change::Pin { kind, id, .. } if ["result", "log"].contains(&kind.as_str()) => {
            JobId::new(id).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not remove the record of an erased job");
        }
        _ => {}
    }
}
