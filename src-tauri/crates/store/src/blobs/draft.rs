//! A blob on its way in: a temporary file, and the hash of what has been written to it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use deskgrid_fault::{Point, point};
use deskgrid_job::BlobHash;
use sha2::{Digest, Sha256};

use super::Stored;
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;
use crate::room::Purpose;

/// Bytes are hashed and written in pieces of this size: large enough that calls cost nothing beside the work.
pub(super) const PIECE: usize = 256 * 1024;

/// With this many bytes written, the disk is put to work while more of them come in.
const AHEAD: u64 = 32 * 1024 * 1024;

/// After this many bytes written, the room on the disk is looked at again: the look costs microseconds.
const BETWEEN_LOOKS: u64 = 4 * 1024 * 1024;

/// A file in `incoming/` that is removed again unless it moves to its place in the store.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: Arc<Folder>,
    path: PathBuf,
    moved: bool,
}

impl Temporary {
    pub(super) fn at(folder: &Arc<Folder>, path: PathBuf) -> Self {
        Self { folder: Arc::clone(folder), path, moved: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn move_to(&mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is tried again by the next batch, and by the next start.
        if !self.moved
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "could not remove a temporary file");
            self.folder.leave(std::mem::take(&mut self.path));
        }
    }
}

/// A complete blob that has no name in the store yet.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) stored: Stored,
    pub(super) temporary: Temporary,
}

/// A blob that is being written.
#[derive(Debug)]
pub(super) struct Draft {
    // Before the file's removal, for systems that do not remove open files.
    ahead: Option<Ahead>,
    file: File,
    temporary: Temporary,
    hasher: Sha256,
    size: u64,
    unsynced: u64,
    folder: Arc<Folder>,
    purpose: Purpose,
    /// Bytes written since the room on the disk was looked at.
    unchecked: u64,
}

impl Draft {
    /// # Errors
    /// [`StoreError::LowOnDisk`] among others when the disk has no room for what `purpose` is; later writes fail
    /// with it as soon as it has no more.
    pub(super) fn create(folder: &Arc<Folder>, purpose: Purpose) -> Result<Self, StoreError> {
        folder.check_room(0, purpose)?;
        let path = folder.fresh();
        let file = platform::private_file()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed("create", &path))?;
        let temporary = Temporary::at(folder, path);
        Ok(Self {
            ahead: None,
            file,
            temporary,
            hasher: Sha256::new(),
            size: 0,
            unsynced: 0,
            folder: Arc::clone(folder),
            purpose,
            unchecked: 0,
        })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.unchecked += piece.len() as u64;
        if self.unchecked >= BETWEEN_LOOKS {
            self.unchecked = 0;
            self.folder.check_room(piece.len() as u64, self.purpose)?;
        }
        self.hasher.update(piece);
        let path = self.temporary.path();
        self.file.write_all(piece).map_err(failed("write", path))?;
        self.size += piece.len() as u64;
        self.unsynced += piece.len() as u64;
        if self.unsynced >= AHEAD {
            self.unsynced = 0;
            self.write_ahead().map_err(failed("write", self.temporary.path()))?;
        }
        Ok(())
    }

    /// Copies all of `reader` by way of `buffer`.
    pub(super) fn copy(&mut self, mut reader: impl Read, buffer: &mut [u8]) -> Result<(), StoreError> {
        loop {
            let filled =
                fill(&mut reader, buffer).map_err(failed("read what goes to", self.temporary.path()))?;
            self.write(&buffer[..filled])?;
            if filled < buffer.len() {
                return Ok(());
            }
        }
    }

    fn write_ahead(&mut self) -> io::Result<()> {
        if self.ahead.is_none() {
            self.ahead = Some(Ahead::start(self.file.try_clone()?)?);
        }
        if let Some(ahead) = &self.ahead {
            ahead.nudge();
        }
        Ok(())
    }

    /// Sends what follows to another file, to see how errors of the disk are met.
    #[cfg(test)]
    pub(super) fn write_to(&mut self, file: File) {
        self.file = file;
    }

    /// Ends the writing. Where it cannot be done for many files at once later, the bytes go to the disk now.
    pub(super) fn finish(mut self) -> Result<Finished, StoreError> {
        // Systems tell each error of the disk once, here or at the final sync.
        if let Some(ahead) = self.ahead.take() {
            ahead.end().map_err(failed("write", self.temporary.path()))?;
        }
        let hash = BlobHash(self.hasher.finalize().into());
        freeze(&self.file, &self.temporary)?;
        Ok(Finished { stored: Stored { hash, size: self.size }, temporary: self.temporary })
    }
}

/// Hashes a file that has been moved to `temporary` as it is.
pub(super) fn hash_in_place(
    mut file: File,
    temporary: Temporary,
    buffer: &mut [u8],
) -> Result<Finished, StoreError> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    loop {
        let filled = fill(&mut file, buffer).map_err(failed("read", temporary.path()))?;
        hasher.update(&buffer[..filled]);
        size += filled as u64;
        if filled < buffer.len() {
            break;
        }
    }
    freeze(&file, &temporary)?;
    Ok(Finished { stored: Stored { hash: BlobHash(hasher.finalize().into()), size }, temporary })
}

fn freeze(file: &File, temporary: &Temporary) -> Result<(), StoreError> {
    let synced = if platform::SYNCS_LATE { Ok(()) } else { file.sync_all() };
    synced.and_then(|()| platform::freeze(file)).map_err(failed("write", temporary.path()))?;
    point(Point::BlobWritten);
    Ok(())
}

/// Reads until `buffer` is full or the reader ends.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A thread that brings a large file onto the disk while it is still being written, so that the wait at its end is
/// short: without it, 1 GiB takes a third longer. It ends when this is dropped.
#[derive(Debug)]
struct Ahead {
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Ahead {
    fn start(file: File) -> io::Result<Self> {
        let (nudges, orders) = sync_channel(1);
        let thread = std::thread::Builder::new().name("deskgrid-disk".into()).spawn(move || {
            while orders.recv().is_ok() {
                file.sync_data()?;
            }
            Ok(())
        })?;
        Ok(Self { nudges: Some(nudges), thread: Some(thread) })
    }

    /// Never waits: a nudge too many means that the disk is busy already.
    fn nudge(&self) {
        if let Some(nudges) = &self.nudges {
            let _ = nudges.try_send(());
        }
    }
}

impl Ahead {
    /// Waits for the disk, and says what it refused.
    fn end(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        drop(self.nudges.take());
        let ended = self.thread.take().map(JoinHandle::join);
        ended
            .unwrap_or(Ok(Ok(())))
            .unwrap_or_else(|_| Err(io::Error::other("the thread that writes ended abnormally")))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Nobody wants the file.
        let _ = self.join();
    }
}
