//! Folders that exist only while a job runs: what goes into its container, and what comes out.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use deskgrid_fault::{Point, point};
use deskgrid_job::JobId;

use crate::error::{StoreError, failed};
use crate::folder::{Folder, entries};
use crate::{blocking, platform, removal};

/// Beside the folders that the container sees.
const NOTE: &str = "note";

/// The scratch folders of one run. They stay until they are removed, or swept at the next start: a run may go on
/// while this program does not.
#[derive(Clone, Debug)]
pub struct Scratch {
    folder: Arc<Folder>,
    root: PathBuf,
    /// Raised when they are about to be removed. Whoever writes a note holds it meanwhile: one that came into a folder
    /// whose contents were just removed would leave both behind.
    is_going: Arc<Mutex<bool>>,
}

impl Scratch {
    pub(crate) fn of(folder: &Arc<Folder>, id: &JobId, run: u32) -> Self {
        Self { folder: Arc::clone(folder), root: folder.run(id, run), is_going: Arc::default() }
    }

    pub(crate) fn create(folder: &Arc<Folder>, id: &JobId, run: u32) -> Result<Self, StoreError> {
        let scratch = Self::of(folder, id, run);
        for part in [scratch.inputs(), scratch.outputs(), scratch.config()] {
            platform::create_private_folder(&part).map_err(failed("create", &part))?;
        }
        // Containers read and write as any user. The folders above let nobody else on this computer come here.
        for part in [scratch.inputs(), scratch.outputs()] {
            platform::open_to_all(&part).map_err(failed("open to all users", &part))?;
        }
        point(Point::ScratchMade);
        Ok(scratch)
    }

    /// An absolute path: the container's `/inputs`. Anyone may write there.
    pub fn inputs(&self) -> PathBuf {
        self.root.join("inputs")
    }

    /// An absolute path: the container's `/outputs`. Anyone may write there.
    pub fn outputs(&self) -> PathBuf {
        self.root.join("outputs")
    }

    /// An absolute path: config files that go to other places in the container.
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }

    /// Keeps a few words about the run for the next start, in the place of earlier ones. They are whole after this
    /// program was killed; a power cut, which ends every container, may take them. This blocks.
    ///
    /// # Errors
    /// Names the file that could not be written, also because the folders are gone; the earlier words stay.
    pub fn note(&self, words: &str) -> Result<(), StoreError> {
        let fresh = self.root.join("note.new");
        let is_going = self.is_going.lock().unwrap_or_else(PoisonError::into_inner);
        let written =
            if *is_going { Err(ErrorKind::NotFound.into()) } else { self.replace_note(&fresh, words) };
        written.map_err(failed("write", &fresh))
    }

    fn replace_note(&self, fresh: &Path, words: &str) -> io::Result<()> {
        fs::write(fresh, words)?;
        point(Point::NoteWritten);
        fs::rename(fresh, self.root.join(NOTE))?;
        point(Point::NoteRenamed);
        Ok(())
    }

    /// What was noted about the run. This blocks.
    pub fn noted(&self) -> Option<String> {
        fs::read_to_string(self.root.join(NOTE)).ok()
    }

    /// Removes all of it, whatever modes the job left, as far as it is ours. A run without scratch is no error.
    ///
    /// # Errors
    /// Names the first file or folder that could not be removed; all others are gone.
    pub async fn remove(self) -> Result<(), StoreError> {
        blocking(move || self.remove_blocking()).await
    }

    /// As [`Scratch::remove`], on a thread that may block.
    pub fn remove_blocking(self) -> Result<(), StoreError> {
        *self.is_going.lock().unwrap_or_else(PoisonError::into_inner) = true;
        removal::remove(&self.folder, &self.root)?;
        point(Point::ScratchRemoved);
        Ok(())
    }
}

/// The bytes of the disk that all below `folder` takes. What goes away or cannot be read counts for nothing.
pub(crate) fn size_below(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Links are not followed.
            let Ok(facts) = entry.metadata() else { continue };
            if facts.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += platform::bytes_on_disk(&facts);
            }
        }
    }
    bytes
}

/// Removes all scratch but `keep`.
pub(crate) fn sweep(folder: &Folder, keep: &HashSet<PathBuf>) -> Result<(), StoreError> {
    for leftover in entries(&folder.runs())?.iter().filter(|path| !keep.contains(*path)) {
        if let Err(error) = removal::remove(folder, leftover) {
            tracing::warn!(%error, "files of an earlier run stay behind");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::path::Path;

    use super::*;
    use crate::Store;

    fn id(text: &str) -> JobId {
        JobId::new(text).unwrap()
    }

    #[tokio::test]
    async fn each_run_has_folders_of_its_own_until_they_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let first = store.scratch(&id("a"), 1).unwrap();
        let second = store.scratch(&id("a"), 2).unwrap();
        fs::write(first.outputs().join("x"), "1").unwrap();
        assert!(!second.outputs().join("x").exists());
        assert!(store.scratch(&id("a"), 1).unwrap().outputs().join("x").exists(), "taken up again");
        first.clone().remove().await.unwrap();
        assert!(!first.inputs().exists() && second.config().is_dir());
        first.remove().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_left_of_a_run_is_read_and_removed_and_nothing_is_made_for_that() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let none = store.scratch_left(&id("a"), 1);
        assert_eq!(none.noted(), None);
        assert!(!none.root.exists());
        none.remove().await.unwrap();
        store.scratch(&id("a"), 2).unwrap().note("words").unwrap();
        let left = store.scratch_left(&id("a"), 2);
        assert_eq!(left.noted().as_deref(), Some("words"));
        left.clone().remove().await.unwrap();
        assert!(!left.root.exists());
    }

    #[tokio::test]
    async fn a_sweep_keeps_what_running_jobs_need() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let kept = store.scratch(&id("running"), 3).unwrap();
        let older = store.scratch(&id("running"), 2).unwrap();
        let other = store.scratch(&id("other"), 1).unwrap();
        store.sweep_runs(&[(id("running"), 3)]).await.unwrap();
        assert!(kept.outputs().is_dir());
        assert!(!older.outputs().exists() && !other.outputs().exists());
        assert!(dir.path().join("runs/CACHEDIR.TAG").exists());
    }

    #[tokio::test]
    async fn what_was_noted_last_of_a_run_is_read_again_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let scratch = store.scratch(&id("a"), 1).unwrap();
        assert_eq!(scratch.noted(), None);
        scratch.note("one").unwrap();
        scratch.note("two").unwrap();
        assert_eq!(store.scratch(&id("a"), 1).unwrap().noted().as_deref(), Some("two"));
        scratch.clone().remove().await.unwrap();
        assert_eq!(scratch.noted(), None);
        assert!(scratch.note("three").is_err(), "a removed folder does not come back");
    }

    #[test]
    fn a_note_that_is_written_while_the_folders_go_stays_behind_no_more_than_they_do() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for run in 0..300 {
            let scratch = store.scratch(&id("a"), run).unwrap();
            let root = scratch.root.clone();
            let writer = scratch.clone();
            let writing = std::thread::spawn(move || while writer.note("words").is_ok() {});
            scratch.remove_blocking().unwrap();
            writing.join().unwrap();
            assert!(!root.exists(), "run {run}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn any_user_of_a_container_may_write_and_nobody_else_may_enter() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let scratch = Store::open(dir.path()).unwrap().scratch(&id("a"), 1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&scratch.inputs()), mode(&scratch.outputs())), (0o777, 0o777));
        assert_eq!(mode(scratch.outputs().parent().unwrap()), 0o700);
    }
}
