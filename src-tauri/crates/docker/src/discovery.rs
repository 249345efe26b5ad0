//! Which engines there may be on this computer, in the order in which they are tried. Nothing here connects.

use std::path::{Path, PathBuf};

use crate::address::Address;
use crate::cli_config;
use crate::surroundings::{Platform, Surroundings};

/// How an engine is found that nobody named.
pub(crate) const USUAL: &str = "its usual place";

/// What sort of engine a place belongs to; decides what a person is told to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Docker Engine run by the system.
    Docker,
    /// Docker Engine run by the person.
    RootlessDocker,
    /// Docker Desktop.
    DockerDesktop,
    /// `OrbStack`.
    OrbStack,
    /// Colima.
    Colima,
    /// Rancher Desktop.
    RancherDesktop,
    /// Podman with its Docker API.
    Podman,
    /// An address that somebody named and that is none of the usual places.
    Named,
}

/// A place where an engine may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub address: Address,
    /// How we came to it, as words that follow "found by".
    pub found_by: String,
    /// What usually listens there.
    pub kind: Kind,
}

/// The places to try, best first. `preferred` is the person's explicit setting.
///
/// A place that somebody chose (the setting, `DOCKER_HOST`, a docker context) is the only one: silently running
/// jobs in another engine would be worse than saying that the chosen one does not answer.
pub fn candidates(preferred: Option<&str>, around: &Surroundings) -> Vec<Candidate> {
    let usual = usual_places(around);
    match chosen(preferred, around) {
        Some((address, found_by)) => {
            let known = usual.into_iter().find(|place| place.address == address);
            let kind = known.map_or(Kind::Named, |place| place.kind);
            vec![Candidate { address, found_by, kind }]
        }
        None => usual,
    }
}

/// Every place where an engine may listen, chosen or usual, each once.
pub(crate) fn all_places(around: &Surroundings) -> Vec<Candidate> {
    let mut places = usual_places(around);
    for place in candidates(None, around) {
        if !places.iter().any(|known| known.address == place.address) {
            places.insert(0, place);
        }
    }
    places
}

fn chosen(preferred: Option<&str>, around: &Surroundings) -> Option<(Address, String)> {
    if let Some(setting) = preferred.filter(|text| !text.trim().is_empty()) {
        return Some((Address::parse(setting), "the setting docker-host".to_owned()));
    }
    if let Some(host) = around.var("DOCKER_HOST") {
        return Some((Address::parse(host), "the environment variable DOCKER_HOST".to_owned()));
    }
    cli_config::current_context(around).map(|context| (context.address, context.found_by))
}

fn usual_places(around: &Surroundings) -> Vec<Candidate> {
    match around.platform {
        Platform::Linux => linux(around),
        Platform::MacOs => macos(around),
        Platform::Windows => windows(),
    }
}

fn socket(kind: Kind, path: PathBuf) -> Candidate {
    Candidate { address: Address::Unix(path), found_by: USUAL.to_owned(), kind }
}

/// Sockets below the home folder, given as pairs of kind and relative path.
fn in_home<'a>(
    around: &'a Surroundings,
    places: &'a [(Kind, &'a str)],
) -> impl Iterator<Item = Candidate> + 'a {
    let home = around.home.iter();
    home.flat_map(|home| places.iter().map(|(kind, place)| socket(*kind, home.join(place))))
}

fn linux(around: &Surroundings) -> Vec<Candidate> {
    let mut places = vec![socket(Kind::Docker, "/var/run/docker.sock".into())];
    let runtime = runtime_folder(around);
    places.extend(runtime.iter().map(|folder| socket(Kind::RootlessDocker, folder.join("docker.sock"))));
    places.extend(in_home(
        around,
        &[
            (Kind::DockerDesktop, ".docker/desktop/docker.sock"),
            (Kind::DockerDesktop, ".docker/run/docker.sock"),
            (Kind::Colima, ".colima/default/docker.sock"),
            (Kind::Colima, ".config/colima/default/docker.sock"),
            (Kind::RancherDesktop, ".rd/docker.sock"),
        ],
    ));
    places.extend(runtime.iter().map(|folder| socket(Kind::Podman, folder.join("podman/podman.sock"))));
    places.push(socket(Kind::Podman, "/run/podman/podman.sock".into()));
    places
}

/// The folder of the person's own sockets; services do not get the variable, but it is always the same place.
fn runtime_folder(around: &Surroundings) -> Option<PathBuf> {
    match around.var("XDG_RUNTIME_DIR") {
        Some(folder) => Some(folder.into()),
        None => around.uid.map(|uid| format!("/run/user/{uid}").into()),
    }
}

fn macos(around: &Surroundings) -> Vec<Candidate> {
    let mut places: Vec<_> = in_home(
        around,
        &[
            (Kind::DockerDesktop, ".docker/run/docker.sock"),
            (Kind::DockerDesktop, ".docker/desktop/docker.sock"),
            (Kind::OrbStack, ".orbstack/run/docker.sock"),
            (Kind::Colima, ".colima/default/docker.sock"),
            (Kind::Colima, ".config/colima/default/docker.sock"),
            (Kind::RancherDesktop, ".rd/docker.sock"),
            (Kind::Podman, ".local/share/containers/podman/machine/podman.sock"),
        ],
    )
    .collect();
    // Several products put a link of their own here, so it only stands in for those above.
    places.push(socket(Kind::DockerDesktop, "/var/run/docker.sock".into()));
    if let Some(folder) = around.var("TMPDIR") {
        let path = Path::new(folder).join("podman/podman-machine-default-api.sock");
        places.push(socket(Kind::Podman, path));
    }
    places
}

fn windows() -> Vec<Candidate> {
    let pipes = [
        (Kind::DockerDesktop, "//./pipe/docker_engine"),
        (Kind::DockerDesktop, "//./pipe/dockerDesktopLinuxEngine"),
        (Kind::Podman, "//./pipe/podman-machine-default"),
    ];
    let found_by = || USUAL.to_owned();
    pipes
        .map(|(kind, pipe)| Candidate { address: Address::Pipe(pipe.to_owned()), found_by: found_by(), kind })
        .into()
}

/// The engine that is installed on this computer, running or not, judged by its program.
pub fn installed(around: &Surroundings) -> Option<Kind> {
    let programs: &[(Kind, &[&str])] = match around.platform {
        Platform::Linux => &[
            (Kind::Docker, &["dockerd"]),
            (Kind::RootlessDocker, &["dockerd-rootless.sh"]),
            (Kind::DockerDesktop, &["/opt/docker-desktop"]),
            (Kind::Colima, &["colima"]),
            (Kind::RancherDesktop, &["/opt/rancher-desktop"]),
            (Kind::Podman, &["podman"]),
        ],
        Platform::MacOs => &[
            (Kind::DockerDesktop, &["/Applications/Docker.app"]),
            (Kind::OrbStack, &["/Applications/OrbStack.app"]),
            (Kind::RancherDesktop, &["/Applications/Rancher Desktop.app"]),
            (Kind::Colima, &["colima", "/opt/homebrew/bin/colima"]),
            (Kind::Podman, &["podman", "/opt/podman/bin/podman", "/opt/homebrew/bin/podman"]),
        ],
        Platform::Windows => &[
            (Kind::DockerDesktop, &["C:/Program Files/Docker/Docker/Docker Desktop.exe"]),
            (Kind::RancherDesktop, &["C:/Program Files/Rancher Desktop/Rancher Desktop.exe"]),
            (Kind::Podman, &["podman.exe", "C:/Program Files/RedHat/Podman/podman.exe"]),
        ],
    };
    let found = programs.iter().find(|(_, names)| names.iter().any(|name| has_program(around, name)));
    found.map(|(kind, _)| *kind)
}

/// Whether a program is there: by its full path, or in a folder of `PATH` or one where system programs live.
fn has_program(around: &Surroundings, name: &str) -> bool {
    if name.contains('/') {
        return (around.exists)(Path::new(name));
    }
    let separator = if around.platform == Platform::Windows { ';' } else { ':' };
    let path = around.var("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
    path.split(separator)
        .chain(system)
        .filter(|folder| !folder.is_empty())
        .any(|folder| (around.exists)(&Path::new(folder).join(name)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up Linux computer with the given environment and files.
    pub(crate) fn computer(env: &[(&str, &str)], files: &[(&str, &str)]) -> Surroundings {
        let files: std::collections::HashMap<PathBuf, String> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        let names: Vec<_> = files.keys().cloned().collect();
        Surroundings {
            platform: Platform::Linux,
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            home: Some("/home/me".into()),
            uid: Some(1000),
            read: Box::new(move |path| files.get(path).cloned()),
            exists: Box::new(move |path| names.iter().any(|name| name == path)),
        }
    }

    fn addresses(found: &[Candidate]) -> Vec<String> {
        found.iter().map(|candidate| candidate.address.to_string()).collect()
    }

    #[test]
    fn a_chosen_engine_is_the_only_one_in_the_order_setting_variable_context() {
        let config = [("/home/me/.docker/config.json", r#"{"currentContext":"x"}"#)];
        let around = computer(&[("DOCKER_HOST", "tcp://b:1"), ("DOCKER_CONTEXT", "c")], &config);
        assert_eq!(addresses(&candidates(Some("tcp://a:1"), &around)), ["tcp://a:1"]);
        assert_eq!(addresses(&candidates(Some(" "), &around)), ["tcp://b:1"]);
        let around = computer(&[("DOCKER_CONTEXT", "c")], &config);
        assert_eq!(addresses(&candidates(None, &around)), ["docker context \"c\""]);
        let around = computer(&[], &config);
        assert_eq!(addresses(&candidates(None, &around)), ["docker context \"x\""]);
    }

    #[test]
    fn linux_tries_the_system_engine_before_the_persons_own() {
        let found = candidates(None, &computer(&[("XDG_RUNTIME_DIR", "/run/me")], &[]));
        assert_eq!(
            addresses(&found),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/me/docker.sock",
                "unix:///home/me/.docker/desktop/docker.sock",
                "unix:///home/me/.docker/run/docker.sock",
                "unix:///home/me/.colima/default/docker.sock",
                "unix:///home/me/.config/colima/default/docker.sock",
                "unix:///home/me/.rd/docker.sock",
                "unix:///run/me/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn a_service_without_runtime_folder_variable_finds_the_rootless_engine() {
        let found = candidates(None, &computer(&[], &[]));
        assert!(addresses(&found).contains(&"unix:///run/user/1000/docker.sock".to_owned()));
    }

    #[test]
    fn macos_and_windows_have_their_own_places() {
        let mac = Surroundings { platform: Platform::MacOs, ..computer(&[("TMPDIR", "/tmp/x/")], &[]) };
        let found = candidates(None, &mac);
        assert_eq!(found[0].address, Address::Unix("/home/me/.docker/run/docker.sock".into()));
        for kind in [Kind::DockerDesktop, Kind::OrbStack, Kind::Colima, Kind::RancherDesktop, Kind::Podman] {
            assert!(found.iter().any(|candidate| candidate.kind == kind), "{kind:?}");
        }
        let windows = Surroundings { platform: Platform::Windows, ..computer(&[], &[]) };
        assert_eq!(addresses(&candidates(None, &windows))[0], "npipe:////./pipe/docker_engine");
    }

    #[test]
    fn a_chosen_engine_at_a_usual_place_keeps_its_kind() {
        let around = computer(&[("DOCKER_HOST", "unix:///home/me/.rd/docker.sock")], &[]);
        assert_eq!(candidates(None, &around)[0].kind, Kind::RancherDesktop);
    }

    #[test]
    fn an_installed_engine_is_told_by_its_program() {
        assert_eq!(installed(&computer(&[], &[])), None);
        assert_eq!(installed(&computer(&[], &[("/usr/bin/docker", "")])), None);
        assert_eq!(installed(&computer(&[], &[("/usr/sbin/dockerd", "")])), Some(Kind::Docker));
        let own = computer(&[("PATH", "/bin:/home/me/bin")], &[("/home/me/bin/podman", "")]);
        assert_eq!(installed(&own), Some(Kind::Podman));
    }
}
