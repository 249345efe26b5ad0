//! The one thread that writes the records. Commits that wait at the same time share one transaction.

use std::borrow::Borrow;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::thread::JoinHandle;

use deskgrid_fault::{Point, point};
use deskgrid_job::JobId;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::Change;
use super::record_keeper::{self, RecordKeeper};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::logs::LogKind;

/// Commits that may wait before their senders do, and the most that one transaction takes.
const WAITING: usize = 256;

impl Borrow<[Change]> for Commit {
    fn borrow(&self) -> &[Change] {
        &self.changes
    }
}

struct Commit {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Owns the thread: it ends when this is dropped, after the commits that wait.
#[derive(Debug)]
pub(super) struct Writer {
    /// Taken out on drop, which is what ends the thread.
    commits: Option<mpsc::Sender<Commit>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, folder: Arc<Folder>) -> Result<Self, StoreError> {
        let (commits, waiting) = mpsc::channel(WAITING);
        let path = folder.database();
        let thread = std::thread::Builder::new()
            .name("deskgrid-records".into())
            .spawn(move || work(connection, &folder, waiting))
            .map_err(failed("start the thread that writes", &path))?;
        Ok(Self { commits: Some(commits), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let commits = self.commits.as_ref().ok_or(StoreError::Stopped)?;
        let (done, answer) = oneshot::channel();
        commits.send(Commit { changes, done }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that the database is closed before the folder's lock is let go of. This takes no
    /// longer than the transaction in hand: nobody is left to send another.
    fn drop(&mut self) {
        drop(self.commits.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the job records ended abnormally");
        }
    }
}

fn work(mut connection: Connection, folder: &Folder, mut waiting: mpsc::Receiver<Commit>) {
    let keeper = RecordKeeper::start(&connection, folder);
    let keeper =
        keeper.inspect_err(|error| tracing::warn!(%error, "no second copies of records are written")).ok();
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < WAITING
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        settle(&mut connection, folder, keeper.as_ref(), group);
    }
}

/// Writes a group in one transaction; when that fails, each for itself, so that nobody fails for another's change.
fn settle(connection: &mut Connection, folder: &Folder, keeper: Option<&RecordKeeper>, group: Vec<Commit>) {
    let together = group.len() > 1 && write(connection, folder, &group).is_ok();
    let mut made = Vec::new();
    for Commit { changes, done } in group {
        let outcome =
            if together { Ok(()) } else { write(connection, folder, std::slice::from_ref(&changes)) };
        if let Err(error) = &outcome {
            folder.note_damage(error);
        } else {
            made.extend(changes);
        }
        // Whoever asked may have gone; the change is made all the same.
        let _ = done.send(outcome);
    }
    // Nobody waits for the second copies.
    if let Some(keeper) = keeper {
        keeper.follow(connection, folder, made.iter());
    }
}

fn write<C: Borrow<[Change]>>(
    connection: &mut Connection,
    folder: &Folder,
    group: &[C],
) -> Result<(), StoreError> {
    let changes = || group.iter().flat_map(Borrow::borrow);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in changes() {
        change.apply(&transaction)?;
    }
    point(Point::RecordsWritten);
    transaction.commit()?;
    point(Point::RecordsCommitted);
    for id in changes().filter_map(Change::erased) {
        remove_logs(folder, id);
        record_keeper::remove(folder, id);
    }
    Ok(())
}

/// A log that stays behind does no harm, since the next run of the job starts it anew; so this only warns.
fn remove_logs(folder: &Folder, id: &JobId) {
    for kind in [LogKind::Run, LogKind::Build] {
        let path = folder.log(id, kind);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "could not remove the log of an erased job");
            }
            _ => {}
        }
    }
    point(Point::LogsRemoved);
}
