//! The one thread that writes the records. Commits that wait at the same time share one transaction.
//!
//! It also replaces the database when it turns out to be damaged: nobody writes meanwhile, and nobody reads.

use std::borrow::Borrow;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::Change;
use super::book::Book;
use super::readers::{Edition, Readers};
use super::record_keeper::Compared;
use crate::error::{StoreError, failed};
use crate::folder::Folder;

/// Commits that may wait before their senders do, and the most that one transaction takes.
const WAITING: usize = 256;

type Done = oneshot::Sender<Result<(), StoreError>>;

enum Order {
    Commit(Commit),
    /// The database of this edition was found damaged.
    Mend(Edition, String, Done),
    /// Which records differ from their second copies? Asked here, where nothing changes meanwhile, of some jobs at a
    /// time: those that come after this one.
    Compare(String, oneshot::Sender<Result<Compared, StoreError>>),
}

struct Commit {
    changes: Vec<Change>,
    done: Done,
}

impl Borrow<[Change]> for Commit {
    fn borrow(&self) -> &[Change] {
        &self.changes
    }
}

/// Owns the thread: it ends when this is dropped, after the commits that wait.
#[derive(Debug)]
pub(super) struct Writer {
    /// Taken out on drop, which is what ends the thread.
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(book: Book, folder: Arc<Folder>, readers: Arc<Readers>) -> Result<Self, StoreError> {
        let (orders, waiting) = mpsc::channel(WAITING);
        let path = folder.database();
        let desk = Desk { book: Some(book), folder, readers };
        let thread = std::thread::Builder::new()
            .name("deskgrid-records".into())
            .spawn(move || desk.work(waiting))
            .map_err(failed("start the thread that writes", &path))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.order(|done| Order::Commit(Commit { changes, done })).await
    }

    /// Replaces the database of this edition, if it has not been replaced meanwhile.
    pub(super) async fn mend(&self, edition: Edition, why: String) -> Result<(), StoreError> {
        self.order(|done| Order::Mend(edition, why, done)).await
    }

    /// The jobs whose second copies do not say what the database says.
    pub(super) async fn compare(&self) -> Result<Vec<String>, StoreError> {
        let (mut differing, mut after) = (Vec::new(), String::new());
        loop {
            // Whoever writes has a turn between two of these.
            let compared = self.order(|done| Order::Compare(after, done)).await?;
            differing.extend(compared.differing);
            match compared.last {
                Some(last) => after = last,
                None => return Ok(differing),
            }
        }
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Result<T, StoreError> {
        let orders = self.orders.as_ref().ok_or(StoreError::Stopped)?;
        let (done, answer) = oneshot::channel();
        orders.send(order(done)).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that the database is closed before the folder's lock is let go of. This takes no
    /// longer than the transaction in hand: nobody is left to send another.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the job records ended abnormally");
        }
    }
}

/// What the thread works with.
struct Desk {
    /// None while the database is damaged and could not be replaced.
    book: Option<Book>,
    folder: Arc<Folder>,
    readers: Arc<Readers>,
}

impl Desk {
    fn work(mut self, mut waiting: mpsc::Receiver<Order>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Commit(commit) => group.push(commit),
                    Order::Mend(edition, why, done) => drop(done.send(self.mend(edition, why))),
                    Order::Compare(after, done) => {
                        let compared = self.book.as_ref().map(|book| book.compare(&self.folder, &after));
                        // A database that is being mended is told about elsewhere.
                        drop(done.send(compared.unwrap_or_else(|| Ok(Compared::default()))));
                    }
                }
                next = if group.len() < WAITING { waiting.try_recv().ok() } else { None };
            }
            self.settle(group);
        }
        if let Some(book) = self.book {
            book.close(&self.folder);
        }
    }

    /// Writes a group in one transaction; when that fails, each for itself, so that nobody fails for another's change.
    fn settle(&mut self, group: Vec<Commit>) {
        let together = group.len() > 1 && self.write(&group).is_ok();
        for commit in group {
            let outcome = if together { Ok(()) } else { self.write_and_mend(&commit) };
            // Whoever asked may have gone; the change is made all the same.
            let _ = commit.done.send(outcome);
        }
    }

    fn write<C: Borrow<[Change]>>(&mut self, group: &[C]) -> Result<(), StoreError> {
        let folder = &self.folder;
        match &mut self.book {
            Some(book) => book.write(folder, group).map_err(|error| folder.explain(error)),
            None => self.folder.check_records().and(Err(StoreError::Stopped)),
        }
    }

    fn write_and_mend(&mut self, commit: &Commit) -> Result<(), StoreError> {
        match self.write(std::slice::from_ref(commit)) {
            Err(StoreError::RecordsDamaged { why }) => {
                self.replace(why)?;
                self.write(std::slice::from_ref(commit))
            }
            // Nothing of it was written. A disk that could only be read for a moment may be writable again since, so that
            // nobody could tell any more what it was.
            Err(error) if error.may_be_read_only() => self.write(std::slice::from_ref(commit)),
            outcome => outcome,
        }
    }

    fn mend(&mut self, edition: Edition, why: String) -> Result<(), StoreError> {
        // Several readers may have met the same damage.
        let is_present = *self.readers.shut() == edition;
        if is_present { self.replace(why) } else { Ok(()) }
    }

    /// Puts a new database into the place of the damaged one. What stands in the way is tried again by the next
    /// change, and by the next start.
    fn replace(&mut self, why: String) -> Result<(), StoreError> {
        let mut edition = self.readers.shut();
        let book = match self.book.take() {
            Some(book) => {
                book.leave();
                Book::rebuild(&self.folder, why)
            }
            // An earlier attempt may have come halfway.
            None => Book::open(&self.folder, || Ok(())),
        };
        self.book = Some(book.map_err(stays_damaged).inspect_err(|error| self.folder.note_damage(error))?);
        *edition += 1;
        Ok(())
    }
}

/// Whatever stands in the way, the records are damaged.
fn stays_damaged(error: StoreError) -> StoreError {
    match error {
        StoreError::RecordsDamaged { .. } => error,
        other => StoreError::RecordsDamaged { why: other.to_string() },
    }
}
