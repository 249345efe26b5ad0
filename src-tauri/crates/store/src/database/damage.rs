//! What is known of damage to the records: remembered for those who ask, and on the disk for the next start.
//!
//! Finding damage is `soundness`'s business, mending it `rebuild`'s.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use crate::error::{StoreError, failed};
use crate::folder::Folder;

/// What was done about a damaged database.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Where the damaged one is now.
    pub aside: PathBuf,
    /// Jobs that the new one knows.
    pub jobs: u64,
    /// What was wrong, in the words of the database program.
    pub why: String,
    /// Whether it was done since the data folder was opened, not by an earlier life that the person has not read of.
    #[serde(skip)]
    pub is_fresh: bool,
}

/// What was done, for the person.
impl fmt::Display for Rebuilt {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (jobs, aside) = (self.jobs, self.aside.display());
        let known = if jobs == 1 { "job is" } else { "jobs are" };
        write!(
            to,
            "The job records were damaged and have been rebuilt: {jobs} {known} known. What was known of images and \
             downloads is lost where it stood in the damaged part. The damaged file is kept as {aside}; delete it \
             when you do not need it."
        )
    }
}

/// What is remembered of a folder.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What is wrong, as long as it is not mended.
    why: Option<String>,
    rebuilt: Option<Rebuilt>,
    rebuilds: u64,
}

impl Damage {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    /// Reads what an earlier life noted for the person.
    pub(super) fn recall_rebuilt(&self) {
        let noted = fs::read(self.rebuilt_note()).ok();
        self.damage.lock().rebuilt = noted.and_then(|text| serde_json::from_slice(&text).ok());
    }

    /// Has the person told, also after further starts, until [`Folder::forget_rebuilt`].
    pub(super) fn note_rebuilt(&self, rebuilt: &Rebuilt) -> Result<(), StoreError> {
        let place = self.rebuilt_note();
        let text = serde_json::to_vec(rebuilt).unwrap_or_default();
        fs::write(&place, text).map_err(failed("write", &place))?;
        self.damage.lock().rebuilt = Some(rebuilt.clone());
        Ok(())
    }

    /// What was done about a damaged database, as long as the person has not read of it.
    pub(crate) fn rebuilt(&self) -> Option<Rebuilt> {
        self.damage.lock().rebuilt.clone()
    }

    /// How often the records were rebuilt since the start.
    pub(crate) fn rebuilds(&self) -> u64 {
        self.damage.lock().rebuilds
    }

    /// The person has read of it.
    pub(crate) fn forget_rebuilt(&self) {
        self.damage.lock().rebuilt = None;
        // What cannot be removed is told once more after the next start.
        let _ = fs::remove_file(self.rebuilt_note());
    }

    /// Has the next start check the database, if `error` says that it is damaged.
    pub(super) fn note_damage(&self, error: &StoreError) {
        let StoreError::RecordsDamaged { why } = error else { return };
        if self.damage.lock().why.replace(why.clone()).is_some() {
            return;
        }
        tracing::error!(%error, "the job records are damaged");
        if let Err(error) = fs::write(self.suspicion(), "") {
            tracing::warn!(%error, "this could not be noted for the next start");
        }
    }

    /// The database is sound.
    pub(super) fn forget_damage(&self) {
        self.damage.lock().why = None;
        // What cannot be removed costs the next start a check.
        let _ = fs::remove_file(self.suspicion());
    }

    /// The database was made anew.
    pub(super) fn count_rebuild(&self) {
        self.damage.lock().rebuilds += 1;
        self.forget_damage();
    }

    /// Whether damage was met that is not mended yet.
    ///
    /// # Errors
    /// [`StoreError::RecordsDamaged`] then.
    pub(crate) fn check_records(&self) -> Result<(), StoreError> {
        match self.damage.lock().why.clone() {
            Some(why) => Err(StoreError::RecordsDamaged { why }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_told_and_where_the_damaged_file_is() {
        let aside = "/data/damaged/x".into();
        let words = Rebuilt { aside, jobs: 1, why: "why".into(), is_fresh: true }.to_string();
        assert!(words.contains("1 job is known") && words.contains("/data/damaged/x"), "{words}");
    }
}
