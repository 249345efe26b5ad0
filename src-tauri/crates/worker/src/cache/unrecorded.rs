//! Outputs that are stored while no record refers to them yet. Until the end of their job is on the disk, for which a full
//! disk may make it wait, nobody would know that they are wanted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deskgrid_job::BlobHash;

/// All of them, with the number of runs that have each; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Unrecorded(Arc<Mutex<HashMap<BlobHash, usize>>>);

/// Those of one run. They are spared until this is dropped.
#[derive(Debug)]
pub(crate) struct Spared {
    all: Unrecorded,
    files: Mutex<Vec<BlobHash>>,
}

impl Unrecorded {
    /// For a run that has stored nothing yet.
    pub(super) fn begin(&self) -> Spared {
        Spared { all: self.clone(), files: Mutex::default() }
    }

    /// Those of this moment.
    pub(super) fn files(&self) -> Vec<BlobHash> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobHash, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spared {
    /// Spares these too.
    pub(crate) fn add(&self, files: impl Iterator<Item = BlobHash>) {
        let mut own = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all.lock();
        for hash in files {
            *all.entry(hash).or_default() += 1;
            own.push(hash);
        }
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        for hash in self.files.get_mut().unwrap_or_else(PoisonError::into_inner) {
            if let Some(count) = all.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    all.remove(hash);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_spared_as_long_as_one_of_its_runs_is_not_recorded() {
        let (all, file) = (Unrecorded::default(), BlobHash([1; 32]));
        let (one, other) = (all.begin(), all.begin());
        one.add([file, file].into_iter());
        other.add([file].into_iter());
        drop(one);
        assert_eq!(all.files(), [file]);
        drop(other);
        assert_eq!(all.files(), []);
    }
}
