//! How many files a process of a container may have open, as far as the engine can set that.
//!
//! Only an engine that may raise limits can give more than it has itself, and where it may not it refuses to start
//! a container that asks for more. Nobody tells beforehand, so this is a guess; a wrong one is noticed at the start of
//! a container and not made twice.

use crate::engine::{EngineInfo, Rights};
use crate::surroundings::Platform;

/// Enough for any program, and few enough for those that close all possible files at their start, which takes long
/// where the limit is in the millions.
const MOST: u64 = 65_536;
/// The right to raise limits, as a bit of the kernel's masks.
const SYS_RESOURCE: u64 = 1 << 24;

/// The limit to ask `engine` for; none where its own shall count.
pub(crate) fn limit(engine: &EngineInfo) -> Option<u64> {
    match engine.rights {
        // It has the limits of the person whose engine it is and may not raise them.
        Rights::Rootless => None,
        Rights::Root | Rights::Mapped if Platform::here() == Platform::Linux && engine.address.is_local() => {
            Some(if may_be_raised() { MOST } else { own_limit().min(MOST) })
        }
        Rights::Root | Rights::Mapped => Some(MOST),
    }
}

/// Whether root of this computer may raise limits, which is not so inside some machines that are containers themselves.
fn may_be_raised() -> bool {
    let status = std::fs::read_to_string("/proc/1/status").unwrap_or_default();
    rights_within_reach(&status).is_none_or(|rights| rights & SYS_RESOURCE != 0)
}

fn rights_within_reach(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// What we may have open ourselves, as the engine on the same computer most likely may.
#[cfg(unix)]
fn own_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(MOST)
}

#[cfg(not(unix))]
fn own_limit() -> u64 {
    MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_of_a_machine_are_read_from_its_first_process() {
        let status = |mask: &str| format!("Name:\tinit\nCapEff:\t0\nCapBnd:\t{mask}\nSeccomp:\t0\n");
        let may = |mask: &str| rights_within_reach(&status(mask)).map(|rights| rights & SYS_RESOURCE != 0);
        assert_eq!(may("000001ffffffffff"), Some(true));
        assert_eq!(may("000001fffeffffff"), Some(false));
        assert_eq!(may("nonsense"), None);
        assert_eq!(rights_within_reach(""), None);
    }
}
