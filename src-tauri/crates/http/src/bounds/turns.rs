//! Uploads take turns: as many as the disk can use are read at the same time, the others wait in their connections.
//! However many come at once, they take bounded memory and threads. One whose client pauses lets others go first.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads that are read at the same time. Each may have a megabyte in memory and keep a thread at work.
const AT_ONCE: usize = 16;
/// A client that sends nothing for so long loses its turn until it goes on.
const PAUSE: Duration = Duration::from_millis(100);

/// The turns of all uploads; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Turns {
    /// A place in line for one upload.
    pub(crate) fn begin(&self) -> Turn {
        Turn { turns: self.0.clone(), held: None }
    }
}

/// One upload's turn. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// The next of `pieces`, once it is this upload's turn.
    pub(crate) async fn next<T>(&mut self, pieces: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
        self.take().await;
        if let Ok(piece) = tokio::time::timeout(PAUSE, pieces.next()).await {
            return piece;
        }
        self.held = None;
        let piece = pieces.next().await;
        self.take().await;
        piece
    }

    /// Waits for it.
    pub(crate) async fn take(&mut self) {
        if self.held.is_none() {
            // Nobody closes it.
            self.held = self.turns.clone().acquire_owned().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn uploads_that_go_on_keep_the_others_waiting_and_those_that_pause_do_not() {
        let turns = Turns::default();
        let mut all: Vec<_> = (0..AT_ONCE).map(|_| turns.begin()).collect();
        for turn in &mut all {
            assert_eq!(turn.next(&mut stream::iter([1])).await, Some(1));
        }
        let mut late = turns.begin();
        let mut piece = stream::iter([2]);
        assert!(
            tokio::time::timeout(PAUSE * 100, late.next(&mut piece)).await.is_err(),
            "all turns are taken"
        );
        let mut silent = stream::pending::<i32>();
        let pausing = all[0].next(&mut silent);
        tokio::select! {
            _ = pausing => unreachable!("nothing comes"),
            piece = late.next(&mut piece) => assert_eq!(piece, Some(2)),
        }
    }
}
