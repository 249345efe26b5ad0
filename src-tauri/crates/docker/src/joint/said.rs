//! What a work tells to all who wait for it, in bounded memory, and how far each of them has heard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Messages kept for who joins late or is slow; beyond that the oldest are gone.
pub(super) const KEPT: usize = 16 * 1024;
/// The same in bytes.
pub(super) const KEPT_BYTES: usize = 8 << 20;
/// A waiter hears something at most this often,
const BETWEEN: Duration = Duration::from_millis(100);
/// unless there is so much of it, in bytes.
const MUCH: u64 = 256 << 10;

/// Something that work tells.
pub trait Message: Clone {
    /// Bytes that it takes in memory, roughly.
    fn weight(&self) -> usize;

    /// Whether the next one of its kind makes it worthless, as with counts: of these only the newest is kept.
    fn is_passing(&self) -> bool {
        false
    }
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
    /// Bytes of those that are kept.
    weight: usize,
    /// Bytes of all that there were.
    told: u64,
    /// The newest that is passing, and how many of these there were.
    passing: Option<M>,
    passed: u64,
}

/// How far a waiter has heard.
#[derive(Default)]
pub(super) struct Place {
    /// The number of the next message.
    next: u64,
    /// Bytes of all before it.
    bytes: u64,
    /// How many passing ones there were before it.
    passed: u64,
    /// When it last heard something.
    at: Option<Instant>,
}

/// Messages in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard<M> {
    /// How many before these are gone.
    pub missed: u64,
    /// These.
    pub messages: Vec<M>,
}

impl<M> Clone for Said<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Default for Said<M> {
    fn default() -> Self {
        let kept = VecDeque::new();
        let messages = Messages { first: 0, kept, weight: 0, told: 0, passing: None, passed: 0 };
        Self(Arc::new(Told { messages: Mutex::new(messages), count: watch::Sender::new(0) }))
    }
}

impl<M> Said<M> {
    /// Changes with everything that is told.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.0.count.subscribe()
    }
}

impl<M: Message> Said<M> {
    fn messages(&self) -> MutexGuard<'_, Messages<M>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all who wait.
    pub fn tell(&self, message: M) {
        let mut messages = self.messages();
        if message.is_passing() {
            messages.passing = Some(message);
            messages.passed += 1;
        } else {
            messages.keep(message);
        }
        self.0.count.send_modify(|count| *count += 1);
    }

    /// When a waiter at `place` is to hear what there is; none when there is nothing.
    pub(super) fn due(&self, place: &Place) -> Option<Instant> {
        let messages = self.messages();
        let is_behind = messages.end() > place.next || messages.passed > place.passed;
        let is_much = messages.told - place.bytes >= MUCH;
        is_behind.then(|| match place.at {
            Some(at) if !is_much => at + BETWEEN,
            _ => Instant::now(),
        })
    }

    /// What there is for a waiter at `place`, which is then at the end of it.
    pub(super) fn since(&self, place: &mut Place) -> Option<Heard<M>> {
        let messages = self.messages();
        let missed = messages.first.saturating_sub(place.next);
        let known = usize::try_from(place.next.saturating_sub(messages.first)).unwrap_or(usize::MAX);
        let passing = messages.passing.iter().filter(|_| messages.passed > place.passed);
        let new: Vec<M> = messages.kept.iter().skip(known).chain(passing).cloned().collect();
        let (next, bytes, passed) = (messages.end(), messages.told, messages.passed);
        *place = Place { next, bytes, passed, at: Some(Instant::now()) };
        (!new.is_empty()).then_some(Heard { missed, messages: new })
    }
}

impl<M: Message> Messages<M> {
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn keep(&mut self, message: M) {
        let weight = message.weight();
        self.weight += weight;
        self.told += weight as u64;
        self.kept.push_back(message);
        self.forget_too_much();
    }

    /// The newest is kept, however large it is.
    fn forget_too_much(&mut self) {
        while self.kept.len() > 1
            && (self.kept.len() > KEPT || self.weight > KEPT_BYTES)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.weight -= oldest.weight();
            self.first += 1;
        }
    }
}
