//! Zips. Only their directory is believed as to what there is, and only as far as the bytes bear it out.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use deskgrid_job::FilePath;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::bounded::too_large;
use super::name::{self, Name};
use super::{BUFFER, Bytes, Contents, IgnoreFiles, LONGEST_TARGET, Take, is_ignore_file};
use crate::interest::Interest;
use crate::tree::{Kind, Node, too_many};
use crate::{ContextError, Limits};

/// Bytes of a directory for each entry that is allowed: 46 and a name, often with times and owners.
const DIRECTORY_BYTES: u64 = 256;
/// What a directory may have besides.
const DIRECTORY_REST: u64 = 1 << 20;
/// What the file system of a zip from Windows cannot say: as the docker command line does there, all is executable.
const UNKNOWN_MODE: u32 = 0o755;
/// Kinds of files in the mode of a Unix system.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
/// Where the Finder of macOS puts what only it needs.
const FINDER_FOLDER: &str = "__MACOSX";
/// The first day that a zip can name; its times are without a time zone and not taken.
const MODIFIED: u64 = 315_532_800;

type Zip<'a> = ZipArchive<Directory<BufReader<&'a mut Box<dyn Bytes>>>>;

/// Reads the directory, links and ignore files.
pub(super) fn scan(
    bytes: &mut Box<dyn Bytes>,
    limits: &Limits,
    interest: &Interest,
) -> Result<Contents, ContextError> {
    let mut zip = open(bytes, limits)?;
    let mut contents = Contents::default();
    let mut texts = IgnoreFiles::default();
    let mut left = limits.unpacked;
    for position in 0..zip.len() {
        interest.check()?;
        let size = zip.by_index_data(position).map_err(broken)?.size();
        left = left.checked_sub(size).ok_or_else(|| too_large(limits.unpacked))?;
        let Some(path) = path(&zip, position)? else { continue };
        let Some(node) = node(&mut zip, position)? else {
            contents.remarks.left_out(path.as_str(), "a device, pipe or socket");
            continue;
        };
        if matches!(node.kind, Kind::File { .. }) && is_ignore_file(&path) {
            texts.read(position, &mut zip.by_index(position).map_err(broken)?)?;
        }
        contents.tree.insert(path, node)?;
        contents.tree.check(limits)?;
    }
    contents.ignore_files = texts.texts;
    Ok(contents)
}

/// The name of an entry; none for the root and for what nobody wants. Old programs of Windows divide folders by `\`.
fn path(zip: &Zip<'_>, position: usize) -> Result<Option<FilePath>, ContextError> {
    let entry = zip.by_index_data(position).map_err(broken)?;
    let name = entry.name().map_err(broken)?.replace('\\', "/");
    match name::read(name.as_bytes())? {
        Name::Path(path) if path.segments().next() != Some(FINDER_FOLDER) => Ok(Some(path)),
        Name::Path(_) | Name::Root | Name::NotText(_) => Ok(None),
    }
}

/// What an entry is; none for what is no file, folder or link.
fn node(zip: &mut Zip<'_>, position: usize) -> Result<Option<Node>, ContextError> {
    let entry = zip.by_index_data(position).map_err(broken)?;
    let (size, mode, is_folder) = (entry.size(), entry.unix_mode(), entry.is_dir());
    let kind = match mode.map_or(0, |mode| mode & KIND) {
        _ if is_folder => Kind::Folder,
        FOLDER => Kind::Folder,
        REGULAR | LINK | 0 if entry.encrypted() => return Err(locked(&entry.name().map_err(broken)?)),
        REGULAR | 0 if is_readable(entry.compression()) => Kind::File { position, size },
        LINK if is_readable(entry.compression()) => Kind::Link(target(zip, position)?),
        REGULAR | LINK | 0 => {
            let method = entry.compression();
            return Err(ContextError::Broken(format!("a file in it is compressed with {method}")));
        }
        _ => return Ok(None),
    };
    let mode = mode.filter(|mode| mode & 0o777 != 0).unwrap_or(UNKNOWN_MODE) & 0o777;
    Ok(Some(Node { kind, mode, modified: MODIFIED }))
}

/// Hands on the bytes of files.
pub(super) fn read_files(
    bytes: &mut Box<dyn Bytes>,
    limits: &Limits,
    interest: &Interest,
    wanted: &dyn Fn(usize) -> bool,
    take: &mut Take<'_>,
) -> Result<(), ContextError> {
    let mut zip = open(bytes, limits)?;
    for position in (0..zip.len()).filter(|position| wanted(*position)) {
        interest.check()?;
        take(position, &mut zip.by_index(position).map_err(broken)?)?;
    }
    Ok(())
}

fn open<'a>(bytes: &'a mut Box<dyn Bytes>, limits: &Limits) -> Result<Zip<'a>, ContextError> {
    let left = Rc::new(Cell::new(Some(
        limits.entries.saturating_mul(DIRECTORY_BYTES).saturating_add(DIRECTORY_REST),
    )));
    let bytes = BufReader::with_capacity(BUFFER, bytes);
    let zip =
        ZipArchive::new(Directory { bytes, left: Rc::clone(&left), limits: *limits }).map_err(broken)?;
    left.set(None);
    if zip.len() as u64 > limits.entries { Err(too_many(limits)) } else { Ok(zip) }
}

fn locked(name: &str) -> ContextError {
    ContextError::Broken(format!("{:?} in it is locked with a password", crate::error::cut(name)))
}

fn is_readable(method: CompressionMethod) -> bool {
    matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated)
}

/// What a link says is its file's content.
fn target(zip: &mut Zip<'_>, position: usize) -> Result<String, ContextError> {
    let mut text = String::new();
    let mut entry = zip.by_index(position).map_err(broken)?.take(LONGEST_TARGET as u64 + 1);
    entry.read_to_string(&mut text).map_err(ContextError::reading)?;
    let is_bad = text.is_empty() || text.len() > LONGEST_TARGET || text.contains('\0');
    if is_bad {
        Err(ContextError::Broken("a link in it leads to no usable name".to_owned()))
    } else {
        Ok(text)
    }
}

fn broken(error: ZipError) -> ContextError {
    match error {
        ZipError::Io(error) => ContextError::reading(error),
        other => ContextError::Broken(crate::error::cut(&other.to_string())),
    }
}

/// The file while its directory is read, all of which is kept in memory: bounded by the entries that are allowed.
struct Directory<R> {
    bytes: R,
    left: Rc<Cell<Option<u64>>>,
    limits: Limits,
}

impl<R: Read> Read for Directory<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| too_many(&self.limits))?;
            self.left.set(Some(left));
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Directory<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(position)
    }
}
