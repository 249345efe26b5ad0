//! Starts the built app as a launcher would, in a session of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::command::without_settings;
use crate::door::Door;
use crate::engine::{EngineClient, remove_containers_of};
use crate::server::{PATIENCE, program, test_engine};
use crate::session::Session;

/// A running app with a data folder of its own. When dropped it is killed, and its containers are removed.
pub struct Desktop {
    process: Child,
    folder: TempDir,
    args: Vec<String>,
}

/// The built app: the one that the set-up names, else the one beside the command line program.
pub fn desktop_program() -> PathBuf {
    std::env::var_os("DESKGRID_TEST_DESKTOP")
        .map_or_else(|| program().with_file_name("deskgrid-desktop"), PathBuf::from)
}

/// The built window, likewise.
pub fn window_program() -> PathBuf {
    std::env::var_os("DESKGRID_TEST_WINDOW")
        .map_or_else(|| program().with_file_name("deskgrid-window"), PathBuf::from)
}

/// A command that runs the app in `session` over `folder`.
pub fn desktop(session: &Session, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(desktop_program());
    without_settings(&mut command).envs(session.variables());
    for name in Session::FOREIGN {
        command.env_remove(name);
    }
    let settings = folder.join("settings.toml");
    if !settings.exists() {
        std::fs::write(&settings, "").expect("a temporary file");
    }
    command.arg("--config").arg(&settings);
    // What a flag decides the app cannot change.
    let in_settings = std::fs::read_to_string(settings).is_ok_and(|text| text.contains("data_directory"));
    if !in_settings {
        command.arg("--data-directory").arg(folder.join("data"));
    }
    if !args.contains(&"--port") {
        command.args(["--port", "0"]);
    }
    if let Some(host) = test_engine().filter(|_| !args.contains(&"--docker-host")) {
        command.args(["--docker-host", &host]);
    }
    command.args(args).kill_on_drop(true);
    command
}

impl Desktop {
    /// Starts it as at login, without a window.
    pub fn start(session: &Session) -> Self {
        Self::start_with(session, &["--hidden"])
    }

    /// Starts it with these arguments.
    pub fn start_with(session: &Session, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        let process = launch(session, folder.path(), &args);
        Self { process, folder, args }
    }

    /// Starts it with its data folder in the settings file, where it can be changed.
    pub fn start_with_movable_data(session: &Session) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = format!("data_directory = '{}'\n", folder.path().join("data").display());
        std::fs::write(folder.path().join("settings.toml"), settings).expect("a temporary file");
        let args = vec!["--hidden".to_owned()];
        let process = launch(session, folder.path(), &args);
        Self { process, folder, args }
    }

    /// Starts it again over the same data folder.
    pub fn start_again(&mut self, session: &Session) {
        self.process = launch(session, self.folder.path(), &self.args);
    }

    /// Starts it a second time beside itself, and gives exit code and output of that.
    pub async fn start_second(&self, session: &Session, args: &[&str]) -> (Option<i32>, String) {
        let output = desktop(session, self.folder.path(), args).output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits for its end and gives the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.process.wait())
            .await
            .expect("it ends")
            .expect("it was ours")
            .code()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// The folder with its data, settings and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its local door, once that is open.
    pub async fn door(&self) -> Door {
        let socket = self.data().join("deskgrid.sock");
        crate::eventually("the local door is open", async || {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        Door::of(&self.data())
    }

    /// The engine that it uses.
    pub fn engine(&self) -> EngineClient {
        EngineClient::new(&test_engine().expect("the set-up names an engine in DESKGRID_TEST_DOCKER_HOST"))
    }

    /// Its containers, running or not.
    pub async fn containers(&self) -> Vec<Value> {
        self.engine().labelled("container.mtfm.io/worker", &self.worker_id()).await
    }

    /// What it wrote to its error stream.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("desktop.log")).unwrap_or_default()
    }

    fn worker_id(&self) -> String {
        std::fs::read_to_string(self.data().join("worker-id")).expect("a worker id").trim().to_owned()
    }
}

fn launch(session: &Session, folder: &Path, args: &[String]) -> Child {
    let log =
        std::fs::File::options().create(true).append(true).open(folder.join("desktop.log")).expect("a log");
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut command = desktop(session, folder, &args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the app starts")
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The log of the app of this test:\n{}", self.log());
        }
        // It must be gone before its containers are, or it would make new ones.
        let _ = self.process.start_kill();
        while matches!(self.process.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        let worker = std::fs::read_to_string(self.data().join("worker-id"));
        if let (Some(host), Ok(worker)) = (test_engine(), worker) {
            remove_containers_of(&host, worker.trim());
        }
    }
}
