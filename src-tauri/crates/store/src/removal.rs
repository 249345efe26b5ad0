//! Removing a folder that a job has filled: any modes, any depth, never following a link.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use deskgrid_fault::{Point, point};

use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;

/// Removes `doomed`, which lies in `runs/`, and all that is in it.
///
/// Folders within are first moved up into `runs/`, one after the other. So no path grows with the depth of the tree
/// (a job can nest folders deeper than the longest path), and neither do open files nor the stack.
///
/// # Errors
/// Names the first that could not be removed, at its original place; the rest is gone.
pub(crate) fn remove(folder: &Folder, doomed: &Path) -> Result<(), StoreError> {
    let first = Doomed { at: doomed.to_owned(), was: doomed.to_owned() };
    let mut removal = Removal { folder, waiting: vec![first], refused: None };
    while let Some(doomed) = removal.waiting.pop() {
        removal.empty(&doomed);
        removal.note(fs::remove_dir(&doomed.at), &doomed.was);
    }
    match removal.refused {
        None => Ok(()),
        Some((path, error)) => Err(failed("remove", &path)(error)),
    }
}

/// A folder on its way out.
struct Doomed {
    at: PathBuf,
    /// Where it was at first, for messages.
    was: PathBuf,
}

struct Removal<'a> {
    folder: &'a Folder,
    waiting: Vec<Doomed>,
    /// The first that could not be removed.
    refused: Option<(PathBuf, io::Error)>,
}

impl Removal<'_> {
    /// Removes the files in a folder and puts the folders in it on the list.
    fn empty(&mut self, doomed: &Doomed) {
        platform::take_back(&doomed.at);
        let entries = match fs::read_dir(&doomed.at) {
            Ok(entries) => entries,
            Err(error) => return self.note(Err(error), &doomed.was),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.take(&entry, &doomed.was.join(entry.file_name())),
                Err(error) => self.note(Err(error), &doomed.was),
            }
        }
    }

    fn take(&mut self, entry: &fs::DirEntry, was: &Path) {
        // The type of the entry itself: a link to a folder is a file here.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return self.note(fs::remove_file(entry.path()), was);
        }
        // An empty folder of another user can be removed, but not moved.
        if fs::remove_dir(entry.path()).is_ok() {
            return;
        }
        // Moving a folder changes its entry "..", for which it must be writable.
        platform::take_back(&entry.path());
        let at = self.folder.fresh_run();
        match fs::rename(entry.path(), &at) {
            Ok(()) => {
                point(Point::ScratchPartMoved);
                self.waiting.push(Doomed { at, was: was.to_owned() });
            }
            Err(error) => self.note(Err(error), was),
        }
    }

    fn note(&mut self, outcome: io::Result<()>, was: &Path) {
        if let Err(error) = outcome
            && error.kind() != ErrorKind::NotFound
            && self.refused.is_none()
        {
            self.refused = Some((was.to_owned(), error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        folder.prepare().unwrap();
        let doomed = folder.runs().join("doomed");
        fs::create_dir(&doomed).unwrap();
        (dir, folder, doomed)
    }

    fn runs_is_empty(folder: &Folder) -> bool {
        crate::folder::entries(&folder.runs()).unwrap().is_empty()
    }

    #[test]
    fn nested_folders_and_files_go() {
        let (_dir, folder, doomed) = folder();
        fs::create_dir_all(doomed.join("a/b/c")).unwrap();
        fs::write(doomed.join("a/b/x"), "x").unwrap();
        fs::write(doomed.join("y"), "y").unwrap();
        remove(&folder, &doomed).unwrap();
        assert!(runs_is_empty(&folder));
    }

    #[cfg(unix)]
    #[test]
    fn folders_without_any_permission_go() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, folder, doomed) = folder();
        fs::create_dir_all(doomed.join("a/b")).unwrap();
        fs::write(doomed.join("a/b/x"), "x").unwrap();
        for path in ["a/b", "a"] {
            fs::set_permissions(doomed.join(path), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(&folder, &doomed).unwrap();
        assert!(runs_is_empty(&folder));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_goes_and_what_it_names_stays() {
        let (dir, folder, doomed) = folder();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("x"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, doomed.join("link")).unwrap();
        remove(&folder, &doomed).unwrap();
        assert!(runs_is_empty(&folder) && outside.join("x").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_tree_deeper_than_the_longest_path_goes() {
        use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
        let (_dir, folder, doomed) = folder();
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut deepest = open(&doomed, flags, Mode::empty()).unwrap();
        for _ in 0..5_000 {
            mkdirat(&deepest, "d", Mode::RWXU).unwrap();
            deepest = openat(&deepest, "d", flags, Mode::empty()).unwrap();
        }
        remove(&folder, &doomed).unwrap();
        assert!(runs_is_empty(&folder));
    }

    #[test]
    fn what_cannot_be_removed_is_named_at_its_first_place() {
        let (_dir, folder, _) = folder();
        let file = folder.runs().join("file");
        fs::write(&file, "not a folder").unwrap();
        let error = remove(&folder, &file).unwrap_err();
        assert!(error.to_string().starts_with(&format!("could not remove {}", file.display())), "{error}");
    }
}
