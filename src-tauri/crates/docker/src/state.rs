//! Whether there is an engine to work with, in words for people.

use crate::address::Address;
use crate::discovery::Kind;
use crate::engine::Engine;
use crate::surroundings::Platform;

/// The oldest API version with all we need, as major and minor number.
pub(crate) const OLDEST_API: (u32, u32) = (1, 40);

/// What there is of an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineState {
    /// No engine is on this computer.
    NotInstalled(Trouble),
    /// There is one, or one is named, and it does not answer.
    NotRunning(Trouble),
    /// It listens, but not to us.
    NoPermission(Trouble),
    /// It answers, but in an API older than 1.40.
    TooOld(Trouble),
    /// It works.
    Ready(Engine),
}

/// An engine that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where it is, or would be.
    pub address: Address,
    /// How we came to that address, as words that follow "found by".
    pub found_by: String,
    /// What the system or the engine said; empty when there was nothing to say.
    pub detail: String,
    pub(crate) kind: Kind,
    pub(crate) platform: Platform,
}

impl EngineState {
    /// The engine, when it works.
    pub fn ready(&self) -> Option<&Engine> {
        match self {
            Self::Ready(engine) => Some(engine),
            _ => None,
        }
    }

    /// The stable name of the state.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotInstalled(_) => "engine-not-installed",
            Self::NotRunning(_) => "engine-not-running",
            Self::NoPermission(_) => "engine-no-permission",
            Self::TooOld(_) => "engine-too-old",
            Self::Ready(_) => "engine-ready",
        }
    }

    /// The same as [`Self::explain`], and what jobs can reach when there is an engine to run them.
    pub fn explain_with_reach(&self) -> String {
        match self.ready() {
            Some(engine) => format!("{} {}", self.explain(), engine.reach().explain()),
            None => self.explain(),
        }
    }

    /// What is the matter with which engine, and what to do about it on this system.
    pub fn explain(&self) -> String {
        match self {
            Self::Ready(engine) => {
                let info = engine.info();
                let limits = format!(
                    "{} CPUs and {} of memory",
                    info.cpus,
                    deskgrid_job::queue::memory_words(info.memory)
                );
                format!("The container engine {} at {} is ready, with {limits}.", info.version, info.address)
            }
            Self::NotInstalled(trouble) => {
                format!("There is no container engine on this computer. {}", how_to_install(trouble.platform))
            }
            Self::NotRunning(trouble) => explain_not_running(trouble),
            Self::NoPermission(trouble) => format!(
                "The container engine at {} is there, but this user may not use it. {}",
                trouble.place(),
                how_to_get_in(trouble)
            ),
            Self::TooOld(trouble) => format!(
                "The container engine at {} is too old: {}. Deskgrid needs API {}.{} (Docker 19.03) or newer. Update \
                 the engine.",
                trouble.place(),
                trouble.detail,
                OLDEST_API.0,
                OLDEST_API.1
            ),
        }
    }
}

impl Trouble {
    fn place(&self) -> String {
        format!("{} (found by {})", self.address, self.found_by)
    }
}

fn explain_not_running(trouble: &Trouble) -> String {
    if let Address::Unusable { text, reason } = &trouble.address {
        return format!(
            "The container engine {text:?} (found by {}) cannot be used. {reason}",
            trouble.found_by
        );
    }
    let detail = if trouble.detail.is_empty() { String::new() } else { format!(": {}", trouble.detail) };
    format!("The container engine at {} does not answer{detail}. {}", trouble.place(), how_to_start(trouble))
}

fn how_to_install(platform: Platform) -> &'static str {
    match platform {
        Platform::Linux => {
            "Install Docker, on Debian and Ubuntu with: sudo apt-get install docker.io. On other systems see \
             docs.docker.com/engine/install."
        }
        Platform::MacOs => {
            "Install Docker Desktop (docker.com) or OrbStack (orbstack.dev), then start it once."
        }
        Platform::Windows => "Install Docker Desktop (docker.com), then start it once.",
    }
}

fn how_to_start(trouble: &Trouble) -> String {
    let text = match (trouble.kind, trouble.platform) {
        (Kind::Docker, _) => "Start it with: sudo systemctl start docker.",
        (Kind::RootlessDocker, _) => "Start it with: systemctl --user start docker.",
        (Kind::DockerDesktop, _) => "Start Docker Desktop.",
        (Kind::OrbStack, _) => "Start OrbStack.",
        (Kind::Colima, _) => "Start it with: colima start.",
        (Kind::RancherDesktop, _) => "Start Rancher Desktop.",
        (Kind::Podman, Platform::Linux) => "Start it with: systemctl --user start podman.socket.",
        (Kind::Podman, _) => "Start it with: podman machine start.",
        (Kind::Named, _) => {
            return format!("Start that engine, or change {} to name another one.", trouble.found_by);
        }
    };
    text.to_owned()
}

fn how_to_get_in(trouble: &Trouble) -> &'static str {
    match (trouble.kind, trouble.platform) {
        (Kind::Docker | Kind::Named, Platform::Linux) => {
            "Add yourself to the group docker with: sudo usermod -aG docker $USER, then log out and in again."
        }
        (Kind::Podman, Platform::Linux) => {
            "Use your own Podman instead: systemctl --user enable --now podman.socket."
        }
        (Kind::DockerDesktop, Platform::Windows) => {
            "Add yourself to the group docker-users in Computer Management, then log out and in again."
        }
        _ => "Check the owner and mode of that socket, or start the engine as this user.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: Kind, platform: Platform) -> Trouble {
        Trouble {
            address: Address::parse("unix:///s.sock"),
            found_by: "its usual place".into(),
            detail: "connection refused".into(),
            kind,
            platform,
        }
    }

    #[test]
    fn every_trouble_says_what_to_do_and_where() {
        let docker = || trouble(Kind::Docker, Platform::Linux);
        for (state, wanted) in [
            (EngineState::NotInstalled(docker()), "sudo apt-get install docker.io"),
            (EngineState::NotRunning(docker()), "sudo systemctl start docker"),
            (EngineState::NoPermission(docker()), "sudo usermod -aG docker $USER"),
            (EngineState::TooOld(docker()), "Update the engine"),
            (EngineState::NotRunning(trouble(Kind::DockerDesktop, Platform::MacOs)), "Start Docker Desktop"),
            (EngineState::NotRunning(trouble(Kind::Podman, Platform::MacOs)), "podman machine start"),
            (EngineState::NoPermission(trouble(Kind::DockerDesktop, Platform::Windows)), "docker-users"),
        ] {
            let text = state.explain();
            assert!(text.contains(wanted), "{text}");
            assert!(
                matches!(state, EngineState::NotInstalled(_)) || text.contains("unix:///s.sock"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_engine_that_was_chosen_names_the_choice() {
        let found_by = "the environment variable DOCKER_HOST".to_owned();
        let state = EngineState::NotRunning(Trouble { found_by, ..trouble(Kind::Named, Platform::Linux) });
        assert!(
            state.explain().contains("change the environment variable DOCKER_HOST"),
            "{}",
            state.explain()
        );
    }

    #[test]
    fn an_address_that_cannot_be_used_says_why() {
        let address = Address::parse("ssh://me@box");
        let state = EngineState::NotRunning(Trouble { address, ..trouble(Kind::Named, Platform::Linux) });
        assert!(state.explain().contains("ssh -L"), "{}", state.explain());
    }
}
