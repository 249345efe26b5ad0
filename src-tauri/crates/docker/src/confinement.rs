//! What a container may do to the computer that it runs on: its rights, and how much of what all share it can use up.
//!
//! Nothing here comes from a definition. What a container can see of our files, or reach, is not decided here.

use bollard::models::{HostConfig, HostConfigLogConfig, ResourcesUlimits};

use crate::engine::EngineInfo;

/// Rights that Docker leaves to every container and that computing does not need: raw packets, with which it could
/// pose as its neighbour; devices made by hand; the kernel's audit log; ports below 1024, which engines since 20.10
/// open to everyone inside a container anyway.
///
/// They are dropped by name rather than all dropped and some added again: so a container never gets more than the
/// owner of the engine left it, and adds nothing, whatever kind of engine it is.
const DROPPED: [&str; 4] = ["NET_RAW", "MKNOD", "AUDIT_WRITE", "NET_BIND_SERVICE"];
/// Processes and threads. A program that forks without end stops here and not at the limit of the whole computer.
const MOST_PROCESSES: i64 = 4096;
/// The engine's own record of the output, from which a run is taken over after a restart of ours.
const LONGEST_LOG: &str = "1g";

/// How closely a container is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confinement {
    /// As ordinary images survive it.
    #[default]
    Close,
    /// As the engine confines containers by itself, for images that need one of the rights that we take away.
    Usual,
}

/// Confines the container of `host`. Limits that `engine` cannot keep are left out.
pub(crate) fn confine(host: HostConfig, confinement: Confinement, engine: &EngineInfo) -> HostConfig {
    // The disk is not part of what an image can need, so this one limit always holds.
    let host = HostConfig { log_config: Some(log_config()), ..host };
    match confinement {
        Confinement::Usual => host,
        Confinement::Close => HostConfig {
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            cap_drop: Some(DROPPED.map(str::to_owned).into()),
            pids_limit: engine.limits.processes.then_some(MOST_PROCESSES),
            ulimits: open_files(engine),
            init: engine.has_init.then_some(true),
            ..host
        },
    }
}

fn log_config() -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some([("max-size".to_owned(), LONGEST_LOG.to_owned())].into()),
    }
}

fn open_files(engine: &EngineInfo) -> Option<Vec<ResourcesUlimits>> {
    let most = i64::try_from(engine.open_files?).ok()?;
    let name = Some("nofile".to_owned());
    Some(vec![ResourcesUlimits { name, soft: Some(most), hard: Some(most) }])
}

#[cfg(test)]
mod tests {
    use bollard::models::{SystemInfo, SystemVersion, SystemVersionComponents};

    use super::*;
    use crate::address::Address;

    fn engine(info: SystemInfo) -> EngineInfo {
        let init =
            SystemVersionComponents { name: "docker-init".to_owned(), ..SystemVersionComponents::default() };
        let version = SystemVersion { components: Some(vec![init]), ..SystemVersion::default() };
        EngineInfo { open_files: Some(65_536), ..EngineInfo::new(Address::parse("unix:///x"), version, info) }
    }

    fn confined(confinement: Confinement, engine: &EngineInfo) -> HostConfig {
        confine(HostConfig::default(), confinement, engine)
    }

    #[test]
    fn a_container_gets_no_new_rights_and_loses_four_that_it_does_not_need() {
        let host = confined(Confinement::Close, &engine(SystemInfo::default()));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        let dropped = host.cap_drop.unwrap();
        assert_eq!(dropped, ["NET_RAW", "MKNOD", "AUDIT_WRITE", "NET_BIND_SERVICE"]);
        assert_eq!(host.cap_add, None);
    }

    #[test]
    fn processes_open_files_and_the_log_are_limited() {
        let host = confined(Confinement::Close, &engine(SystemInfo::default()));
        assert_eq!((host.pids_limit, host.init), (Some(4096), Some(true)));
        let limits = host.ulimits.unwrap();
        assert_eq!((limits[0].name.as_deref(), limits[0].hard), (Some("nofile"), Some(65_536)));
        assert_eq!(host.log_config.unwrap().config.unwrap()["max-size"], "1g");
    }

    #[test]
    fn what_an_engine_cannot_do_is_not_asked_of_it() {
        let info = SystemInfo { pids_limit: Some(false), ..SystemInfo::default() };
        let weak = EngineInfo { has_init: false, open_files: None, ..engine(info) };
        let host = confined(Confinement::Close, &weak);
        assert_eq!((host.pids_limit, host.init, host.ulimits), (None, None, None));
        assert!(host.security_opt.is_some() && host.cap_drop.is_some());
    }

    #[test]
    fn compatible_mode_leaves_everything_but_the_log_to_the_engine() {
        let host = confined(Confinement::Usual, &engine(SystemInfo::default()));
        assert!(host.log_config.is_some());
        assert_eq!(HostConfig { log_config: None, ..host }, HostConfig::default());
    }
}
