//! Requests of pages that nobody has decided about: a short list for a person to look at, which no page can fill.

use std::time::Duration;

use deskgrid_job::Time;

use crate::Origin;

/// The most origins that wait for a decision; the one that was silent longest makes room for a new one.
pub const MOST_PENDING: usize = 20;
/// New origins in one [`WINDOW`] at most, so that a page with many sub-domains cannot push all others out at once.
const MOST_NEW: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// A page's origin that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whose page.
    pub origin: Origin,
    /// When it asked first.
    pub first: Time,
    /// When it asked last.
    pub last: Time,
    /// How often it asked.
    pub count: u64,
}

/// The list.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingList {
    waiting: Vec<Pending>,
    window: Time,
    new_in_window: u32,
}

impl PendingList {
    /// Notes that `origin` asked; true when it was not on the list and is now.
    pub(crate) fn ask(&mut self, origin: &Origin, now: Time) -> bool {
        if let Some(known) = self.waiting.iter_mut().find(|known| known.origin == *origin) {
            known.last = now;
            known.count = known.count.saturating_add(1);
            return false;
        }
        if !self.has_room_in_window(now) {
            return false;
        }
        if self.waiting.len() >= MOST_PENDING {
            self.drop_most_silent();
        }
        self.waiting.push(Pending { origin: origin.clone(), first: now, last: now, count: 1 });
        true
    }

    fn has_room_in_window(&mut self, now: Time) -> bool {
        // A clock that was set back opens a new window too, or nobody new could ask for a long time.
        if now.since(self.window) >= WINDOW || now < self.window {
            (self.window, self.new_in_window) = (now, 0);
        }
        let has_room = self.new_in_window < MOST_NEW;
        self.new_in_window += u32::from(has_room);
        has_room
    }

    fn drop_most_silent(&mut self) {
        let silent = self.waiting.iter().enumerate().min_by_key(|(_, pending)| pending.last);
        if let Some((place, _)) = silent {
            self.waiting.remove(place);
        }
    }

    /// Takes an origin off; true when it was on.
    pub(crate) fn remove(&mut self, origin: &Origin) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|pending| pending.origin != *origin);
        self.waiting.len() < before
    }

    /// In the order in which they asked first.
    pub(crate) fn list(&self) -> &[Pending] {
        &self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: usize) -> Origin {
        Origin::of_browser(&format!("https://{number}.example")).unwrap()
    }

    #[test]
    fn an_origin_is_listed_once_however_often_it_asks() {
        let mut list = PendingList::default();
        assert!(list.ask(&origin(1), Time(5)));
        assert!(!list.ask(&origin(1), Time(9)));
        let wanted = Pending { origin: origin(1), first: Time(5), last: Time(9), count: 2 };
        assert_eq!(list.list(), [wanted]);
    }

    #[test]
    fn only_so_many_new_origins_are_taken_in_a_minute() {
        let mut list = PendingList::default();
        let taken = (0..50).filter(|n| list.ask(&origin(*n), Time(1_000_000))).count();
        assert_eq!(taken, 10);
        assert!(!list.ask(&origin(50), Time(1_059_999)));
        assert!(list.ask(&origin(50), Time(1_060_000)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_new_origins() {
        let mut list = PendingList::default();
        let taken = (0..50).filter(|n| list.ask(&origin(*n), Time(9_000_000))).count();
        assert_eq!(taken, 10);
        assert!(list.ask(&origin(60), Time(1)));
    }

    #[test]
    fn the_list_is_short_and_the_most_silent_makes_room() {
        let mut list = PendingList::default();
        for n in 0..MOST_PENDING {
            assert!(list.ask(&origin(n), Time(1 + n as u64 * 60_000)));
        }
        let later = Time(MOST_PENDING as u64 * 60_000);
        list.ask(&origin(0), later);
        assert!(list.ask(&origin(99), later.plus(WINDOW)));
        assert_eq!(list.list().len(), MOST_PENDING);
        let has = |n| list.list().iter().any(|pending| pending.origin == origin(n));
        assert!(has(0) && has(99) && !has(1));
    }
}
