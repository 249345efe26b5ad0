//! An engine that answered, and how calls to it are made: with a time limit, and with an end when it goes away.
//! The calls themselves are in `image`, `network`, `container`, `archive` and `output`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as Bollard;
use bollard::models::{SystemInfo, SystemVersion};
use bollard::query_parameters::{EventsOptionsBuilder, InspectNetworkOptions};
use deskgrid_job::Time;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::build::Builder;
use crate::delivery::{self, Delivery};
use crate::error::EngineError;
use crate::image::Pulls;
use crate::image_news::OwnPulls;
use crate::network::NetworkOnce;
use crate::output::time_at;

/// For questions that an engine answers from memory. Long, since a busy disk holds them up too.
pub(crate) const QUESTION: Duration = Duration::from_secs(60);
/// For work on images, containers and networks, and for the next part of a stream.
pub(crate) const WORK: Duration = Duration::from_secs(180);
/// For telling whether it is alive at all.
const PING: Duration = Duration::from_secs(10);

/// What Docker lists among its parts when it is installed. Asked for where it is not, no container would start.
const INIT: &str = "docker-init";
/// What Podman lists among its parts.
const PODMAN: &str = "Podman Engine";

/// What an engine says about itself; constant while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// By what it is known from other engines, also after a restart.
    pub id: String,
    /// Where it listens.
    pub address: Address,
    /// Its version.
    pub version: String,
    /// The newest API version it speaks.
    pub api_version: String,
    /// CPUs that containers can use.
    pub cpus: u32,
    /// Bytes of memory that containers can use.
    pub memory: u64,
    /// The host name of the computer or virtual machine it runs on.
    pub name: String,
    /// Operating system of its containers, such as `linux`.
    pub os: String,
    /// Processor of its containers, such as `amd64`.
    pub arch: String,
    /// What it runs on, such as `Docker Desktop` or `Debian GNU/Linux 12 (bookworm)`.
    pub product: String,
    /// Who its containers' root is outside of them.
    pub rights: Rights,
    /// Whether it is Docker Desktop or `OrbStack`, which run it in a machine that shares our folders.
    pub is_desktop: bool,
    /// The folder in which it keeps its containers, on the computer that it runs on.
    pub root: String,
    /// Whether containers go on running while it is restarted ("live restore").
    pub keeps_containers: bool,
    /// Which limits it can keep.
    pub limits: Limits,
    /// Whether it can put a small first process into a container, which collects what the job leaves behind.
    pub has_init: bool,
    /// The best of what it has for building images.
    pub builder: Builder,
    /// Files that a process in one of its containers may have open; none where the engine's own limit counts.
    pub open_files: Option<u64>,
}

/// The limits on containers that an engine can keep; a rootless one often cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPUs.
    pub cpus: bool,
    /// Memory.
    pub memory: bool,
    /// Processes.
    pub processes: bool,
}

impl EngineInfo {
    pub(crate) fn new(address: Address, version: SystemVersion, info: SystemInfo) -> Self {
        let has_part = |name: &str| version.components.iter().flatten().any(|part| part.name == name);
        let is_podman = has_part(PODMAN);
        let id = identity(&info, is_podman);
        let security = info.security_options.unwrap_or_default();
        let product = info.operating_system.unwrap_or_default();
        let has_init = has_part(INIT);
        let os = version.os.clone().unwrap_or_default();
        let api_version = version.api_version.clone().unwrap_or_default();
        let builder = Builder::best(&api_version, &os, is_podman);
        Self {
            id,
            address,
            version: version.version.unwrap_or_default(),
            api_version,
            cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
            name: info.name.unwrap_or_default(),
            os,
            arch: version.arch.unwrap_or_default(),
            rights: Rights::of(&security),
            is_desktop: product.contains("Docker Desktop") || product.contains("OrbStack"),
            product,
            root: info.docker_root_dir.unwrap_or_default(),
            keeps_containers: info.live_restore_enabled.unwrap_or(false),
            limits: Limits {
                cpus: info.cpu_cfs_quota.unwrap_or(true),
                memory: info.memory_limit.unwrap_or(true),
                processes: info.pids_limit.unwrap_or(true),
            },
            has_init,
            builder,
            open_files: None,
        }
    }
}

/// Its own id and where it keeps its images: an older Docker gives all engines of a computer the same id. Podman says
/// another one each time, so there the computer's name stands for it.
fn identity(info: &SystemInfo, is_podman: bool) -> String {
    let own = info.id.as_ref().filter(|id| !is_podman && !id.is_empty()).or(info.name.as_ref());
    let [own, root] = [own, info.docker_root_dir.as_ref()].map(|part| part.map_or("", String::as_str));
    format!("{own}:{root}")
}

/// Who the root user of a container is for the system that the engine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Root: the engine runs as root and maps nobody.
    Root,
    /// The person whose engine it is: a rootless engine.
    Rootless,
    /// An unprivileged user of the engine's choice: it runs as root and maps users.
    Mapped,
}

impl Rights {
    fn of(security_options: &[String]) -> Self {
        let has = |name| security_options.iter().any(|option| option.split(',').any(|part| part == name));
        match (has("name=rootless"), has("name=userns")) {
            (true, _) => Self::Rootless,
            (false, true) => Self::Mapped,
            (false, false) => Self::Root,
        }
    }
}

/// An engine that is running. Clones are cheap and mean the same one.
///
/// It stands for one life of the engine: after a restart [`crate::EngineWatch`] hands out another. All its errors
/// are [`EngineError`]; calls in progress end with [`EngineError::Gone`] when it goes away.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    docker: Docker,
    info: EngineInfo,
    /// Cancelled when this life of the engine is over; set by the watch alone.
    over: CancellationToken,
    /// Raised by calls that failed in a way that makes us doubt the engine; heard by the watch alone.
    doubt: Notify,
    network: NetworkOnce,
    pulls: Pulls,
    own_pulls: OwnPulls,
    /// Raised when it turned out that it cannot set limits of open files.
    has_own_limits: AtomicBool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.0.info.address).finish()
    }
}

impl PartialEq for Engine {
    /// Two handles are equal when they stand for the same life of the same engine.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Engine {
    pub(crate) fn new(docker: Docker, info: EngineInfo) -> Self {
        Self(Arc::new(Inner {
            docker,
            info,
            over: CancellationToken::new(),
            doubt: Notify::new(),
            network: NetworkOnce::default(),
            pulls: Pulls::default(),
            own_pulls: OwnPulls::default(),
            has_own_limits: AtomicBool::new(false),
        }))
    }

    /// What it says about itself.
    pub fn info(&self) -> &EngineInfo {
        &self.0.info
    }

    /// How files travel to and from its containers.
    pub fn delivery(&self) -> Delivery {
        delivery::choose(delivery::Facts::of(self.info()))
    }

    /// When this life of the engine began: it makes the network `bridge` anew at each start. None where it does not,
    /// as other products than Docker's.
    pub async fn began_at(&self) -> Result<Option<Time>, EngineError> {
        let call = self.docker().inspect_network("bridge", None::<InspectNetworkOptions>);
        match self.call("asking when it was started", QUESTION, call).await {
            Ok(bridge) => Ok(bridge.created.and_then(time_at)),
            Err(EngineError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks whether it is alive; any answer but yes within 10 s counts as gone.
    pub async fn ping(&self) -> Result<(), EngineError> {
        let answer = self.limited("asking whether it is alive", PING, self.docker().ping()).await;
        answer.map(drop)
    }

    /// Whether this very life of the engine goes on. After a restart another life answers in its place, but by then
    /// the event stream has told that this one is over. It is asked by a new connection: those that it has it still
    /// serves while it shuts down and ends its containers.
    pub(crate) async fn still_alive(&self) -> Result<(), EngineError> {
        const DOING: &str = "asking whether it is alive";
        let anew = self.info().address.client().map_err(|error| EngineError::of(DOING, error))?;
        self.while_alive(DOING, self.limited(DOING, QUESTION, anew.negotiate_version())).await??;
        self.while_alive(DOING, std::future::ready(())).await
    }

    /// What containers are made by: what it said of itself, and what turned out since.
    pub(crate) fn abilities(&self) -> EngineInfo {
        let has_own_limits = self.0.has_own_limits.load(Ordering::Relaxed);
        let open_files = self.0.info.open_files.filter(|_| !has_own_limits);
        EngineInfo { open_files, ..self.0.info.clone() }
    }

    /// Asks for no limits of open files from now on.
    pub(crate) fn leave_limits(&self) {
        self.0.has_own_limits.store(true, Ordering::Relaxed);
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.0.docker
    }

    pub(crate) fn network_once(&self) -> &NetworkOnce {
        &self.0.network
    }

    pub(crate) fn pulls(&self) -> &Pulls {
        &self.0.pulls
    }

    pub(crate) fn own_pulls(&self) -> &OwnPulls {
        &self.0.own_pulls
    }

    /// Makes one call. `doing` ends the sentence "the engine went away while …".
    pub(crate) async fn call<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, Bollard>>,
    ) -> Result<T, EngineError> {
        let result = self.limited(doing, limit, call).await;
        self.doubt_after(&result);
        result
    }

    async fn limited<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, Bollard>>,
    ) -> Result<T, EngineError> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(|error| EngineError::of(doing, error)),
            Err(_) => Err(EngineError::TimedOut { doing, limit }),
        }
    }

    /// Lets the watch look at the engine at once when a call failed as it does when the engine is gone.
    pub(crate) fn doubt_after<T>(&self, result: &Result<T, EngineError>) {
        if result.as_ref().is_err_and(EngineError::is_engine_lost) {
            self.0.doubt.notify_one();
        }
    }

    /// Waits until a call gave reason to doubt the engine.
    pub(crate) async fn doubted(&self) {
        self.0.doubt.notified().await;
    }

    /// Declares this life of the engine over: streams and waits end with [`EngineError::Gone`].
    pub(crate) fn end(&self) {
        self.0.over.cancel();
    }

    /// Whether this life of the engine is over.
    pub fn is_over(&self) -> bool {
        self.0.over.is_cancelled()
    }

    /// Waits until this life of the engine is over.
    pub(crate) async fn ended(self) {
        self.0.over.cancelled().await;
    }

    /// Waits for `work`, but not beyond the engine's life.
    pub(crate) async fn while_alive<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            () = self.0.over.cancelled() => {
                Err(EngineError::Gone { doing, detail: "it was stopped or restarted".to_owned() })
            }
            done = work => Ok(done),
        }
    }

    /// The engine's event stream. Its end is what counts: it is the quickest sign that the engine is gone, so the
    /// filter leaves only the rare events of the engine itself.
    pub(crate) fn events(&self) -> BoxStream<'static, Result<(), EngineError>> {
        let filters = [("type", vec!["daemon"])].into();
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let events = self.docker().events(Some(options));
        events.map(|event| event.map(drop).map_err(|e| EngineError::of("listening to it", e))).boxed()
    }
}

#[cfg(test)]
impl Engine {
    /// One that nobody listens for.
    pub(crate) fn that_never_answers() -> Self {
        // Nobody is called before there is a call.
        let address = Address::parse("tcp://127.0.0.1:1");
        let docker = address.client().unwrap();
        Self::new(docker, EngineInfo::new(address, SystemVersion::default(), SystemInfo::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(options: &[&str], product: &str) -> EngineInfo {
        let info = SystemInfo {
            security_options: Some(options.iter().map(|option| (*option).to_owned()).collect()),
            operating_system: Some(product.to_owned()),
            ..SystemInfo::default()
        };
        EngineInfo::new(Address::parse("unix:///x"), SystemVersion::default(), info)
    }

    #[test]
    fn security_options_tell_rootless_engines_and_user_namespaces() {
        let plain = info(&["name=seccomp,profile=default", "name=cgroupns"], "Debian");
        assert!(plain.rights == Rights::Root && !plain.is_desktop);
        assert_eq!(info(&["name=rootless"], "Debian").rights, Rights::Rootless);
        assert_eq!(info(&["name=userns"], "Debian").rights, Rights::Mapped);
        assert!(info(&[], "Docker Desktop").is_desktop);
    }

    #[test]
    fn an_engine_is_known_by_its_id_as_far_as_that_lasts_and_by_where_it_keeps_its_images() {
        let id = |id: &str, part: &str| {
            let info = SystemInfo {
                id: Some(id.to_owned()),
                name: Some("lab".to_owned()),
                docker_root_dir: Some("/data".to_owned()),
                ..SystemInfo::default()
            };
            let components = [serde_json::from_value(serde_json::json!({ "Name": part, "Version": "1" }))];
            let components = components.into_iter().collect::<Result<_, _>>().ok();
            let version = SystemVersion { components, ..SystemVersion::default() };
            EngineInfo::new(Address::parse("unix:///x"), version, info).id
        };
        assert_eq!(id("a-b", "Engine"), "a-b:/data");
        assert_eq!(id("", "Engine"), "lab:/data");
        assert_eq!(id("a-b", PODMAN), "lab:/data");
    }

    #[test]
    fn an_engine_that_says_nothing_still_has_a_cpu() {
        assert_eq!(info(&[], "").cpus, 1);
    }
}
