//! Work that several wait for: begun by the first, driven by those who wait, and dropped with the last of them. All of
//! them hear all that it tells, in pieces that come a few times a second; who joins late hears at once what was told so
//! far.
//!
//! What is told waits in bounded memory. A waiter that does not listen does not drive the work either, so the work waits
//! for whoever listens fastest; the others miss the oldest of it when they are far behind, and are told how much.
//!
//! What the work is, is not known here: pulls and builds are such.

mod said;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::watch;
use tokio::time::Instant;

use said::Place;
pub use said::{Heard, Message, Said};

/// Works in progress by what makes two of them the same. `M` is what they tell, `O` what they come to.
pub struct Joint<K, M, O>(Mutex<HashMap<K, Running<M, O>>>)
where
    O: Clone;

/// Work that others may join. It is held weakly here: whoever waits owns it.
struct Running<M, O: Clone> {
    work: WeakShared<BoxFuture<'static, O>>,
    said: Said<M>,
}

/// One waiter's share in a work.
#[must_use = "the work ends when nobody waits for it"]
pub struct Share<M, O: Clone> {
    work: Shared<BoxFuture<'static, O>>,
    said: Said<M>,
    count: watch::Receiver<u64>,
    is_late: bool,
    heard: Place,
    outcome: Option<O>,
}

/// What a waiter hears next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<M, O> {
    /// What was told since.
    Heard(Heard<M>),
    /// The work is over, and all was heard.
    Over(O),
}

impl<K, M, O: Clone> Default for Joint<K, M, O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, M: Message, O: Clone> Joint<K, M, O> {
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
        Share::new(work, said, false)
    }
}

impl<M: Message, O: Clone> Running<M, O> {
    /// A share, unless the work is over: then a new one is due rather than an old outcome.
    fn share(&self) -> Option<Share<M, O>> {
        let work = self.work.upgrade().filter(|work| work.peek().is_none())?;
        Some(Share::new(work, self.said.clone(), true))
    }
}

impl<M: Message, O: Clone> Share<M, O> {
    fn new(work: Shared<BoxFuture<'static, O>>, said: Said<M>, is_late: bool) -> Self {
        let count = said.news();
        Self { work, said, count, is_late, heard: Place::default(), outcome: None }
    }

    /// Whether the work was begun by somebody else.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// Waits for what is told next, or for the work's end; not to be called after that. Nothing is lost when the future
    /// is dropped.
    pub async fn next(&mut self) -> Next<M, O> {
        while self.outcome.is_none() {
            let due = self.said.due(&self.heard);
            if due.is_some_and(|due| due <= Instant::now())
                && let Some(heard) = self.said.since(&mut self.heard)
            {
                return Next::Heard(heard);
            }
            tokio::select! {
                biased;
                outcome = &mut self.work => self.outcome = Some(outcome),
                // The sender lives in `self`.
                _ = self.count.changed() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
        match (self.said.since(&mut self.heard), self.outcome.clone()) {
            (None, Some(outcome)) => Next::Over(outcome),
            (heard, _) => Next::Heard(heard.unwrap_or(Heard { missed: 0, messages: Vec::new() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::said::{KEPT, KEPT_BYTES};
    use super::*;

    type Texts = Joint<&'static str, &'static str, u8>;

    impl Message for &'static str {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    /// A number, and how heavy it is; passing when that is nothing.
    impl Message for (usize, usize) {
        fn weight(&self) -> usize {
            self.1
        }

        fn is_passing(&self) -> bool {
            self.1 == 0
        }
    }

    fn never(_: Said<&'static str>) -> BoxFuture<'static, u8> {
        panic!("the work was not shared")
    }

    /// All that is heard to the end, piece by piece, and the end.
    async fn finish<M: Message, O: Clone>(mut share: Share<M, O>) -> (Vec<Heard<M>>, O) {
        let mut all = Vec::new();
        loop {
            match share.next().await {
                Next::Heard(heard) => all.push(heard),
                Next::Over(outcome) => return (all, outcome),
            }
        }
    }

    fn messages<M>(heard: Vec<Heard<M>>) -> Vec<M> {
        heard.into_iter().flat_map(|heard| heard.messages).collect()
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
        let late = async {
            let mut second = works.join("x", never);
            assert!(second.is_late());
            // At once, and not only with the next message.
            let told = Heard { missed: 0, messages: vec!["begun"] };
            assert_eq!(second.next().await, Next::Heard(told));
            go.send(()).unwrap();
            finish(second).await
        };
        let ((one, first), (two, second)) = tokio::join!(finish(first), late);
        assert_eq!((first, second), (7, 7));
        assert_eq!((messages(one), messages(two)), (vec!["begun", "half"], vec!["half"]));
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
        assert_eq!(finish(share).await.1, 1);
        assert_eq!(finish(works.join("x", |_| async { 2 }.boxed())).await.1, 2);
        drop(held);
    }

    /// What a waiter hears of `count` messages of `weight` bytes that are told without a pause.
    async fn heard_of(count: usize, weight: usize) -> Heard<(usize, usize)> {
        let works = Joint::<u8, (usize, usize), ()>::default();
        let tell =
            move |said: Said<_>| async move { (0..count).for_each(|n| said.tell((n, weight))) }.boxed();
        let (mut heard, ()) = finish(works.join(1, tell)).await;
        assert_eq!(heard.len(), 1);
        heard.remove(0)
    }

    #[tokio::test]
    async fn what_is_told_takes_bounded_memory_and_the_newest_of_it_is_heard() {
        for (count, weight, kept) in [(KEPT + 5, 1, KEPT), (100, KEPT_BYTES / 10, 10), (3, KEPT_BYTES + 1, 1)]
        {
            let heard = heard_of(count, weight).await;
            assert_eq!((heard.messages.len(), heard.missed), (kept, (count - kept) as u64));
            assert_eq!(heard.messages.last(), Some(&(count - 1, weight)));
        }
    }

    #[tokio::test]
    async fn of_what_is_passing_the_newest_is_heard_and_takes_nobodys_place() {
        let works = Joint::<u8, (usize, usize), ()>::default();
        let (go, gate) = oneshot::channel::<()>();
        let mut first = works.join(1, |said| {
            async move {
                said.tell((1, 10));
                (2..KEPT * 2).for_each(|number| said.tell((number, 0)));
                gate.await.unwrap();
                said.tell((0, 0));
            }
            .boxed()
        });
        let told = Heard { missed: 0, messages: vec![(1, 10), (KEPT * 2 - 1, 0)] };
        assert_eq!(first.next().await, Next::Heard(told));
        let mut late = works.join(1, |_| panic!("the work was not shared"));
        let told = Heard { missed: 0, messages: vec![(1, 10), (KEPT * 2 - 1, 0)] };
        assert_eq!(late.next().await, Next::Heard(told));
        go.send(()).unwrap();
        assert_eq!(messages(finish(late).await.0), [(0, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_hears_something_a_few_times_a_second_or_when_there_is_much() {
        let tell = |weight: usize| {
            move |said: Said<_>| {
                async move {
                    for number in 0..1000 {
                        said.tell((number, weight));
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                .boxed()
            }
        };
        let works = Joint::<u8, (usize, usize), ()>::default();
        let (heard, ()) = finish(works.join(1, tell(100))).await;
        assert!((9..=12).contains(&heard.len()), "{}", heard.len());
        assert_eq!(messages(heard).len(), 1000);
        let (heard, ()) = finish(works.join(1, tell(100 << 10))).await;
        assert!(heard.len() > 300 && heard.iter().all(|heard| heard.messages.len() < 5));
    }

    #[tokio::test]
    async fn work_waits_for_who_does_not_listen() {
        let works = Joint::<u8, (usize, usize), ()>::default();
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        let mut share = works.join(1, |said| {
            async move {
                loop {
                    said.tell((count.fetch_add(1, Ordering::SeqCst), 1000));
                    tokio::task::yield_now().await;
                }
            }
            .boxed()
        });
        drop(share.next().await);
        let before = told.load(Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(told.load(Ordering::SeqCst), before);
    }
}
