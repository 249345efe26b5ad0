//! Keeps the record files in step with the commits, on the thread that writes them.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use deskgrid_job::{JobId, Phase};
use rusqlite::Connection;

use super::Change;
use super::record_file::JobTables;
use crate::error::{StoreError, failed};
use crate::folder::Folder;

/// Writes record files.
pub(super) struct RecordKeeper {
    tables: JobTables,
}

impl RecordKeeper {
    /// Looks at the tables of the open database, and writes the files of jobs from before there were such files.
    pub(super) fn start(database: &Connection, folder: &Folder) -> Result<Self, StoreError> {
        let keeper = Self { tables: JobTables::of(database)? };
        let marker = folder.records_complete();
        if !marker.exists() {
            let mut statement = database.prepare("SELECT id FROM job")?;
            let ids =
                statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            for id in ids.iter().filter_map(|id| JobId::new(id).ok()) {
                keeper.write(database, folder, &id)?;
            }
            crate::platform::create_private_folder(&folder.records()).map_err(failed("create", &marker))?;
            fs::write(&marker, "").map_err(failed("write", &marker))?;
        }
        Ok(keeper)
    }

    /// Writes the files of the jobs that `changes`, which are committed, have changed. What cannot be written is
    /// written at the next start.
    pub(super) fn follow<'a>(
        &self,
        database: &Connection,
        folder: &Folder,
        changes: impl Iterator<Item = &'a Change>,
    ) {
        let jobs: BTreeSet<&JobId> = changes.filter_map(changed_job).collect();
        for id in jobs {
            if let Err(error) = self.write(database, folder, id) {
                tracing::warn!(job = %id, %error, "could not write the second copy of a job's record");
                let _ = fs::remove_file(folder.records_complete());
            }
        }
    }

    fn write(&self, database: &Connection, folder: &Folder, id: &JobId) -> Result<(), StoreError> {
        match self.tables.read(database, id.as_str())? {
            Some(record) => record.write(folder, id),
            None => Ok(()),
        }
    }
}

/// The job whose file is to be written anew. That a job runs is not worth it: it would be queued again in any case.
fn changed_job(change: &Change) -> Option<&JobId> {
    match change {
        Change::Save(job) if job.phase != Phase::Running => Some(&job.id),
        Change::Define { id, .. } | Change::Finish { id, .. } | Change::Forget(id) => Some(id),
        _ => None,
    }
}

/// Removes the file of an erased job. One that stays would bring the job back when the database is rebuilt.
pub(super) fn remove(folder: &Folder, id: &JobId) {
    let path = folder.record(id);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not remove the record of an erased job");
        }
        _ => {}
    }
}
