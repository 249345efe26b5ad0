//! What to do where there is no engine to work with: steps that a person can take, with commands to copy.

use crate::discovery::Kind;
use crate::state::{EngineState, Trouble};
use crate::surroundings::Platform;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What to do, in a sentence.
    pub text: &'static str,
    /// What to type in a terminal, where that does it.
    pub command: Option<String>,
    /// Where to read or download more.
    pub link: Option<&'static str>,
}

impl EngineState {
    /// The steps to a working engine on this system, best first; none when one is ready.
    pub fn advice(&self) -> Vec<Advice> {
        match self {
            Self::Ready(_) => Vec::new(),
            Self::NotInstalled(trouble) => to_install(trouble.platform),
            Self::NotRunning(trouble) => to_start(trouble),
            Self::NoPermission(trouble) => to_get_in(trouble),
            Self::TooOld(trouble) => to_install(trouble.platform)
                .into_iter()
                .map(|advice| Advice { text: "Update the engine.", ..advice })
                .take(1)
                .collect(),
        }
    }
}

fn step(text: &'static str) -> Advice {
    Advice { text, command: None, link: None }
}

fn typed(text: &'static str, command: impl Into<String>) -> Advice {
    Advice { command: Some(command.into()), ..step(text) }
}

fn linked(text: &'static str, link: &'static str) -> Advice {
    Advice { link: Some(link), ..step(text) }
}

fn to_install(platform: Platform) -> Vec<Advice> {
    match platform {
        Platform::Linux => vec![
            typed("On Debian or Ubuntu, install Docker with:", "sudo apt-get install docker.io"),
            typed("Then let your account use it, and log in again:", "sudo usermod -aG docker $USER"),
            linked("On other systems, follow Docker's own guide.", "https://docs.docker.com/engine/install/"),
        ],
        Platform::MacOs => vec![
            linked("Install OrbStack, which is light and quick, and start it once.", "https://orbstack.dev"),
            linked(
                "Or install Docker Desktop and start it once.",
                "https://www.docker.com/products/docker-desktop/",
            ),
        ],
        Platform::Windows => vec![linked(
            "Install Docker Desktop and start it once.",
            "https://www.docker.com/products/docker-desktop/",
        )],
    }
}

fn to_start(trouble: &Trouble) -> Vec<Advice> {
    match trouble.kind {
        Kind::Docker if trouble.platform == Platform::Linux => {
            vec![typed("Start Docker with:", "sudo systemctl start docker")]
        }
        Kind::RootlessDocker => vec![typed("Start Docker with:", "systemctl --user start docker")],
        Kind::Podman => vec![typed("Start Podman's socket with:", "systemctl --user start podman.socket")],
        Kind::Colima => vec![typed("Start Colima with:", "colima start")],
        Kind::OrbStack => vec![step("Start OrbStack.")],
        Kind::RancherDesktop => vec![step("Start Rancher Desktop.")],
        _ if trouble.platform == Platform::Linux => vec![step("Start the engine that the address names.")],
        _ => vec![step("Start Docker Desktop.")],
    }
}

fn to_get_in(trouble: &Trouble) -> Vec<Advice> {
    if trouble.platform != Platform::Linux {
        return vec![step("Let this account use the engine, in the engine's settings.")];
    }
    vec![
        typed("Let your account use Docker:", "sudo usermod -aG docker $USER"),
        step("Then log out and in again: groups count from the next login on."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    fn trouble(kind: Kind, platform: Platform) -> Trouble {
        let address = Address::parse("unix:///var/run/docker.sock");
        Trouble { address, found_by: "the usual place".into(), detail: String::new(), kind, platform }
    }

    #[test]
    fn there_is_something_to_do_wherever_an_engine_cannot_be_used() {
        for platform in [Platform::Linux, Platform::MacOs, Platform::Windows] {
            for make in [
                EngineState::NotInstalled,
                EngineState::NotRunning,
                EngineState::NoPermission,
                EngineState::TooOld,
            ] {
                let advice = make(trouble(Kind::Docker, platform)).advice();
                assert!(!advice.is_empty());
                assert!(advice.iter().all(|step| step.text.ends_with(['.', ':'])));
            }
        }
    }

    #[test]
    fn a_missing_engine_on_linux_comes_with_a_command_to_copy() {
        let advice = EngineState::NotInstalled(trouble(Kind::Docker, Platform::Linux)).advice();
        assert_eq!(advice[0].command.as_deref(), Some("sudo apt-get install docker.io"));
    }
}
