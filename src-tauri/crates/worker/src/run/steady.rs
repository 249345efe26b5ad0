//! A clock that nobody sets, that stands still while the computer sleeps, and that a later process reads on.
//!
//! Linux has one, since a clock of the kernel serves all processes until the computer starts anew. What other systems
//! have is not within reach of a safe and kept library, or goes on during sleep.

/// What the clock shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Milliseconds since some moment.
    pub(super) millis: u64,
    /// Readings of the same name count from the same moment.
    pub(super) boot: String,
}

/// Whether there is such a clock here.
pub(super) const OUTLIVES_US: bool = cfg!(target_os = "linux");

/// Looks at it. This blocks.
#[cfg(target_os = "linux")]
pub(super) fn read() -> Option<Reading> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let millis = u64::try_from(time.tv_sec).ok()? * 1000 + u64::try_from(time.tv_nsec).ok()? / 1_000_000;
    Some(Reading { millis, boot })
}

/// There is none.
#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> Option<Reading> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn readings_follow_one_another_from_the_same_moment() {
        let (first, second) = (read().unwrap(), read().unwrap());
        assert_eq!(first.boot, second.boot);
        assert!(!first.boot.is_empty() && first.millis <= second.millis);
    }
}
