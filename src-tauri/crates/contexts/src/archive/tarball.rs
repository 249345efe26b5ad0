//! Tars, as they come out of a decompressor or from a disk.

use std::collections::HashMap;
use std::io::{self, Read};

use deskgrid_job::FilePath;
use tar::EntryType;

use super::bounded::Bounds;
use super::name::{self, Name};
use super::{Contents, IgnoreFiles, LONGEST_TARGET, Take, is_ignore_file};
use crate::interest::Interest;
use crate::remarks::Remarks;
use crate::tree::{Kind, Node, Tree, too_many};
use crate::{ContextError, Limits};

/// Looks through the whole tar.
pub(super) fn scan(
    stream: impl Read,
    limits: &Limits,
    interest: &Interest,
) -> Result<Contents, ContextError> {
    let mut scan =
        Scan { limits, tree: Tree::default(), texts: IgnoreFiles::default(), remarks: Remarks::default() };
    let mut files = HashMap::new();
    walk(stream, limits, interest, &mut |position, entry| scan.see(position, entry, &mut files))?;
    Ok(Contents { tree: scan.tree, ignore_files: scan.texts.texts, remarks: scan.remarks })
}

/// Hands on the bytes of files.
pub(super) fn read_files(
    stream: impl Read,
    limits: &Limits,
    interest: &Interest,
    wanted: &dyn Fn(usize) -> bool,
    take: &mut Take<'_>,
) -> Result<(), ContextError> {
    walk(stream, limits, interest, &mut |position, entry| {
        if wanted(position) { take(position, entry) } else { Ok(()) }
    })
}

type See<'a, R> = dyn FnMut(usize, &mut tar::Entry<'_, R>) -> Result<(), ContextError> + 'a;

fn walk<R: Read>(
    stream: R,
    limits: &Limits,
    interest: &Interest,
    see: &mut See<'_, super::bounded::Bounded<R>>,
) -> Result<(), ContextError> {
    let (bounds, stream) = Bounds::of(stream, limits, interest);
    let mut archive = tar::Archive::new(stream);
    for (position, entry) in archive.entries().map_err(ContextError::reading)?.enumerate() {
        if position as u64 >= limits.entries {
            return Err(too_many(limits));
        }
        let mut entry = entry.map_err(ContextError::reading)?;
        bounds.file_begins(entry.size())?;
        if entry.header().entry_type() == EntryType::GNUSparse {
            bounds.made_up(entry.size())?;
        }
        see(position, &mut entry)?;
        // What nobody read is read here, so that the bounds know what comes next.
        io::copy(&mut entry, &mut io::sink()).map_err(ContextError::reading)?;
        bounds.file_ends();
    }
    // The reader is content with an archive that stops after a whole entry; the end mark tells that nothing is missing.
    if bounds.is_over() {
        return Err(ContextError::Broken("it breaks off".to_owned()));
    }
    // What follows is padding, and the checksum of what was compressed.
    bounds.file_begins(0)?;
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop).map_err(ContextError::reading)
}

struct Scan<'a> {
    limits: &'a Limits,
    tree: Tree,
    texts: IgnoreFiles,
    remarks: Remarks,
}

impl Scan<'_> {
    /// Notes one entry. `files` are those that hard links may lead to, as they are at this point of the archive.
    fn see(
        &mut self,
        position: usize,
        entry: &mut tar::Entry<'_, impl Read>,
        files: &mut HashMap<FilePath, Node>,
    ) -> Result<(), ContextError> {
        let bytes = entry.path_bytes().into_owned();
        let path = match name::read(&bytes)? {
            Name::Path(path) => path,
            Name::Root => return Ok(()),
            Name::NotText(shown) => {
                self.remarks.left_out(&shown, "named with bytes that are no UTF-8 text");
                return Ok(());
            }
        };
        let (mode, modified) =
            (entry.header().mode().unwrap_or(0o644) & 0o777, entry.header().mtime().unwrap_or(0));
        let size = entry.size();
        let node = match entry.header().entry_type() {
            // Tars of the oldest kind have no other way to say that something is a folder.
            EntryType::Regular if bytes.ends_with(b"/") => Node { kind: Kind::Folder, mode, modified },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                refuse_strange_sparse(entry)?;
                Node { kind: Kind::File { position, size }, mode, modified }
            }
            EntryType::Directory => Node { kind: Kind::Folder, mode, modified },
            EntryType::Symlink => match link_target(entry, &path)? {
                Some(target) => Node { kind: Kind::Link(target), mode: 0o777, modified },
                None => return self.leave_out(&path, "a link to a name that is no UTF-8 text"),
            },
            EntryType::Link => hard_linked(entry, &path, files)?,
            EntryType::XGlobalHeader => return Ok(()),
            EntryType::Fifo => return self.leave_out(&path, "a pipe"),
            EntryType::Char | EntryType::Block => return self.leave_out(&path, "a device"),
            _ => return self.leave_out(&path, "of a kind that Deskgrid does not know"),
        };
        match node.kind {
            Kind::File { position: own, .. } => {
                if own == position && is_ignore_file(&path) {
                    self.texts.read(position, entry)?;
                }
                files.insert(path.clone(), node.clone());
            }
            _ => drop(files.remove(&path)),
        }
        self.tree.insert(path, node)?;
        self.tree.check(self.limits)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the end of what is done with an entry")]
    fn leave_out(&mut self, path: &FilePath, what: &str) -> Result<(), ContextError> {
        self.remarks.left_out(path.as_str(), what);
        Ok(())
    }
}

/// What a symbolic link says; none when it is no text.
fn link_target(entry: &tar::Entry<'_, impl Read>, path: &FilePath) -> Result<Option<String>, ContextError> {
    let target = entry.link_name_bytes().unwrap_or_default();
    let Ok(target) = std::str::from_utf8(&target) else { return Ok(None) };
    match target {
        "" => Err(ContextError::unsafe_name(path.as_str(), "is a link to nothing")),
        target if target.contains('\0') => {
            Err(ContextError::unsafe_name(path.as_str(), "is a link to a name with a NUL character"))
        }
        target if target.len() > LONGEST_TARGET => Err(ContextError::Broken(format!(
            "{:?} is a link to a name that is longer than {LONGEST_TARGET} bytes",
            crate::error::cut(path.as_str())
        ))),
        target => Ok(Some(target.to_owned())),
    }
}

/// A further name of a file that came before.
fn hard_linked(
    entry: &tar::Entry<'_, impl Read>,
    path: &FilePath,
    files: &HashMap<FilePath, Node>,
) -> Result<Node, ContextError> {
    let target = entry.link_name_bytes().unwrap_or_default();
    let Name::Path(target) = name::read(&target)? else {
        return Err(ContextError::unsafe_name(path.as_str(), "is a second name of something without a name"));
    };
    let why = || {
        format!("is a second name of {:?}, which is no file before it", crate::error::cut(target.as_str()))
    };
    files.get(&target).cloned().ok_or_else(|| ContextError::unsafe_name(path.as_str(), why()))
}

/// The newer way to leave out zeros is one that the reader takes for the file's own bytes.
fn refuse_strange_sparse(entry: &mut tar::Entry<'_, impl Read>) -> Result<(), ContextError> {
    let Some(extensions) = entry.pax_extensions().map_err(ContextError::reading)? else { return Ok(()) };
    for extension in extensions {
        let extension = extension.map_err(ContextError::reading)?;
        if extension.key_bytes().starts_with(b"GNU.sparse.") {
            return Err(ContextError::Broken("it has a sparse file in the form of POSIX tars".to_owned()));
        }
    }
    Ok(())
}
