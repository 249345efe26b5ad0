//! Ends the process at the point that `DESKGRID_FAULT` names. In the builds of tests only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Point;

/// Where and when to die.
struct Order {
    point: String,
    /// How often the point is still to be passed.
    left: AtomicU32,
}

pub(crate) fn pass(point: Point) {
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();
    let order = ORDER.get_or_init(|| read(&std::env::var("DESKGRID_FAULT").ok()?));
    if let Some(order) = order
        && order.point == point.name()
        && order.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        die();
    }
}

/// Reads `name` or `name:count`.
fn read(text: &str) -> Option<Order> {
    let (point, count) = text.split_once(':').unwrap_or((text, "1"));
    Some(Order { point: point.to_owned(), left: AtomicU32::new(count.parse().ok()?) })
}

/// As `kill -9` does: nothing is flushed, no destructor runs.
fn die() -> ! {
    #[cfg(unix)]
    loop {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_a_point_and_how_often_it_is_passed() {
        let order = |text| read(text).map(|order| (order.point, order.left.into_inner()));
        assert_eq!(order("blob-moved"), Some(("blob-moved".to_owned(), 1)));
        assert_eq!(order("blob-moved:3"), Some(("blob-moved".to_owned(), 3)));
        assert_eq!(order("blob-moved:x"), None);
    }
}
