//! What a container is made of, and the one place that puts it into the engine's terms.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, DeviceRequest, HostConfig, Mount, MountType, MountVolumeOptions};

use crate::confinement::{Confinement, confine};
use crate::engine::EngineInfo;
use crate::holdings::VOLUME_LABEL;
use crate::network::NETWORK;

/// Engines refuse a memory limit below this, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// A container to create. Never privileged, never with a terminal; there is no field for rights, devices, or the
/// computer's own processes and network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Reference or id of an image that is in the engine.
    pub image: String,
    /// Replaces the image's entry point, and with it the image's command.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Names and values, the later of two equal names winning.
    pub env: Vec<(String, String)>,
    /// Working folder; the image's own when none.
    pub workdir: Option<String>,
    /// Bytes of `/dev/shm`; the engine's own choice when none.
    pub shm_size: Option<u64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Billionths of a CPU; no limit when none.
    pub nano_cpus: Option<u64>,
    /// Bytes of memory, swap included; no limit when none.
    pub memory: Option<u64>,
    /// Ids of NVIDIA GPUs.
    pub gpus: Vec<String>,
    /// Folders and files of ours in the container.
    pub binds: Vec<Bind>,
    /// Volumes of the engine in the container; a missing one is created by the engine.
    pub volumes: Vec<VolumeMount>,
    /// What it can reach.
    pub network: Network,
    /// How closely it is confined.
    pub confinement: Confinement,
}

/// A path of ours in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Absolute path here; it must exist.
    pub host: String,
    /// Absolute path in the container.
    pub container: String,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

/// A volume of the engine in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// The volume's name.
    pub volume: String,
    /// Absolute path in the container.
    pub container: String,
}

/// What a container can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The internet, and no other container: the network [`NETWORK`].
    #[default]
    Jobs,
    /// Nothing.
    Off,
}

/// Puts `spec` into the engine's terms. Limits that `engine` cannot keep are left out, and others brought into its
/// range, as it would refuse to run the container at all.
pub(crate) fn create_body(spec: &ContainerSpec, engine: &EngineInfo) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.cmd.clone(),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: spec.workdir.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        attach_stdin: Some(false),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(false),
        tty: Some(false),
        host_config: Some(host_config(spec, engine)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec, engine: &EngineInfo) -> HostConfig {
    let memory = spec.memory.filter(|_| engine.limits.memory).map(|bytes| capped(bytes.max(LEAST_MEMORY)));
    let all_cpus = u64::from(engine.cpus) * 1_000_000_000;
    let host = HostConfig {
        nano_cpus: spec.nano_cpus.filter(|_| engine.limits.cpus).map(|cpus| capped(cpus.min(all_cpus))),
        memory,
        // Equal to the memory means no swap on top of it.
        memory_swap: memory,
        shm_size: spec.shm_size.map(capped),
        device_requests: gpus(&spec.gpus),
        mounts: Some(mounts(spec)),
        network_mode: Some(network_mode(spec.network).to_owned()),
        privileged: Some(false),
        ..HostConfig::default()
    };
    confine(host, spec.confinement, engine)
}

/// The one place that decides how a container gets its network.
fn network_mode(network: Network) -> &'static str {
    match network {
        Network::Jobs => NETWORK,
        Network::Off => "none",
    }
}

fn gpus(ids: &[String]) -> Option<Vec<DeviceRequest>> {
    let request = DeviceRequest {
        driver: Some("nvidia".to_owned()),
        device_ids: Some(ids.to_vec()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    };
    (!ids.is_empty()).then(|| vec![request])
}

/// Mounts in their long form: the short one splits at colons, which file names may contain.
fn mounts(spec: &ContainerSpec) -> Vec<Mount> {
    let binds = spec.binds.iter().map(|bind| Mount {
        typ: Some(MountType::BIND),
        source: Some(bind.host.clone()),
        target: Some(bind.container.clone()),
        read_only: Some(bind.read_only),
        ..Mount::default()
    });
    let volumes = spec.volumes.iter().map(|mount| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(mount.volume.clone()),
        target: Some(mount.container.clone()),
        volume_options: Some(ours()),
        ..Mount::default()
    });
    binds.chain(volumes).collect()
}

/// Marks a volume that the engine makes for this container. One that is there stays as it is.
fn ours() -> MountVolumeOptions {
    let labels = [(VOLUME_LABEL.to_owned(), "true".to_owned())].into();
    MountVolumeOptions { labels: Some(labels), ..MountVolumeOptions::default() }
}

/// The API counts in signed numbers; nothing real is cut.
fn capped(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bollard::models::{SystemInfo, SystemVersion};

    use super::*;
    use crate::address::Address;
    use crate::engine::Limits;

    fn engine() -> EngineInfo {
        let info = SystemInfo { ncpu: Some(2), ..SystemInfo::default() };
        EngineInfo::new(Address::parse("unix:///x"), SystemVersion::default(), info)
    }

    fn host_of(spec: &ContainerSpec) -> HostConfig {
        create_body(spec, &engine()).host_config.unwrap()
    }

    #[test]
    fn a_plain_container_has_no_terminal_no_rights_and_the_network_of_the_jobs() {
        let body = create_body(&ContainerSpec { image: "x".into(), ..ContainerSpec::default() }, &engine());
        let host = body.host_config.unwrap();
        assert_eq!((body.tty, body.open_stdin), (Some(false), Some(false)));
        assert_eq!((body.attach_stdout, body.attach_stderr), (Some(true), Some(true)));
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.network_mode.as_deref(), Some(NETWORK));
        assert_eq!((body.entrypoint, body.cmd, host.memory, host.nano_cpus), (None, None, None, None));
        assert_eq!(host.device_requests, None);
    }

    /// Every field of a container is filled, with the worst that fits into it.
    fn greedy() -> ContainerSpec {
        let worst = "--privileged /var/run/docker.sock:/x host CAP_SYS_ADMIN /dev/mem".to_owned();
        ContainerSpec {
            image: worst.clone(),
            entrypoint: Some(vec![worst.clone()]),
            cmd: Some(vec![worst.clone()]),
            env: vec![("PRIVILEGED".into(), worst.clone())],
            workdir: Some(worst.clone()),
            shm_size: Some(u64::MAX),
            labels: [("com.docker.privileged".to_owned(), worst)].into(),
            nano_cpus: Some(u64::MAX),
            memory: Some(u64::MAX),
            gpus: vec!["all".into()],
            ..ContainerSpec::default()
        }
    }

    #[test]
    fn whatever_a_container_is_asked_to_be_it_gets_no_rights_devices_or_paths_of_the_computer() {
        for confinement in [Confinement::Close, Confinement::Usual] {
            for (network, mode) in [(Network::Jobs, NETWORK), (Network::Off, "none")] {
                let host = host_of(&ContainerSpec { network, confinement, ..greedy() });
                let set = serde_json::to_value(&host).unwrap();
                let ours = [
                    "CapDrop",
                    "DeviceRequests",
                    "LogConfig",
                    "Memory",
                    "MemorySwap",
                    "Mounts",
                    "NanoCpus",
                    "NetworkMode",
                    "PidsLimit",
                    "Privileged",
                    "SecurityOpt",
                    "ShmSize",
                    "Ulimits",
                ];
                let strange: Vec<_> =
                    set.as_object().unwrap().keys().filter(|key| !ours.contains(&key.as_str())).collect();
                assert!(strange.is_empty(), "{strange:?}");
                assert_eq!((host.privileged, host.network_mode.as_deref()), (Some(false), Some(mode)));
                assert_eq!(host.mounts, Some(vec![]));
            }
        }
    }

    #[test]
    fn limits_are_set_and_swap_is_off() {
        let spec = ContainerSpec {
            nano_cpus: Some(1_500_000_000),
            memory: Some(1 << 30),
            shm_size: Some(1 << 20),
            ..ContainerSpec::default()
        };
        let host = host_of(&spec);
        assert_eq!(host.nano_cpus, Some(1_500_000_000));
        assert_eq!((host.memory, host.memory_swap), (Some(1 << 30), Some(1 << 30)));
        assert_eq!(host.shm_size, Some(1 << 20));
    }

    #[test]
    fn limits_beyond_the_engines_range_are_brought_into_it() {
        let host = host_of(&ContainerSpec {
            nano_cpus: Some(3_000_000_000),
            memory: Some(1),
            ..ContainerSpec::default()
        });
        assert_eq!((host.nano_cpus, host.memory), (Some(2_000_000_000), Some(6 << 20)));
    }

    #[test]
    fn limits_that_the_engine_cannot_keep_are_left_out() {
        let weak = EngineInfo { limits: Limits { cpus: false, memory: false, processes: false }, ..engine() };
        let spec = ContainerSpec { nano_cpus: Some(1), memory: Some(1), ..ContainerSpec::default() };
        let host = create_body(&spec, &weak).host_config.unwrap();
        assert_eq!((host.nano_cpus, host.memory, host.memory_swap), (None, None, None));
    }

    #[test]
    fn paths_with_colons_and_spaces_stay_whole() {
        let spec = ContainerSpec {
            binds: vec![Bind { host: "/a b:c".into(), container: "/inputs".into(), read_only: true }],
            volumes: vec![VolumeMount { volume: "cache".into(), container: "/job-cache".into() }],
            ..ContainerSpec::default()
        };
        let host = host_of(&spec);
        let mounts = host.mounts.unwrap();
        assert_eq!(mounts[0].source.as_deref(), Some("/a b:c"));
        assert_eq!((mounts[0].typ, mounts[0].read_only), (Some(MountType::BIND), Some(true)));
        assert_eq!((mounts[1].typ, mounts[1].source.as_deref()), (Some(MountType::VOLUME), Some("cache")));
        assert_eq!(host.binds, None);
    }

    #[test]
    fn each_gpu_is_asked_for_by_its_id() {
        let host = host_of(&ContainerSpec { gpus: vec!["0".into(), "3".into()], ..ContainerSpec::default() });
        let request = &host.device_requests.unwrap()[0];
        assert_eq!(request.driver.as_deref(), Some("nvidia"));
        assert_eq!(request.device_ids, Some(vec!["0".to_owned(), "3".to_owned()]));
        assert_eq!(request.capabilities, Some(vec![vec!["gpu".to_owned()]]));
    }

    #[test]
    fn environment_keeps_its_order_and_its_equal_signs() {
        let env = vec![("B".to_owned(), "x=y".to_owned()), ("A".to_owned(), String::new())];
        let body = create_body(&ContainerSpec { env, ..ContainerSpec::default() }, &engine());
        assert_eq!(body.env, Some(vec!["B=x=y".to_owned(), "A=".to_owned()]));
    }
}
