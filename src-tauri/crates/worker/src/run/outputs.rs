//! Stores what a container left in `/outputs`: from a folder of ours that it wrote into, or from the engine's archive.
//! What of it becomes an output is decided in `deskgrid-outputs`.
//!
//! Opens nothing but regular files. Nobody writes to the folder any more, the container being over; still every file
//! is opened without following links and looked at again after opening.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use deskgrid_job::{FilePath, OutputFile};
use deskgrid_outputs::archive::{self, ArchiveError};
use deskgrid_outputs::{Entry, Tree};
use deskgrid_store::{Batch, StoreError, Stored};

use super::counter::Counter;

/// Deeper than any path that Linux takes; bounds what a malicious tree can make us do.
const DEEPEST: usize = 1900;

/// Lists everything below `root` and stores each regular file in `batch`. Blocking.
///
/// # Errors
/// When our own disk refuses; what the container made cannot cause one.
pub(super) fn of_folder(root: &Path, batch: &mut Batch, counter: &Counter) -> Result<Tree, StoreError> {
    let mut tree = Tree::default();
    let (files, bytes) = files_of(root, &mut tree);
    counter.expect(bytes);
    for path in files {
        match store(&root.join(path.as_str()), batch)? {
            Some(file) => {
                counter.add(file.size);
                tree.entries.insert(path, Entry::File(file));
            }
            None => tree.unreadable.add(|| unreadable(&path)),
        }
    }
    Ok(tree)
}

/// Lists everything below `root`: regular files are returned with how many bytes they have together, all else goes into
/// `tree`.
fn files_of(root: &Path, tree: &mut Tree) -> (Vec<FilePath>, u64) {
    let (mut files, mut bytes) = (Vec::new(), 0);
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let listing = match list(&folder) {
            Ok(listing) => listing,
            Err(error) => {
                let remark = || format!("Deskgrid could not read the folder /outputs/{prefix}: {error}.");
                tree.unreadable.add(remark);
                continue;
            }
        };
        for found in listing {
            let Some(name) = found.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
                let name = found.path();
                let remark = || format!("Deskgrid left out {}: its name is not UTF-8.", shown(&name, root));
                tree.unreadable.add(remark);
                continue;
            };
            let Ok(path) = FilePath::new(&name) else {
                let remark = || format!("Deskgrid left out /outputs/{name}: its path is too long.");
                tree.unreadable.add(remark);
                continue;
            };
            match look(&found.path()) {
                Some(Seen::File(size)) => {
                    bytes += size;
                    files.push(path);
                }
                Some(Seen::Other(entry)) => {
                    if entry == Entry::Folder && path.segments().count() < DEEPEST {
                        folders.push((found.path(), format!("{name}/")));
                    }
                    tree.entries.insert(path, entry);
                }
                None => tree.unreadable.add(|| unreadable(&path)),
            }
        }
    }
    (files, bytes)
}

fn unreadable(path: &FilePath) -> String {
    format!("Deskgrid could not read /outputs/{path}.")
}

/// Reads the engine's archive of `/outputs` and stores each regular file in `batch`. Blocking.
///
/// # Errors
/// When the stream breaks off or our own disk refuses.
pub(super) fn of_archive(
    archive: impl Read,
    batch: &mut Batch,
    counter: &Counter,
) -> Result<Tree, ArchiveError<StoreError>> {
    archive::collect(archive, |content| {
        let stored = batch.write(content)?;
        counter.add(stored.size);
        Ok(output(stored))
    })
}

fn output(stored: Stored) -> OutputFile {
    OutputFile { hash: stored.hash, size: stored.size }
}

fn shown(path: &Path, root: &Path) -> String {
    format!("/outputs/{}", path.strip_prefix(root).unwrap_or(path).display())
}

/// The entries of a folder; one that the container left without permissions is opened up first.
fn list(folder: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    let entries = std::fs::read_dir(folder).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            std::fs::read_dir(folder)
        }
        _ => Err(error),
    })?;
    entries.collect()
}

#[cfg(unix)]
fn open_up(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn open_up(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

/// What a listing shows.
enum Seen {
    /// A regular file of so many bytes.
    File(u64),
    Other(Entry),
}

/// What `path` is; nothing when it cannot be read.
fn look(path: &Path) -> Option<Seen> {
    let facts = std::fs::symlink_metadata(path).ok()?;
    if facts.is_dir() {
        return Some(Seen::Other(Entry::Folder));
    }
    if facts.is_symlink() {
        let target = std::fs::read_link(path).ok()?.to_string_lossy().into_owned();
        return Some(Seen::Other(Entry::Link(target)));
    }
    if !facts.is_file() {
        return Some(Seen::Other(Entry::Special(kind(facts.file_type()))));
    }
    Some(Seen::File(facts.len()))
}

/// Stores a regular file; nothing when it cannot be read.
fn store(path: &Path, batch: &mut Batch) -> Result<Option<OutputFile>, StoreError> {
    let Ok(file) = open(path) else { return Ok(None) };
    batch.adopt(file, path).map(output).map(Some)
}

/// Opens a file that was seen to be regular, and makes sure that it is the same still.
fn open(path: &Path) -> io::Result<File> {
    let file = open_without_following(path).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            open_without_following(path)
        }
        _ => Err(error),
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(unix)]
fn open_without_following(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open_without_following(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn kind(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn kind(_kind: std::fs::FileType) -> &'static str {
    "no regular file"
}
