//! Reading a log from any line on, also while it is being written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Take};
use std::path::Path;
use std::time::SystemTime;

use super::{LogSlice, Most, line};
use crate::error::{StoreError, failed};

/// Few calls for large logs, and little memory.
const BUFFER: usize = 64 * 1024;

/// The complete lines of a log as they were when it was opened.
pub(super) type Lines = BufReader<Take<File>>;

/// Where a reader is in a log. It finds the same place again without counting lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    line: u64,
    byte: u64,
    /// When the file was created that `byte` counts in: a new run writes a new file.
    file: Option<SystemTime>,
}

impl Place {
    /// The number of the line that comes next, counted from 0.
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl From<u64> for Place {
    /// Before the line of this number, wherever that is.
    fn from(line: u64) -> Self {
        Self { line, ..Self::default() }
    }
}

/// Opens a log and says how many bytes its complete lines have; none when it was never written.
pub(super) fn open(path: &Path) -> Result<Option<(Lines, u64)>, StoreError> {
    let opened = File::open(path).and_then(|mut file| {
        let length = complete_length(&mut file)?;
        file.rewind()?;
        Ok((BufReader::with_capacity(BUFFER, file.take(length)), length))
    });
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open the log", path)(error)),
    }
}

/// The length of the file up to its last newline, found from its end.
pub(super) fn complete_length(file: &mut File) -> io::Result<u64> {
    let mut buffer = [0; 4096];
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        file.seek(SeekFrom::Start(start))?;
        // At most the buffer's length, by the line above.
        let part = &mut buffer[..usize::try_from(end - start).unwrap_or_default()];
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// See [`super::Logs::read_on`].
pub(super) fn slice(path: &Path, from: Place, most: Most) -> Result<(LogSlice, Place), StoreError> {
    let Some((mut lines, length)) = open(path)? else { return Ok(Default::default()) };
    let read = go_to(&mut lines, length, from).and_then(|place| take_slice(&mut lines, place, most));
    read.map_err(failed("read the log", path))
}

/// Goes to `place` if it is in this file, else to the line of its number, or to the end where there are fewer.
fn go_to(lines: &mut Lines, length: u64, place: Place) -> io::Result<Place> {
    // Where the system does not tell, lines are counted.
    let file = lines.get_ref().get_ref().metadata()?.created().ok();
    if file.is_some() && file == place.file && place.byte <= length {
        let rest = lines.get_mut();
        rest.get_mut().seek(SeekFrom::Start(place.byte))?;
        rest.set_limit(length - place.byte);
        return Ok(place);
    }
    let (line, byte) = skip(lines, place.line)?;
    Ok(Place { line, byte, file })
}

fn take_slice(lines: &mut Lines, mut place: Place, most: Most) -> io::Result<(LogSlice, Place)> {
    let mut slice = LogSlice { next: place.line, ..LogSlice::default() };
    let (mut bytes, mut taken) = (Vec::new(), 0);
    while next_line(lines, &mut bytes)? {
        if slice.lines.len() >= most.lines || (taken > 0 && taken + bytes.len() > most.bytes) {
            slice.more = true;
            break;
        }
        taken += bytes.len();
        slice.lines.push(line::decode(&bytes));
        slice.next += 1;
        place = Place { line: slice.next, byte: place.byte + bytes.len() as u64, ..place };
    }
    Ok((slice, place))
}

/// Reads the next line into `bytes`; false at the end.
pub(super) fn next_line(lines: &mut Lines, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    Ok(lines.read_until(b'\n', bytes)? > 0)
}

/// Passes over at most `most` lines without looking into them, as fast as memory is searched; says how many, and
/// their length.
pub(super) fn skip(lines: &mut Lines, most: u64) -> io::Result<(u64, u64)> {
    let (mut passed, mut bytes) = (0, 0);
    while passed < most {
        match lines.skip_until(b'\n')? {
            0 => break,
            length => bytes += length as u64,
        }
        passed += 1;
    }
    Ok((passed, bytes))
}
