//! Writing a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use deskgrid_fault::{Point, point};
use deskgrid_job::LogLine;

use super::{line, read};
use crate::error::{StoreError, failed};
use crate::platform;

/// So many bytes are gathered before they are written without being asked to.
const BUFFER: usize = 64 * 1024;

/// What becomes of a log that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It goes: a new run begins.
    Truncate,
    /// It is continued after its last complete line: a run is taken up again.
    Append,
}

/// Writes one log. Every call blocks on the disk. Lines that were not flushed are when this is dropped, as far as
/// the disk lets them.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    count: u64,
    texts: Texts,
}

/// How many bytes of text a log has of each stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Of the output.
    pub output: u64,
    /// Of the errors.
    pub errors: u64,
}

impl Texts {
    fn add(&mut self, line: &LogLine) {
        let stream = if line.is_stderr { &mut self.errors } else { &mut self.output };
        *stream += line.text.len() as u64;
    }
}

impl LogWriter {
    pub(super) fn open(path: PathBuf, opening: Opening) -> Result<Self, StoreError> {
        let (file, count, texts) = match opening {
            Opening::Truncate => (create(&path)?, 0, Texts::default()),
            Opening::Append => reopen(&path)?,
        };
        Ok(Self { path, file, buffer: Vec::new(), count, texts })
    }

    /// Adds lines. They are seen by readers after [`LogWriter::flush`], or earlier.
    pub fn append(&mut self, lines: &[LogLine]) -> Result<(), StoreError> {
        for line in lines {
            let encoded = line::encode(line, &mut self.buffer).map_err(io::Error::from);
            encoded.map_err(failed("write the log", &self.path))?;
            self.count += 1;
            self.texts.add(line);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Shows all lines to readers.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let written = self.file.write_all(&self.buffer);
        // After an error too: a second try would repeat what was written of it.
        self.buffer.clear();
        written.map_err(failed("write the log", &self.path))?;
        point(Point::LogWritten);
        Ok(())
    }

    /// Shows all lines to readers and brings them onto the disk, where they survive a power cut.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        let synced =
            self.file.sync_data().and_then(|()| self.path.parent().map_or(Ok(()), platform::sync_folder));
        synced.map_err(failed("write the log", &self.path))?;
        point(Point::LogSynced);
        Ok(())
    }

    /// How many lines the log has, those not yet flushed among them.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How much text it has, that not yet flushed among it.
    pub fn texts(&self) -> Texts {
        self.texts
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the last lines of a log are lost");
        }
    }
}

/// A new file instead of an emptied one, so that readers of the old one come to its end in peace.
fn create(path: &Path) -> Result<File, StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(failed("remove the log", path)(error));
        }
        _ => {}
    }
    point(Point::LogEmptied);
    open(path)
}

/// Continues after the last complete line: what follows was cut off by a crash. Says what there is.
fn reopen(path: &Path) -> Result<(File, u64, Texts), StoreError> {
    let Some((mut lines, length)) = read::open(path)? else { return Ok((open(path)?, 0, Texts::default())) };
    let (count, texts) = measure(&mut lines).map_err(failed("read the log", path))?;
    let mut file = open(path)?;
    let cut = file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0)));
    cut.map_err(failed("write the log", path))?;
    Ok((file, count, texts))
}

/// Counts lines and their texts.
fn measure(lines: &mut read::Lines) -> io::Result<(u64, Texts)> {
    let (mut count, mut texts, mut bytes) = (0, Texts::default(), Vec::new());
    while read::next_line(lines, &mut bytes)? {
        count += 1;
        texts.add(&line::decode(&bytes));
    }
    Ok((count, texts))
}

fn open(path: &Path) -> Result<File, StoreError> {
    if let Some(folder) = path.parent() {
        platform::create_private_folder(folder).map_err(failed("create", folder))?;
    }
    let mut options: OpenOptions = platform::private_file();
    options.write(true).create(true).truncate(false).open(path).map_err(failed("open the log", path))
}
