//! Reading a log from any line on, also while it is being written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Take};
use std::path::Path;

use super::{LogSlice, line};
use crate::error::{StoreError, failed};

/// Few calls for large logs, and little memory.
const BUFFER: usize = 64 * 1024;

/// The most bytes of the file that one slice holds, unless a single line is longer.
const LARGEST_SLICE: usize = 8 * 1024 * 1024;

/// The complete lines of a log as they were when it was opened.
pub(super) type Lines = BufReader<Take<File>>;

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

/// See [`super::Logs::read`].
pub(super) fn slice(path: &Path, since: u64, most: usize) -> Result<LogSlice, StoreError> {
    let Some((mut lines, _)) = open(path)? else { return Ok(LogSlice::default()) };
    take_slice(&mut lines, since, most).map_err(failed("read the log", path))
}

fn take_slice(lines: &mut Lines, since: u64, most: usize) -> io::Result<LogSlice> {
    let mut slice = LogSlice { next: skip(lines, since)?, ..LogSlice::default() };
    let (mut bytes, mut taken) = (Vec::new(), 0);
    while next_line(lines, &mut bytes)? {
        if slice.lines.len() >= most || (taken > 0 && taken + bytes.len() > LARGEST_SLICE) {
            slice.more = true;
            break;
        }
        taken += bytes.len();
        slice.lines.push(line::decode(&bytes));
        slice.next += 1;
    }
    Ok(slice)
}

/// Reads the next line into `bytes`; false at the end.
pub(super) fn next_line(lines: &mut Lines, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    Ok(lines.read_until(b'\n', bytes)? > 0)
}

/// Passes over at most `most` lines without looking into them, as fast as memory is searched; says how many.
pub(super) fn skip(lines: &mut Lines, most: u64) -> io::Result<u64> {
    let mut passed = 0;
    while passed < most && lines.skip_until(b'\n')? > 0 {
        passed += 1;
    }
    Ok(passed)
}
