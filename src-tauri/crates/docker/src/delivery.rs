//! How a job's files travel between our disk and a container. Only the choice: the worker does the carrying.

use crate::engine::EngineInfo;
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
    is_local: bool,
    is_desktop: bool,
    is_rootless: bool,
    has_user_namespaces: bool,
    we_are_root: bool,
}

impl Facts {
    /// The facts about `engine` and this process.
    pub(crate) fn of(engine: &EngineInfo) -> Self {
        Self {
            platform: Platform::here(),
            is_local: engine.is_local,
            is_desktop: engine.is_desktop,
            is_rootless: engine.rootless,
            has_user_namespaces: engine.has_user_namespaces,
            we_are_root: effective_uid() == Some(0),
        }
    }
}

pub(crate) fn choose(facts: Facts) -> Delivery {
    if !facts.is_local {
        return Delivery::Archive;
    }
    match facts.platform {
        // Docker Desktop and OrbStack share the home folder into their machine and map every owner to the person.
        // Other products share some folders, or none, and with other owners.
        Platform::MacOs | Platform::Windows if facts.is_desktop => Delivery::Bind,
        Platform::MacOs | Platform::Windows => Delivery::Archive,
        // Root of a container is then an ordinary user outside, who cannot reach into our private folders.
        Platform::Linux if facts.has_user_namespaces => Delivery::Archive,
        // The engine belongs to somebody else than us, so our files may be closed to it.
        Platform::Linux if facts.is_rootless && facts.we_are_root => Delivery::Archive,
        Platform::Linux if facts.we_are_root && !facts.is_desktop => Delivery::Bind,
        Platform::Linux => Delivery::ArchiveWithBinds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_travel_by_bind_mount_only_where_they_come_back_as_ours() {
        use Delivery::{Archive, ArchiveWithBinds, Bind};
        use Platform::{Linux, MacOs, Windows};
        // Platform, local, desktop, rootless, user namespaces, we are root.
        for (platform, facts, wanted) in [
            (Linux, [true, false, false, false, true], Bind),
            (Linux, [true, false, false, false, false], ArchiveWithBinds),
            (Linux, [true, false, true, false, false], ArchiveWithBinds),
            (Linux, [true, false, true, false, true], Archive),
            (Linux, [true, false, false, true, true], Archive),
            (Linux, [true, true, false, false, false], ArchiveWithBinds),
            (Linux, [true, true, false, false, true], ArchiveWithBinds),
            (Linux, [false, false, false, false, true], Archive),
            (MacOs, [true, true, false, false, false], Bind),
            (MacOs, [true, false, false, false, false], Archive),
            (MacOs, [false, true, false, false, false], Archive),
            (Windows, [true, true, false, false, false], Bind),
            (Windows, [true, false, false, false, false], Archive),
        ] {
            let [is_local, is_desktop, is_rootless, has_user_namespaces, we_are_root] = facts;
            let all = Facts { platform, is_local, is_desktop, is_rootless, has_user_namespaces, we_are_root };
            assert_eq!(choose(all), wanted, "{all:?}");
        }
    }
}
