//! Pulls that several jobs wait for: one per image, driven by those who wait, and broken off when nobody does any
//! more. How an image is looked up and named is in `image`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::broadcast;

use crate::error::EngineError;
use crate::progress::PullProgress;
use crate::reference::Reference;

/// Messages kept for a waiter that is slow to take them; it misses the oldest beyond that.
const KEPT: usize = 512;

/// Image and platform: what makes two pulls the same.
pub(crate) type PullKey = (Reference, Option<String>);
type Work = BoxFuture<'static, Result<(), EngineError>>;

/// The pulls in progress.
#[derive(Default)]
pub(crate) struct Pulls(Mutex<HashMap<PullKey, Running>>);

/// A pull that others may join. It holds the work weakly: whoever waits owns it, and with the last one it is
/// dropped, which closes the connection and so ends the pull in the engine.
struct Running {
    work: WeakShared<Work>,
    messages: broadcast::Sender<PullProgress>,
}

/// One waiter's share in a pull.
pub(crate) struct Share {
    work: Shared<Work>,
    messages: broadcast::Receiver<PullProgress>,
}

impl Pulls {
    /// Joins the pull of `key` or starts it by `begin`, which is handed the sender for its messages.
    pub(crate) fn join(
        &self,
        key: PullKey,
        begin: impl FnOnce(broadcast::Sender<PullProgress>) -> Work,
    ) -> Share {
        // Nothing but the table is touched under the lock; a pull's work is polled outside of it.
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, pull| pull.work.upgrade().is_some());
        if let Some(share) = running.get(&key).and_then(Running::share) {
            return share;
        }
        let (messages, receiver) = broadcast::channel(KEPT);
        let work = begin(messages.clone()).shared();
        // A pull that is already over is in the table no longer than until the next one looks.
        if let Some(weak) = work.downgrade() {
            running.insert(key, Running { work: weak, messages });
        }
        Share { work, messages: receiver }
    }
}

impl Running {
    /// A share, unless the pull is over: then a new look at the image is due rather than an old result.
    fn share(&self) -> Option<Share> {
        let work = self.work.upgrade().filter(|work| work.peek().is_none())?;
        Some(Share { work, messages: self.messages.subscribe() })
    }
}

impl Share {
    /// Waits for the pull's end, handing on its messages.
    pub(crate) async fn finish(mut self, mut progress: impl FnMut(PullProgress)) -> Result<(), EngineError> {
        let result = loop {
            tokio::select! {
                biased;
                result = &mut self.work => break result,
                message = self.messages.recv() => match message {
                    Ok(message) => progress(message),
                    // Missed messages do not matter: each carries the sums so far.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break self.work.clone().await,
                },
            }
        };
        while let Ok(message) = self.messages.try_recv() {
            progress(message);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn key() -> PullKey {
        (Reference::parse("x").unwrap(), None)
    }

    fn message(line: &str) -> PullProgress {
        PullProgress { line: line.to_owned(), layer: None, done: 0, total: 0 }
    }

    fn never() -> Share {
        panic!("the pull was not shared")
    }

    #[tokio::test]
    async fn two_waiters_share_one_pull_and_both_hear_of_it() {
        let pulls = Pulls::default();
        let (go, gate) = oneshot::channel::<()>();
        let begun = |messages: broadcast::Sender<PullProgress>| {
            async move {
                gate.await.unwrap();
                let _ = messages.send(message("half"));
                Ok(())
            }
            .boxed()
        };
        let first = pulls.join(key(), begun);
        let second = pulls.join(key(), |_| never().work.boxed());
        go.send(()).unwrap();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let (a, b) = tokio::join!(
            first.finish(|message| one.push(message.line)),
            second.finish(|message| two.push(message.line))
        );
        assert_eq!((a, b), (Ok(()), Ok(())));
        assert_eq!((one, two), (vec!["half".to_owned()], vec!["half".to_owned()]));
    }

    #[tokio::test]
    async fn a_pull_ends_with_its_last_waiter() {
        struct Alive(Arc<AtomicUsize>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (pulls, dropped) = (Pulls::default(), Arc::new(AtomicUsize::new(0)));
        let alive = Alive(dropped.clone());
        let first = pulls.join(key(), |_| {
            async move {
                let _alive = alive;
                std::future::pending().await
            }
            .boxed()
        });
        let second = pulls.join(key(), |_| never().work.boxed());
        drop(first);
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(second);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_pull_that_is_over_is_not_joined() {
        let pulls = Pulls::default();
        let failed = EngineError::NoSuchFile { detail: String::new() };
        let outcome = failed.clone();
        let share = pulls.join(key(), |_| async { Err(outcome) }.boxed());
        let held = share.work.clone();
        assert_eq!(share.finish(|_| {}).await, Err(failed));
        assert_eq!(pulls.join(key(), |_| async { Ok(()) }.boxed()).finish(|_| {}).await, Ok(()));
        drop(held);
    }
}
