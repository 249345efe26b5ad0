//! How a job's files travel between our disk and a container. Only the choice: the worker does the carrying.

use crate::engine::{EngineInfo, Rights};
use crate::surroundings::{Platform, effective_uid};

/// A way of carrying files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Bind mounts both ways: what the container writes comes back as files that we may read and delete.
    Bind,
    /// Bind mounts to read from; what the container writes would not be ours and comes back by archive.
    ArchiveWithBinds,
    /// Archives both ways: no path of ours can be counted on to exist for the engine.
    Archive,
}

/// All that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    platform: Platform,
    rights: Rights,
    is_local: bool,
    is_desktop: bool,
    we_are_root: bool,
}

impl Facts {
    /// The facts about `engine` and this process.
    pub(crate) fn of(engine: &EngineInfo) -> Self {
        Self {
            platform: Platform::here(),
            rights: engine.rights,
            is_local: engine.address.is_local(),
            is_desktop: engine.is_desktop,
            we_are_root: effective_uid() == Some(0),
        }
    }
}

pub(crate) fn choose(facts: Facts) -> Delivery {
    if !facts.is_local {
        return Delivery::Archive;
    }
    match (facts.platform, facts.rights, facts.we_are_root) {
        // Docker Desktop and OrbStack share the home folder into their machine and map every owner to the person.
        (Platform::MacOs | Platform::Windows, ..) if facts.is_desktop => Delivery::Bind,
        // Other products share some folders, or none, and with other owners. Engines that are not root, or whose
        // containers are not, may find our private folders closed.
        (Platform::MacOs | Platform::Windows, ..)
        | (Platform::Linux, Rights::Mapped, _)
        | (Platform::Linux, Rights::Rootless, true) => Delivery::Archive,
        (Platform::Linux, Rights::Root, true) if !facts.is_desktop => Delivery::Bind,
        (Platform::Linux, Rights::Root | Rights::Rootless, _) => Delivery::ArchiveWithBinds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_travel_by_bind_mount_only_where_they_come_back_as_ours() {
        use Delivery::{Archive, ArchiveWithBinds, Bind};
        use Platform::{Linux, MacOs, Windows};
        use Rights::{Mapped, Root, Rootless};
        // Platform, rights; local, desktop, we are root.
        for (platform, rights, [is_local, is_desktop, we_are_root], wanted) in [
            (Linux, Root, [true, false, true], Bind),
            (Linux, Root, [true, false, false], ArchiveWithBinds),
            (Linux, Rootless, [true, false, false], ArchiveWithBinds),
            (Linux, Rootless, [true, false, true], Archive),
            (Linux, Mapped, [true, false, true], Archive),
            (Linux, Mapped, [true, false, false], Archive),
            (Linux, Root, [true, true, false], ArchiveWithBinds),
            (Linux, Root, [true, true, true], ArchiveWithBinds),
            (Linux, Root, [false, false, true], Archive),
            (MacOs, Root, [true, true, false], Bind),
            (MacOs, Root, [true, false, false], Archive),
            (MacOs, Root, [false, true, false], Archive),
            (Windows, Root, [true, true, false], Bind),
            (Windows, Root, [true, false, false], Archive),
        ] {
            let facts = Facts { platform, rights, is_local, is_desktop, we_are_root };
            assert_eq!(choose(facts), wanted, "{facts:?}");
        }
    }
}
