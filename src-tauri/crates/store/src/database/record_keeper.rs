//! Keeps the record files in step with the commits, on the thread that writes them.
//!
//! A commit is answered when its copies are written. So at any kill a copy is as new as all that anybody was told,
//! and only what nobody was told can be missing from it. What trails nevertheless (after a kill between commit and
//! copy, a power cut, a copy that could not be written) is mended at the next start, before anybody is told anything.

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
use super::{Change, job_ids};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::holdings::files_below;
use crate::platform;

/// Writes record files.
pub(super) struct RecordKeeper {
    tables: JobTables,
    /// Whether every copy says what the latest commit says.
    is_in_step: bool,
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
        let mut keeper = Self { tables: JobTables::of(database)?, is_in_step: true, erased: Vec::new() };
        // It says nothing any more from the first commit on.
        if forget_step(folder)? {
            return Ok(keeper);
        }
        match keeper.catch_up(database, folder) {
            Err(error @ StoreError::RecordsDamaged { .. }) => Err(error),
            Err(error) => {
                keeper.trail(&error);
                Ok(keeper)
            }
            Ok(()) => Ok(keeper),
        }
    }

    /// Writes the files of the jobs that `changes`, which are committed, have changed.
    pub(super) fn follow<'a>(
        &mut self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
        changes: impl Iterator<Item = &'a Change>,
    ) {
        let jobs: BTreeSet<_> = changes.filter_map(changed_job).collect();
        for id in jobs {
            let copied = self.tables.read(database, id.as_str(), number).and_then(|record| {
                if record.is_erased() {
                    self.erased.push(id.clone().into_owned());
                }
                record.write(folder, &id)
            });
            if let Err(error) = copied {
                self.trail(&error);
            }
            point(Point::RecordCopied);
        }
    }

    /// Notes that all copies are in step, if they are. Nothing is committed any more.
    pub(super) fn end(self, database: &Connection, folder: &Folder) {
        // What was erased must not come back from the log.
        if !self.is_in_step || !is_settled(database) {
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

    /// The jobs whose copies do not say what their rows say, although they should.
    pub(super) fn differing(
        &self,
        database: &Connection,
        folder: &Folder,
        number: CommitNumber,
    ) -> Result<Vec<String>, StoreError> {
        let mut differing = Vec::new();
        // A copy that could not be written says nothing about the disk.
        let jobs = if self.is_in_step { job_ids(database)? } else { Vec::new() };
        for id in jobs.iter().filter_map(|id| JobId::new(id).ok()) {
            let copy = JobRecord::load(&folder.record(&id));
            let record = self.tables.read(database, id.as_str(), number)?;
            if copy.is_none_or(|copy| !copy.says_the_same(&record)) {
                differing.push(id.to_string());
            }
        }
        Ok(differing)
    }

    fn trail(&mut self, error: &StoreError) {
        tracing::warn!(%error, "a second copy of a job's record could not be written; the next start tries again");
        self.is_in_step = false;
    }

    fn catch_up(&self, database: &Connection, folder: &Folder) -> Result<(), StoreError> {
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
                record.write(folder, &id)?;
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
