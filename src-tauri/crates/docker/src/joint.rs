//! Work that several wait for: begun by the first, driven by those who wait, and dropped with the last of them. All of
//! them hear all that it tells, also those who join late.
//!
//! What the work is, is not known here: pulls and builds are such.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::watch;

/// Messages kept for who joins late or is slow; beyond that the oldest are gone.
const KEPT: usize = 16 * 1024;

/// Works in progress by what makes two of them the same. `M` is what they tell, `O` what they come to.
pub struct Joint<K, M, O>(Mutex<HashMap<K, Running<M, O>>>)
where
    O: Clone;

/// Work that others may join. It is held weakly here: whoever waits owns it.
struct Running<M, O: Clone> {
    work: WeakShared<BoxFuture<'static, O>>,
    said: Said<M>,
}

/// What the work tells to all who wait.
pub struct Said<M>(Arc<Told<M>>);

struct Told<M> {
    messages: Mutex<Messages<M>>,
    /// How many there were so far.
    count: watch::Sender<u64>,
}

struct Messages<M> {
    /// The number of the first that is kept.
    first: u64,
    kept: VecDeque<M>,
}

/// One waiter's share in a work.
#[must_use = "the work ends when nobody waits for it"]
pub struct Share<M, O: Clone> {
    work: Shared<BoxFuture<'static, O>>,
    said: Said<M>,
}

impl<K, M, O: Clone> Default for Joint<K, M, O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, M: Clone, O: Clone> Joint<K, M, O> {
    /// Joins the work of `key`, or starts it by `begin`, which is handed what to tell by.
    pub fn join(&self, key: K, begin: impl FnOnce(Said<M>) -> BoxFuture<'static, O>) -> Share<M, O> {
        use futures_util::FutureExt as _;
        // Nothing but the table is touched under the lock; the work is polled outside of it.
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, running| running.work.upgrade().is_some());
        if let Some(share) = running.get(&key).and_then(Running::share) {
            return share;
        }
        let said = Said::default();
        let work = begin(said.clone()).shared();
        // Work that is already over is in the table no longer than until the next one looks.
        if let Some(weak) = work.downgrade() {
            running.insert(key, Running { work: weak, said: said.clone() });
        }
        Share { work, said }
    }
}

impl<M, O: Clone> Running<M, O> {
    /// A share, unless the work is over: then a new one is due rather than an old outcome.
    fn share(&self) -> Option<Share<M, O>> {
        let work = self.work.upgrade().filter(|work| work.peek().is_none())?;
        Some(Share { work, said: self.said.clone() })
    }
}

impl<M> Clone for Said<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Default for Said<M> {
    fn default() -> Self {
        let messages = Mutex::new(Messages { first: 0, kept: VecDeque::new() });
        Self(Arc::new(Told { messages, count: watch::Sender::new(0) }))
    }
}

impl<M> Said<M> {
    fn messages(&self) -> MutexGuard<'_, Messages<M>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all who wait.
    pub fn tell(&self, message: M) {
        let mut messages = self.messages();
        if messages.kept.len() == KEPT {
            messages.kept.pop_front();
            messages.first += 1;
        }
        messages.kept.push_back(message);
        self.0.count.send_modify(|count| *count += 1);
    }
}

impl<M: Clone> Said<M> {
    /// The messages from number `next` on, as far as they are kept, which then counts them.
    fn since(&self, next: &mut u64) -> Vec<M> {
        let messages = self.messages();
        let known = usize::try_from(next.saturating_sub(messages.first)).unwrap_or(usize::MAX);
        let new: Vec<M> = messages.kept.iter().skip(known).cloned().collect();
        *next = messages.first + messages.kept.len() as u64;
        new
    }
}

impl<M: Clone, O: Clone> Share<M, O> {
    /// Waits for the work's end, handing on what it tells.
    pub async fn finish(mut self, mut heard: impl FnMut(M)) -> O {
        let (mut next, mut count) = (0, self.said.0.count.subscribe());
        let outcome = loop {
            self.said.since(&mut next).into_iter().for_each(&mut heard);
            tokio::select! {
                biased;
                outcome = &mut self.work => break outcome,
                // The sender lives in `self`.
                _ = count.changed() => {}
            }
        };
        self.said.since(&mut next).into_iter().for_each(heard);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    type Texts = Joint<&'static str, &'static str, u8>;

    fn never(_: Said<&'static str>) -> BoxFuture<'static, u8> {
        panic!("the work was not shared")
    }

    #[tokio::test]
    async fn two_waiters_share_one_work_and_both_hear_all_of_it() {
        let works = Texts::default();
        let (go, gate) = oneshot::channel::<()>();
        let begun = |said: Said<_>| {
            async move {
                said.tell("begun");
                gate.await.unwrap();
                said.tell("half");
                7
            }
            .boxed()
        };
        let first = works.join("x", begun);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let late = async {
            let second = works.join("x", never);
            go.send(()).unwrap();
            second.finish(|message| two.push(message)).await
        };
        let outcomes = tokio::join!(first.finish(|message| one.push(message)), late);
        assert_eq!(outcomes, (7, 7));
        assert_eq!((one, two), (vec!["begun", "half"], vec!["begun", "half"]));
    }

    #[tokio::test]
    async fn work_ends_with_its_last_waiter() {
        struct Alive(Arc<AtomicUsize>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (works, dropped) = (Texts::default(), Arc::new(AtomicUsize::new(0)));
        let alive = Alive(dropped.clone());
        let first = works.join("x", |_| {
            async move {
                let _alive = alive;
                std::future::pending().await
            }
            .boxed()
        });
        let second = works.join("x", never);
        drop(first);
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(second);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_is_over_is_not_joined() {
        let works = Texts::default();
        let share = works.join("x", |_| async { 1 }.boxed());
        let held = share.work.clone();
        assert_eq!(share.finish(drop).await, 1);
        assert_eq!(works.join("x", |_| async { 2 }.boxed()).finish(drop).await, 2);
        drop(held);
    }

    #[tokio::test]
    async fn what_is_told_takes_bounded_memory() {
        let works = Joint::<u8, usize, ()>::default();
        let share = works.join(1, |said| async move { (0..KEPT + 5).for_each(|n| said.tell(n)) }.boxed());
        let mut heard = Vec::new();
        share.finish(|message| heard.push(message)).await;
        assert_eq!((heard.len(), heard[0], heard.last()), (KEPT, 5, Some(&(KEPT + 4))));
    }
}
