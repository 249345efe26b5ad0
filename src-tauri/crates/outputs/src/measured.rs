//! A reader that bounds what an archive may hold between two files, and remembers whether it came to its end.
//!
//! The reader of archives keeps names and extensions in memory, of whatever length the archive claims. They go through
//! here before it sees them, so the claim costs nothing.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Headers, names and extensions of one file, in bytes. Paths have at most a few thousand.
const MOST_BETWEEN_FILES: u64 = 1 << 20;

/// What is known of a stream while someone else reads it.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    /// Bytes that may still come before the next file; none while a file's own bytes come, whose number is free.
    left: Rc<Cell<Option<u64>>>,
    is_over: Rc<Cell<bool>>,
}

/// A stream that keeps to its [`Measure`].
#[derive(Debug)]
pub(crate) struct Measured<R> {
    stream: R,
    measure: Measure,
}

impl Measure {
    /// Measures `stream`.
    pub(crate) fn of<R: Read>(stream: R) -> (Self, Measured<R>) {
        let measure =
            Self { left: Rc::new(Cell::new(Some(MOST_BETWEEN_FILES))), is_over: Rc::new(Cell::new(false)) };
        (measure.clone(), Measured { stream, measure })
    }

    /// The bytes of a file come next.
    pub(crate) fn file_begins(&self) {
        self.left.set(None);
    }

    /// Something else than the bytes of a file comes next.
    pub(crate) fn file_ends(&self) {
        self.left.set(Some(MOST_BETWEEN_FILES));
    }

    /// Whether someone read on after the last byte.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.measure.left.get();
        if left == Some(0) {
            return Err(io::Error::other("a name or header in it is longer than a megabyte"));
        }
        let most =
            left.map_or(buffer.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()));
        let count = self.stream.read(&mut buffer[..most])?;
        self.measure.is_over.set(count == 0 && most > 0);
        self.measure.left.set(left.map(|left| left.saturating_sub(count as u64)));
        Ok(count)
    }
}
