//! Archives as they were downloaded: which kind they are, what is in them, and their bytes once more. Nothing is ever
//! unpacked.
//!
//! What an archive may not do, and what happens when it does:
//!
//! | in the archive | |
//! | --- | --- |
//! | a name that is absolute, has `..`, a drive letter or a NUL in it, or is too long for a file system | refused |
//! | a name below a symbolic link or below a file | refused |
//! | a hard link to anything but a file that came before it | refused |
//! | a symbolic link that leads outside what is sent | left out, with a remark (`context`) |
//! | devices, pipes, sockets | left out, with a remark |
//! | a name that is not UTF-8 | left out, with a remark |
//! | the same name twice | the later one counts, as when it is unpacked |
//! | setuid, setgid and sticky bits, owners | dropped: everything belongs to root and has plain permissions |
//! | more entries or bytes than [`Limits`] allows, or names and links with more text than fits into a bounded memory | refused, when the limit is reached and not afterwards |
//! | files in a zip with a password, or in an unknown compression | refused |
//! | a file that is longer or shorter than its zip says, or has another checksum | refused when it is sent |

mod bounded;
mod name;
mod tarball;
mod zipped;

pub(crate) use bounded::too_large as too_large_unpacked;

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use deskgrid_job::FilePath;
use flate2::read::MultiGzDecoder;

use crate::interest::Interest;
use crate::remarks::Remarks;
use crate::tree::Tree;
use crate::{ContextError, Limits};

/// Read from a disk at once, in bytes.
const BUFFER: usize = 128 << 10;
/// Longest target of a symbolic link, in bytes; Linux takes no longer one.
const LONGEST_TARGET: usize = 4096;
/// Where a tar says that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// Where the bytes of an archive are.
pub(crate) trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// An archive that was looked through.
pub struct Archive {
    bytes: Box<dyn Bytes>,
    format: Format,
    limits: Limits,
    pub(crate) interest: Interest,
    pub(crate) contents: Contents,
}

/// What is in an archive.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) tree: Tree,
    /// Texts that say what is left out, by the position of their file.
    pub(crate) ignore_files: BTreeMap<usize, Vec<u8>>,
    pub(crate) remarks: Remarks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Tar,
    Zip,
}

impl Archive {
    /// Looks through an archive from its first byte: a gzip-compressed tar, a plain tar or a zip, told apart by their
    /// magic bytes. Blocking: reads all of a tar, and the directory of a zip.
    ///
    /// # Errors
    /// When it is none of these, is damaged, passes a limit, or holds a name that could lead elsewhere.
    pub fn scan(bytes: impl Read + Seek + Send + 'static, limits: &Limits) -> Result<Self, ContextError> {
        Self::scan_while(bytes, limits, Interest::default())
    }

    /// The same, as long as `interest` lasts: what is done with the archive later ends with it too.
    ///
    /// # Errors
    /// As [`Self::scan`], and [`ContextError::Unwanted`].
    pub fn scan_while(
        bytes: impl Read + Seek + Send + 'static,
        limits: &Limits,
        interest: Interest,
    ) -> Result<Self, ContextError> {
        let mut bytes: Box<dyn Bytes> = Box::new(bytes);
        let format = format_of(&mut bytes)?;
        let mut contents = match format {
            Format::Gzip => tarball::scan(gunzipped(&mut bytes), limits, &interest)?,
            Format::Tar => tarball::scan(BufReader::with_capacity(BUFFER, &mut bytes), limits, &interest)?,
            Format::Zip => zipped::scan(&mut bytes, limits, &interest)?,
        };
        contents.tree = contents.tree.hoisted();
        Ok(Self { bytes, format, limits: *limits, interest, contents })
    }

    /// Hands the bytes of each file whose position `wanted` knows to `take`, in the order of the archive.
    pub(crate) fn read_files(
        &mut self,
        wanted: &dyn Fn(usize) -> bool,
        take: &mut Take<'_>,
    ) -> Result<(), ContextError> {
        self.bytes.seek(SeekFrom::Start(0)).map_err(ContextError::NotRead)?;
        let (bytes, limits, interest) = (&mut self.bytes, &self.limits, &self.interest);
        match self.format {
            Format::Gzip => tarball::read_files(gunzipped(bytes), limits, interest, wanted, take),
            Format::Tar => {
                let bytes = BufReader::with_capacity(BUFFER, bytes);
                tarball::read_files(bytes, limits, interest, wanted, take)
            }
            Format::Zip => zipped::read_files(bytes, limits, interest, wanted, take),
        }
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Takes the bytes of the file at a position.
pub(crate) type Take<'a> = dyn FnMut(usize, &mut dyn Read) -> Result<(), ContextError> + 'a;

/// Archives may be several compressed one after the other.
fn gunzipped(bytes: &mut Box<dyn Bytes>) -> impl Read {
    let bytes = BufReader::with_capacity(BUFFER, bytes);
    BufReader::with_capacity(BUFFER, MultiGzDecoder::new(bytes))
}

fn format_of(bytes: &mut Box<dyn Bytes>) -> Result<Format, ContextError> {
    let mut start = Vec::new();
    bytes.take(512).read_to_end(&mut start).map_err(ContextError::NotRead)?;
    bytes.seek(SeekFrom::Start(0)).map_err(ContextError::NotRead)?;
    match start.as_slice() {
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        // The last is a zip with nothing in it.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(Format::Zip),
        block if block.get(TAR_MAGIC) == Some(b"ustar") => Ok(Format::Tar),
        other => Err(ContextError::NotAnArchive { found: looks_like(other) }),
    }
}

fn looks_like(start: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
    match start {
        [] => "it is empty",
        _ if text.starts_with("<!doctype") || text.starts_with("<html") => "it is a web page",
        _ if text.starts_with('<') || text.starts_with('{') => "it is a text",
        [b'B', b'Z', b'h', ..] => "it is compressed with bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is compressed with xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd",
        [b'7', b'z', 0xbc, 0xaf, ..] => "it is a 7z archive",
        _ => "its first bytes are unknown",
    }
}

/// Whether the text of a file is kept while scanning because it may say what is left out: `.dockerignore`,
/// `x.dockerignore`, and what links of these names commonly lead to.
fn is_ignore_file(path: &FilePath) -> bool {
    path.as_str().ends_with("ignore")
}

/// Texts of ignore files, which are kept in memory.
#[derive(Default)]
struct IgnoreFiles {
    texts: BTreeMap<usize, Vec<u8>>,
    length: u64,
}

impl IgnoreFiles {
    /// Longest that is read. Those of people are a few hundred bytes long.
    const LONGEST: u64 = 64 << 10;
    /// What all may have together.
    const ALL: u64 = 4 << 20;

    /// Reads the file at `position`. One that is too long is cut; using it is refused (`ignore`).
    fn read(&mut self, position: usize, content: &mut dyn Read) -> Result<(), ContextError> {
        let mut text = Vec::new();
        let room = (Self::LONGEST + 1).min(Self::ALL.saturating_sub(self.length));
        content.take(room).read_to_end(&mut text).map_err(ContextError::reading)?;
        self.length += text.len() as u64;
        self.texts.insert(position, text);
        Ok(())
    }
}

/// Longest ignore file that is used, in bytes.
pub(crate) const LONGEST_IGNORE_FILE: u64 = IgnoreFiles::LONGEST;
