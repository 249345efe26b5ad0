//! The tar that is sent to the engine: made from a plan, with headers of our own and none of a stranger's.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};

use deskgrid_job::FilePath;
use tar::{Builder, EntryType, Header};

use crate::ContextError;
use crate::archive::Archive;
use crate::tree::{Kind, Node, Tree};

/// Tars come in blocks of this length.
const BLOCK: u64 = 512;
/// Written at once, in bytes.
const BUFFER: usize = 128 << 10;
/// A tar's plain fields end at this second.
const LATEST: u64 = 0o77_777_777_777;

/// What is written, in this order: folders and links by name, the given Dockerfile, files in the archive's order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    first: Vec<(FilePath, Node)>,
    dockerfile: Option<(FilePath, String)>,
    files: BTreeMap<usize, PlannedFile>,
    size: u64,
}

/// A file of the archive and its names, of which there are more than one when it has hard links.
#[derive(Debug)]
struct PlannedFile {
    size: u64,
    node: Node,
    name: FilePath,
    further_names: Vec<FilePath>,
}

impl Plan {
    /// Everything in `tree`, with `dockerfile` written over what has its name.
    ///
    /// # Errors
    /// When something is in the way of the Dockerfile.
    pub(crate) fn new(tree: &Tree, dockerfile: Option<(&FilePath, &str)>) -> Result<Self, ContextError> {
        let mut plan = Self::default();
        for (path, node) in tree.iter() {
            if dockerfile.is_some_and(|(name, _)| name == path) {
                refuse_folder(path, node)?;
                continue;
            }
            match node.kind {
                Kind::Folder | Kind::Link(_) => plan.first.push((path.clone(), node.clone())),
                Kind::File { position, size } => plan.add_file(position, size, path, node),
            }
        }
        if let Some((name, text)) = dockerfile {
            refuse_way_through(name, tree)?;
            plan.dockerfile = Some((name.clone(), text.to_owned()));
        }
        plan.size = plan.measured()?;
        Ok(plan)
    }

    fn add_file(&mut self, position: usize, size: u64, path: &FilePath, node: &Node) {
        self.files.entry(position).and_modify(|file| file.further_names.push(path.clone())).or_insert_with(
            || PlannedFile { size, node: node.clone(), name: path.clone(), further_names: Vec::new() },
        );
    }

    /// Bytes of the whole tar.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes all headers and counts them; the bytes of files are known without being written.
    fn measured(&self) -> Result<u64, ContextError> {
        let mut tar = Builder::new(Count(0));
        self.write_first(&mut tar)?;
        let mut bytes = 0_u64;
        for file in self.files.values() {
            file.write(&mut tar, &mut io::empty())?;
            bytes = bytes.saturating_add(file.size.next_multiple_of(BLOCK));
        }
        let headers = tar.into_inner().map_err(ContextError::NotSent)?.0;
        Ok(headers.saturating_add(bytes))
    }

    fn write_first(&self, tar: &mut Builder<impl Write>) -> Result<(), ContextError> {
        for (path, node) in &self.first {
            let mut header = header(node, 0);
            let written = if let Kind::Link(target) = &node.kind {
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, path.as_str(), target)
            } else {
                header.set_entry_type(EntryType::Directory);
                tar.append_data(&mut header, format!("{path}/"), io::empty())
            };
            written.map_err(ContextError::NotSent)?;
        }
        let Some((path, text)) = &self.dockerfile else { return Ok(()) };
        let node = Node { kind: Kind::Folder, mode: 0o644, modified: 0 };
        tar.append_data(&mut header(&node, text.len() as u64), path.as_str(), text.as_bytes())
            .map_err(ContextError::NotSent)
    }
}

impl PlannedFile {
    fn write(&self, tar: &mut Builder<impl Write>, content: &mut dyn Read) -> Result<(), ContextError> {
        tar.append_data(&mut header(&self.node, self.size), self.name.as_str(), content).map_err(failed)?;
        for name in &self.further_names {
            let mut header = header(&self.node, 0);
            header.set_entry_type(EntryType::Link);
            tar.append_link(&mut header, name.as_str(), self.name.as_str()).map_err(ContextError::NotSent)?;
        }
        Ok(())
    }
}

/// Writes the whole tar, with the bytes of files from `archive`.
pub(crate) fn write(archive: Option<Archive>, plan: &Plan, out: impl Write) -> Result<(), ContextError> {
    let mut tar = Builder::new(BufWriter::with_capacity(BUFFER, out));
    plan.write_first(&mut tar)?;
    let mut written = 0;
    if let Some(mut archive) = archive {
        archive.read_files(&|position| plan.files.contains_key(&position), &mut |position, content| {
            let Some(file) = plan.files.get(&position) else { return Ok(()) };
            written += 1;
            let mut exact = Exact { content, left: file.size };
            file.write(&mut tar, &mut exact)
        })?;
    }
    if written != plan.files.len() {
        return Err(ContextError::Broken("it has fewer files than before".to_owned()));
    }
    let mut out = tar.into_inner().map_err(ContextError::NotSent)?;
    out.flush().map_err(ContextError::NotSent)
}

fn header(node: &Node, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(node.mode);
    header.set_mtime(node.modified.min(LATEST));
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Errors of the archive come through the writer wrapped; all others are the writer's own.
fn failed(error: io::Error) -> ContextError {
    match error.downcast::<ContextError>() {
        Ok(ours) => ours,
        Err(error) => ContextError::NotSent(error),
    }
}

fn refuse_folder(path: &FilePath, node: &Node) -> Result<(), ContextError> {
    match node.kind {
        Kind::Folder => {
            Err(no_place(path, "is a folder in the context, so no Dockerfile can be written there"))
        }
        _ => Ok(()),
    }
}

/// A Dockerfile that is written lies in folders, not behind links and below files.
fn refuse_way_through(path: &FilePath, tree: &Tree) -> Result<(), ContextError> {
    for (end, _) in path.as_str().match_indices('/') {
        let above = FilePath::new(&path.as_str()[..end]).ok();
        let kind = above.and_then(|above| tree.get(&above)).map(|node| &node.kind);
        if kind.is_some_and(|kind| *kind != Kind::Folder) {
            return Err(no_place(
                path,
                "lies below a file or link of the context, so nothing can be written there",
            ));
        }
    }
    Ok(())
}

fn no_place(path: &FilePath, problem: &'static str) -> ContextError {
    ContextError::BadPath { field: "filename", text: crate::error::cut(path.as_str()), problem }
}

/// Counts what is written.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Content that has as many bytes as was said, or is an error: its length stands before it in a tar.
struct Exact<'a> {
    content: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer).map_err(ContextError::reading)?;
        let other = || ContextError::Broken("a file in it is not as long as it says".to_owned());
        if count == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(other().into());
        }
        self.left = self.left.checked_sub(count as u64).ok_or_else(other)?;
        Ok(count)
    }
}
