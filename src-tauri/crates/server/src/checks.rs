//! Whether everything that the server needs is there, and what to do where it is not. It looks and changes nothing
//! that stays.

use std::io;
use std::path::Path;
use std::time::Duration;

use deskgrid_docker::{EngineState, EngineWatch, Reach};
use deskgrid_http::{Check, DoorState, Verdict};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::holder::Holder;
use crate::settings::{Settings, SettingsError, SettingsSource};

/// An engine that answers at all does so within this time.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(6);
/// An image and its outputs rarely fit into less, in bytes.
const LITTLE_SPACE: u64 = 10_000_000_000;
/// With less than this not even the job records are safe, in bytes.
const NO_SPACE: u64 = 500_000_000;

/// Who reads what was found, and so what they can do about it.
pub(crate) enum Reader {
    /// Somebody in a terminal, who can choose with flags.
    Terminal,
    /// Somebody in the window of a running server.
    Window {
        /// How the server has its port.
        doors: DoorState,
        /// The port.
        port: u16,
        /// Whether the window can bring the data folder elsewhere.
        moves_data: bool,
    },
}

impl Reader {
    /// How they choose another data folder, for the end of a sentence.
    fn elsewhere(&self) -> &'static str {
        match self {
            Self::Window { moves_data: true, .. } => "in the settings",
            _ => "with --data-directory",
        }
    }
}

/// Checks everything, as the settings of `source` have it, for somebody in a terminal.
pub async fn check(source: Result<SettingsSource, SettingsError>) -> Vec<Check> {
    check_for(Reader::Terminal, source).await
}

/// Checks everything, as the settings of `source` have it.
pub(crate) async fn check_for(reader: Reader, source: Result<SettingsSource, SettingsError>) -> Vec<Check> {
    let loading = tokio::task::spawn_blocking(|| {
        source.and_then(|source| source.load().map(|settings| (source, settings)))
    });
    let mut checks = vec![Check::new("version", Verdict::Fine, version())];
    match loading.await {
        Ok(Ok((source, loaded))) => checks.extend(check_with(reader, &source, loaded).await),
        Ok(Err(error)) => {
            checks.push(Check::new("settings", Verdict::Problem, error.to_string()));
            checks.extend(engine(&EngineWatch::start(None)).await);
        }
        Err(error) => checks.push(Check::new("settings", Verdict::Problem, error.to_string())),
    }
    checks
}

async fn check_with(reader: Reader, source: &SettingsSource, loaded: Settings) -> Vec<Check> {
    let elsewhere = reader.elsewhere();
    let folder = tokio::task::spawn_blocking(move || data_folder(&loaded.data_directory, elsewhere));
    let watch = EngineWatch::start(loaded.docker_host);
    let port = async {
        match reader {
            Reader::Terminal => port(loaded.port, watch.state()).await,
            Reader::Window { doors, port, .. } => own_port(doors, port),
        }
    };
    let (engine, port, folder) = tokio::join!(engine(&watch), port, folder);
    let mut checks = vec![settings(source)];
    checks.extend(engine);
    checks.push(port);
    checks.extend(folder.unwrap_or_default());
    checks
}

fn version() -> String {
    format!("Deskgrid {} for {} {}.", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

/// Where the settings are from. That they are valid is known already.
fn settings(source: &SettingsSource) -> Check {
    let message = match source.file() {
        Some(file) if file.exists() => {
            if let Some(problem) = open_to_others(file) {
                return Check::new("settings", Verdict::Warning, problem);
            }
            format!("The settings file {} is valid.", file.display())
        }
        Some(file) => {
            format!("No settings file; the defaults apply. One may be written at {}.", file.display())
        }
        None => "No settings file; the defaults apply.".to_owned(),
    };
    Check::new("settings", Verdict::Fine, message)
}

/// Which engine there is, and what jobs in it can reach.
async fn engine(watch: &EngineWatch) -> Vec<Check> {
    let mut state = watch.state();
    // An engine that is asked too early, or none at all, is a change too: the watch tells what it found.
    let _ = tokio::time::timeout(ENGINE_TIMEOUT, state.changed()).await;
    let state = state.borrow().clone();
    let verdict = match state {
        EngineState::Ready(_) => Verdict::Fine,
        _ => Verdict::Problem,
    };
    let reach = state.ready().map(|engine| reach(engine.reach()));
    [Check::new("engine", verdict, state.explain())].into_iter().chain(reach).collect()
}

/// What jobs can reach of this computer.
fn reach(reach: Reach) -> Check {
    let verdict = if reach.includes_own_ports() { Verdict::Warning } else { Verdict::Fine };
    Check::new("job network", verdict, reach.explain())
}

/// The name of the finding about the port.
const PORT: &str = "port";

/// How a running server has its port.
fn own_port(doors: DoorState, port: u16) -> Check {
    match doors {
        DoorState::Open => Check::new(PORT, Verdict::Fine, format!("Deskgrid listens on port {port}.")),
        DoorState::Blocked((_, words)) => Check::new(PORT, Verdict::Problem, words),
        DoorState::Closed => {
            let message = format!(
                "Deskgrid is stopped: port {port} is closed, so web pages cannot run jobs. Press Start to open it."
            );
            Check::new(PORT, Verdict::Warning, message)
        }
    }
}

/// Whether the port is free, or who has it.
async fn port(port: u16, engine: watch::Receiver<EngineState>) -> Check {
    if port == 0 {
        return Check::new(PORT, Verdict::Fine, "The server takes any free port.");
    }
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(_) => Check::new(PORT, Verdict::Fine, format!("Port {port} is free.")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            taken(port, &Holder::of(port, engine).await)
        }
        Err(error) => Check::new(
            PORT,
            Verdict::Problem,
            format!("Port {port} cannot be used ({error}). Choose one above 1023 with --port."),
        ),
    }
}

/// Who has the port.
fn taken(port: u16, holder: &Holder) -> Check {
    if holder.is_deskgrid {
        let message = format!(
            "A Deskgrid server answers on port {port}. To start a second one choose another port with --port."
        );
        return Check::new(PORT, Verdict::Fine, message);
    }
    let message = format!(
        "Port {port} is taken by {holder}. {}, or choose another port with --port; web pages expect 8000.",
        holder.advice()
    );
    Check::new(PORT, Verdict::Problem, message)
}

/// Whether the data folder can be written to, is ours alone, and has room.
fn data_folder(folder: &Path, elsewhere: &str) -> Vec<Check> {
    // Before the first start the folder does not exist; what counts then is where it will be created.
    let Some(existing) = folder.ancestors().find(|folder| folder.is_dir()) else {
        let message = format!("No part of {} exists. Choose another {elsewhere}.", folder.display());
        return vec![Check::new("data folder", Verdict::Problem, message)];
    };
    let mut checks =
        vec![writable(folder, existing, elsewhere), permissions(folder), space(existing, elsewhere)];
    checks.extend(damaged(folder));
    checks
}

fn writable(folder: &Path, existing: &Path, elsewhere: &str) -> Check {
    match tempfile::Builder::new().prefix(".deskgrid-doctor-").tempfile_in(existing) {
        Ok(_) => Check::new("data folder", Verdict::Fine, format!("{} can be written to.", folder.display())),
        Err(error) => Check::new(
            "data folder",
            Verdict::Problem,
            format!(
                "{} cannot be written to ({error}). Change its owner, or choose another {elsewhere}.",
                existing.display()
            ),
        ),
    }
}

fn permissions(folder: &Path) -> Check {
    match open_to_others(folder) {
        Some(problem) => Check::new("permissions", Verdict::Warning, problem),
        None => Check::new("permissions", Verdict::Fine, "Other users cannot change what is kept."),
    }
}

/// What is wrong with a file or folder that other users may write to.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o002 != 0).then(|| {
        format!("Every user of this computer may change {0}. Close it with: chmod o-w '{0}'", path.display())
    })
}

/// Folders of a Windows account are closed to other accounts unless someone opened them on purpose.
#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> Option<String> {
    None
}

/// What was found damaged and set aside, until the person deletes it.
fn damaged(folder: &Path) -> Option<Check> {
    let aside = folder.join(deskgrid_store::DAMAGED);
    let count = std::fs::read_dir(&aside).ok()?.count();
    let message = format!(
        "{count} damaged {} set aside in {}. Run `deskgrid verify` to check all others, and look after your backups: \
         the disk may be failing. Delete that folder when you do not need it.",
        if count == 1 { "file was" } else { "files were" },
        aside.display()
    );
    (count > 0).then(|| Check::new("damage", Verdict::Warning, message))
}

fn space(existing: &Path, elsewhere: &str) -> Check {
    match fs4::available_space(existing) {
        Ok(bytes) => {
            let verdict = judge_space(bytes);
            let advice = match verdict {
                Verdict::Fine => String::new(),
                _ => format!(" Make room, or choose another disk {elsewhere}."),
            };
            Check::new("space", verdict, format!("{} are free for data.{advice}", size(bytes)))
        }
        Err(error) => {
            Check::new("space", Verdict::Warning, format!("The free space cannot be read ({error})."))
        }
    }
}

/// A number of bytes that matters for space.
fn size(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn judge_space(bytes: u64) -> Verdict {
    match bytes {
        0..NO_SPACE => Verdict::Problem,
        NO_SPACE..LITTLE_SPACE => Verdict::Warning,
        _ => Verdict::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn broken_settings_are_a_problem_and_do_not_stop_the_other_checks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "prot = 1").unwrap();
        let source = SettingsSource::of_file(file.path().to_owned(), crate::settings::Overrides::default());
        let checks = check(Ok(source)).await;
        let of = |name| checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(of("settings").verdict, Verdict::Problem);
        assert!(of("settings").message.contains("Did you mean port?"));
        of("engine");
    }

    #[tokio::test]
    async fn a_free_port_is_fine_and_one_of_a_strange_program_is_a_problem() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let number = listener.local_addr().unwrap().port();
        let stranger = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let watch = EngineWatch::start(Some("unix:///nonexistent/engine.sock".to_owned()));
        let port = async |number| port(number, watch.state()).await.verdict;
        assert_eq!(port(number).await, Verdict::Problem);
        stranger.abort();
        assert!(stranger.await.is_err());
        assert_eq!(port(number).await, Verdict::Fine);
        assert_eq!(port(0).await, Verdict::Fine);
    }

    #[test]
    fn in_a_running_server_the_port_is_as_the_server_has_it() {
        let blocked = DoorState::Blocked(("port-taken", "Port 8000 is taken by nginx.".to_owned()));
        for (doors, verdict, words) in [
            (DoorState::Open, Verdict::Fine, "listens on port 8000"),
            (blocked, Verdict::Problem, "taken by nginx"),
            (DoorState::Closed, Verdict::Warning, "Press Start"),
        ] {
            let check = own_port(doors, 8000);
            assert_eq!(check.verdict, verdict);
            assert!(check.message.contains(words) && !check.message.contains("--"), "{}", check.message);
        }
    }

    #[test]
    fn a_data_folder_that_does_not_exist_yet_is_judged_by_where_it_will_be() {
        let parent = tempfile::tempdir().unwrap();
        let checks = data_folder(&parent.path().join("a/b"), Reader::Terminal.elsewhere());
        assert_eq!(checks[0].verdict, Verdict::Fine);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_everyone_may_change_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(permissions(folder.path()).verdict, Verdict::Fine);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(permissions(folder.path()).verdict, Verdict::Warning);
    }

    #[test]
    fn jobs_that_reach_what_is_open_to_this_computer_alone_are_a_warning() {
        assert_eq!(reach(Reach::OwnPorts).verdict, Verdict::Warning);
        assert_eq!(reach(Reach::OpenPorts).verdict, Verdict::Fine);
    }

    #[test]
    fn little_space_is_a_warning_and_none_a_problem() {
        assert_eq!(judge_space(100 << 30), Verdict::Fine);
        assert_eq!(judge_space(1 << 30), Verdict::Warning);
        assert_eq!(judge_space(1 << 20), Verdict::Problem);
    }
}
