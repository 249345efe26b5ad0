//! What goes when the cache is larger than it may be.

use std::time::Duration;

use deskgrid_job::Time;

use super::{Item, Kind};

/// What was used so lately stays even beyond the limit: its job ended just now, or is about to be submitted.
const FRESH: Duration = Duration::from_secs(600);

/// The least recently used of `items` without which the rest fits into `limit`: results, downloads for builds, and
/// stored files that no job refers to. Never what is pinned, needed or fresh; where that is too much already, all else goes.
pub fn plan(items: &[Item], limit: u64, now: Time) -> Vec<Item> {
    let mut total: u64 = items.iter().filter(|item| item.kind.is_on_disk()).map(|item| item.bytes).sum();
    let mut may_go: Vec<&Item> = items.iter().filter(|item| may_go(item, now)).collect();
    may_go.sort_by_key(|item| item.used_at);
    let mut going = Vec::new();
    for item in may_go {
        if total <= limit {
            break;
        }
        total = total.saturating_sub(item.bytes + item.log_bytes);
        going.push(item.clone());
    }
    going
}

/// The least recently used of `items` with which `bytes` of the disk become free. Nothing where all that may go is not
/// enough: it would be lost in vain.
pub(super) fn plan_for_room(items: &[Item], bytes: u64, now: Time) -> Vec<Item> {
    if bytes == 0 {
        return Vec::new();
    }
    let total: u64 = items.iter().filter(|item| item.kind.is_on_disk()).map(|item| item.bytes).sum();
    let Some(limit) = total.checked_sub(bytes) else { return Vec::new() };
    let going = plan(items, limit, now);
    let freed: u64 = going.iter().map(|item| item.bytes + item.log_bytes).sum();
    if freed >= bytes { going } else { Vec::new() }
}

fn may_go(item: &Item, now: Time) -> bool {
    matches!(item.kind, Kind::Result | Kind::Blob | Kind::Context)
        && item.obstacle.is_none()
        && !item.is_pinned
        && !item.used_at.is_some_and(|used_at| is_fresh(used_at, now))
}

/// What was used in the future was so by a clock that was ahead. It counts as the newest, but not as fresh for years.
fn is_fresh(used_at: Time, now: Time) -> bool {
    now.since(used_at) <= FRESH && used_at.since(now) <= FRESH
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(10_000_000);

    fn item(id: &str, bytes: u64, used_at: u64) -> Item {
        Item { bytes, used_at: Some(Time(used_at)), ..Item::new(Kind::Result, id, id) }
    }

    fn going(items: &[Item], limit: u64) -> Vec<String> {
        plan(items, limit, NOW).into_iter().map(|item| item.id).collect()
    }

    #[test]
    fn nothing_goes_while_all_fits() {
        assert!(going(&[item("a", 50, 1), item("b", 50, 2)], 100).is_empty());
    }

    #[test]
    fn the_least_recently_used_go_first_and_no_more_than_needed() {
        let items = [item("new", 40, 300), item("old", 40, 100), item("middle", 40, 200)];
        assert_eq!(going(&items, 90), ["old"]);
        assert_eq!(going(&items, 79), ["old", "middle"]);
    }

    #[test]
    fn what_is_pinned_needed_or_fresh_stays() {
        let pinned = Item { is_pinned: true, ..item("pinned", 90, 1) };
        let needed = Item { obstacle: Some("a job needs it"), ..item("needed", 90, 1) };
        let fresh = item("fresh", 90, NOW.0 - 1000);
        assert_eq!(going(&[pinned, needed, fresh, item("rest", 1, 5)], 0), ["rest"]);
    }

    #[test]
    fn what_a_clock_that_was_ahead_left_goes_last_and_does_not_stay_for_years() {
        let ahead = item("ahead", 40, NOW.0 * 10);
        let items = [ahead, item("old", 40, 100), item("new", 40, 200)];
        assert_eq!(going(&items, 40), ["old", "new"]);
        assert_eq!(going(&items, 39), ["old", "new", "ahead"]);
    }

    #[test]
    fn for_want_of_room_the_least_used_goes_when_that_is_enough_and_nothing_when_it_is_not() {
        let ids = |bytes| {
            let items = [
                item("new", 40, 300),
                item("old", 40, 100),
                Item { is_pinned: true, ..item("pinned", 90, 1) },
            ];
            plan_for_room(&items, bytes, NOW).into_iter().map(|item| item.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(40), ["old"]);
        assert_eq!(ids(80), ["old", "new"]);
        assert!(ids(81).is_empty() && ids(0).is_empty() && ids(1000).is_empty());
    }

    #[test]
    fn a_result_takes_its_log_along_and_logs_alone_do_not_go() {
        let log = Item { kind: Kind::Log, ..item("a", 60, 1) };
        let result = Item { log_bytes: 60, ..item("a", 40, 1) };
        assert_eq!(going(&[log, result, item("b", 50, 2)], 60), ["a"]);
    }

    #[test]
    fn what_the_engine_keeps_counts_for_nothing_here() {
        let image = Item { kind: Kind::Image, ..item("image", 1000, 1) };
        assert!(going(&[image, item("a", 10, 1)], 10).is_empty());
    }
}
