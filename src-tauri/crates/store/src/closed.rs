//! Tells when nobody has the data folder any more: tasks that were ended may be at work on the disk for a moment yet.

use std::sync::Arc;

use tokio::sync::watch;

/// Held by everything through which something may be written to the folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct InUse(Arc<watch::Sender<()>>);

impl InUse {
    pub(crate) fn closed(&self) -> Closed {
        Closed(self.0.subscribe())
    }
}

/// A store's end, as somebody sees it who does not have the store.
#[derive(Debug)]
pub struct Closed(watch::Receiver<()>);

impl Closed {
    /// Waits until nothing is written to the folder any more, and another may open it.
    pub async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_closed_when_the_last_part_of_it_is_gone() {
        let part = InUse::default();
        let (whole, closed) = (part.clone(), part.closed());
        drop(whole);
        let mut waiting = std::pin::pin!(closed.wait());
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut waiting).await.is_err());
        drop(part);
        waiting.await;
    }
}
