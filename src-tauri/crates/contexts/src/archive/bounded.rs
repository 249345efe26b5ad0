//! A reader that bounds what an archive may have decompressed to, and what may lie between two files in it.
//!
//! The reader of tars keeps names and extensions in memory, of whatever length the archive claims. They go through here
//! before it sees them, so the claim costs nothing.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::interest::Interest;
use crate::{ContextError, Limits};

/// Headers, names and extensions of one file, in bytes. Paths have at most a few thousand.
const MOST_BETWEEN_FILES: u64 = 1 << 20;

/// What a stream may still have, while someone else reads it.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Bytes that may still come before the next file; none while a file's own bytes come.
    between: Rc<Cell<Option<u64>>>,
    /// Bytes that may still come in all.
    all: Rc<Cell<u64>>,
    most: u64,
    /// Whether someone read on after the last byte.
    is_over: Rc<Cell<bool>>,
}

/// A stream that keeps to its [`Bounds`].
pub(super) struct Bounded<R> {
    stream: R,
    bounds: Bounds,
    interest: Interest,
}

impl Bounds {
    pub(super) fn of<R: Read>(stream: R, limits: &Limits, interest: &Interest) -> (Self, Bounded<R>) {
        let bounds = Self {
            between: Rc::new(Cell::new(Some(MOST_BETWEEN_FILES))),
            all: Rc::new(Cell::new(limits.unpacked)),
            most: limits.unpacked,
            is_over: Rc::default(),
        };
        (bounds.clone(), Bounded { stream, bounds, interest: interest.clone() })
    }

    /// The bytes of a file come next: `size` of them, it is said.
    pub(super) fn file_begins(&self, size: u64) -> Result<(), ContextError> {
        self.between.set(None);
        if size > self.all.get() { Err(too_large(self.most)) } else { Ok(()) }
    }

    /// Something else than the bytes of a file comes next.
    pub(super) fn file_ends(&self) {
        self.between.set(Some(MOST_BETWEEN_FILES));
    }

    /// Whether someone read on after the last byte.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Bytes that a few in the archive stand for count as much as others.
    pub(super) fn made_up(&self, count: u64) -> Result<(), ContextError> {
        let left = self.all.get().checked_sub(count).ok_or_else(|| too_large(self.most))?;
        self.all.set(left);
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interest.check()?;
        let Bounds { between, all, most, is_over } = &self.bounds;
        if between.get() == Some(0) {
            return Err(io::Error::other("a name or header in it is longer than a megabyte"));
        }
        let count = self.stream.read(buffer)?;
        is_over.set(count == 0 && !buffer.is_empty());
        let left = all.get().checked_sub(count as u64).ok_or_else(|| too_large(*most))?;
        all.set(left);
        between.set(between.get().map(|left| left.saturating_sub(count as u64)));
        Ok(count)
    }
}

/// What is said when there is more than the limit allows.
pub(crate) fn too_large(most: u64) -> ContextError {
    ContextError::too_large("unpacked it has too many bytes", most, "bytes")
}
