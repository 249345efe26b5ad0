//! The beginning and the end of a log that is too long to be shown whole.

use std::io::{self, BufRead, Read};
use std::path::Path;

use deskgrid_job::LogLine;

use super::line;
use super::read::{self, Lines, next_line};
use crate::error::{StoreError, failed};

/// A log as far as it fits: whole in `head`, or its first and last lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The first lines, or all.
    pub head: Vec<LogLine>,
    /// What was left out after them, if anything was.
    pub cut: Option<Cut>,
    /// The last lines, if anything was left out.
    pub tail: Vec<LogLine>,
}

/// What was left out of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Number of lines.
    pub lines: u64,
    /// Their length in bytes as they are stored, a little more than that of their text.
    pub bytes: u64,
}

/// See [`super::Logs::excerpt`].
pub(super) fn excerpt(path: &Path, limit: u64) -> Result<Excerpt, StoreError> {
    let Some((mut lines, length)) = read::open(path)? else { return Ok(Excerpt::default()) };
    let taken = if length <= limit {
        rest(&mut lines).map(|head| Excerpt { head, ..Excerpt::default() })
    } else {
        ends(&mut lines, length, limit)
    };
    taken.map_err(failed("read the log", path))
}

/// Fills the first quarter of `limit` from the beginning and the rest from the end, where the errors are. What is
/// between is only counted.
fn ends(lines: &mut Lines, length: u64, limit: u64) -> io::Result<Excerpt> {
    let quarter = limit / 4;
    let (head, head_bytes, mut cut) = beginning(lines, quarter)?;
    let tail_begins = length - (limit - quarter);
    while head_bytes + cut.bytes < tail_begins {
        cut.bytes += lines.skip_until(b'\n')? as u64;
        cut.lines += 1;
    }
    Ok(Excerpt { head, cut: Some(cut), tail: rest(lines)? })
}

/// The lines that fit into `limit` bytes, their length, and the first that does not fit.
fn beginning(lines: &mut Lines, limit: u64) -> io::Result<(Vec<LogLine>, u64, Cut)> {
    let (mut head, mut length, mut bytes) = (Vec::new(), 0, Vec::new());
    loop {
        bytes.clear();
        let read = lines.by_ref().take(limit - length).read_until(b'\n', &mut bytes)? as u64;
        if bytes.last() != Some(&b'\n') {
            let bytes = read + lines.skip_until(b'\n')? as u64;
            return Ok((head, length, Cut { lines: 1, bytes }));
        }
        length += read;
        head.push(line::decode(&bytes));
    }
}

fn rest(lines: &mut Lines) -> io::Result<Vec<LogLine>> {
    let (mut rest, mut bytes) = (Vec::new(), Vec::new());
    while next_line(lines, &mut bytes)? {
        rest.push(line::decode(&bytes));
    }
    Ok(rest)
}
