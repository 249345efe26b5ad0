//! Starts the built program as a person would and talks HTTP to it.

mod asking;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::command::without_settings;
use crate::engine::{EngineClient, remove_containers_of};

/// Nothing in a test takes this long; a test that waits longer hangs and shall say so.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further arguments of `deskgrid serve`.
    pub args: Vec<String>,
    /// The engine to use instead of the test engine.
    pub docker_host: Option<String>,
    /// Puts these words in front of the command, for example to run it as another user.
    pub launcher: Vec<String>,
    /// The program to start instead of the built one.
    pub program: Option<PathBuf>,
    /// Has the port stand in the settings file, where it can be changed, and not in a flag.
    pub port_in_settings: bool,
    /// User and group that own its folder.
    pub owner: Option<(u32, u32)>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
}

impl Options {
    /// No engine.
    pub fn without_engine() -> Self {
        Self { docker_host: Some("unix:///nonexistent/engine.sock".to_owned()), ..Self::default() }
    }

    fn with(&self, variables: &[(&str, &str)]) -> Self {
        let further = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env = self.env.iter().cloned().chain(further).collect();
        Self { env, ..self.clone() }
    }
}

/// A running server with a data folder of its own. When dropped it is killed, and its containers are removed.
pub struct Deskgrid {
    process: Child,
    /// Where it listens, without a slash at the end.
    pub address: String,
    folder: TempDir,
    options: Options,
    http: reqwest::Client,
}

/// The built program: the one that the set-up names, else the one beside the running test.
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("DESKGRID_TEST_PROGRAM") {
        return program.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().find(|folder| folder.join("deskgrid").is_file());
    folder.expect("run `cargo build` before the tests").join("deskgrid")
}

/// The engine that the set-up provides.
pub fn test_engine() -> Option<String> {
    std::env::var("DESKGRID_TEST_DOCKER_HOST").ok().filter(|host| !host.is_empty())
}

impl Deskgrid {
    /// Starts a server with the test engine.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts a server with the test engine and further arguments of `deskgrid serve`.
    pub async fn start_with_args(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::start_with(Options { args, ..Options::default() }).await
    }

    /// Starts a server that runs up to `cpus` ordinary jobs at once.
    pub async fn start_with_cpus(cpus: u32) -> Self {
        let args = vec!["--cpus".to_owned(), cpus.to_string()];
        Self::start_with(Options { args, ..Options::default() }).await
    }

    /// Starts a server whose jobs stay queued, since it finds no engine.
    pub async fn start_without_engine() -> Self {
        Self::start_with(Options::without_engine()).await
    }

    /// Starts a server as `options` say.
    pub async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_over(folder, options).await
    }

    /// Starts a server over a folder that may have been used before: the data, the settings and the log lie in it.
    pub async fn start_over(folder: TempDir, options: Options) -> Self {
        prepare(folder.path(), options.owner);
        let (process, address) = launch(folder.path(), &options, 0).await;
        Self::new(folder, options, process, address)
    }

    /// Starts a server that `variables` may let die in its first life, and says whether it died before it listened.
    /// Then it lives without them already.
    pub async fn start_doomed(options: Options, variables: &[(&str, &str)]) -> (Self, bool) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare(folder.path(), options.owner);
        match try_launch(folder.path(), &options.with(variables), 0).await {
            Ok((process, address)) => (Self::new(folder, options, process, address), false),
            Err(_) => (Self::start_over(folder, options).await, true),
        }
    }

    fn new(folder: TempDir, options: Options, process: Child, address: String) -> Self {
        // Connections that the server is about to close are not used again.
        let builder = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(30));
        let http = builder.timeout(PATIENCE).build().expect("a client");
        Self { process, address, folder, options, http }
    }

    /// Sends SIGTERM, waits for the end and returns the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM").await;
        tokio::time::timeout(PATIENCE, self.process.wait())
            .await
            .expect("it ends")
            .expect("it was ours")
            .code()
    }

    /// Kills it outright.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it runs");
    }

    /// As [`Deskgrid::kill`], for one that may have died by itself.
    pub async fn kill_if_alive(&mut self) {
        // Nothing to kill is as good.
        let _ = self.process.kill().await;
    }

    /// Starts it again over the same data folder and on the same port.
    pub async fn start_again(&mut self) {
        let (process, address) = launch(self.folder.path(), &self.options, self.port()).await;
        self.process = process;
        self.address = address;
    }

    /// Has it use another engine from its next start on.
    pub fn use_engine(&mut self, host: Option<String>) {
        self.options.docker_host = host;
    }

    /// Starts it again with `variables`, and says whether it lived until it listened.
    pub async fn try_start_again(&mut self, variables: &[(&str, &str)]) -> bool {
        let options = self.options.with(variables);
        match try_launch(self.folder.path(), &options, self.port()).await {
            Ok((process, _)) => self.process = process,
            Err(ended) => {
                self.process = ended;
                return false;
            }
        }
        true
    }

    /// Waits until its process has ended by itself.
    pub async fn ended(&mut self) {
        self.process.wait().await.expect("it was ours");
    }

    /// Sends it the signal of this name.
    pub async fn signal(&self, name: &str) {
        let id = self.process.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().await;
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        data_in(self.folder.path())
    }

    /// Its settings file, which is empty at first.
    pub fn settings(&self) -> PathBuf {
        settings_in(self.folder.path())
    }

    /// Writes the configuration of the docker command line that it reads; without this there is none.
    pub fn configure_docker(&self, config: &Value) {
        let folder = docker_config_in(self.folder.path());
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        std::fs::write(folder.join("config.json"), config.to_string()).expect("a temporary file");
    }

    /// What it wrote to its error stream.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_in(self.folder.path())).unwrap_or_default()
    }

    /// The engine that it uses.
    pub fn engine(&self) -> EngineClient {
        let host = self.options.docker_host.clone().or_else(test_engine);
        EngineClient::new(&host.expect("the set-up names an engine in DESKGRID_TEST_DOCKER_HOST"))
    }

    /// Its name on its containers.
    pub fn worker_id(&self) -> String {
        std::fs::read_to_string(self.data().join("worker-id")).expect("a worker id").trim().to_owned()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address ends in a port")
    }
}

impl Drop for Deskgrid {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The log of the server of this test:\n{}", self.log());
            if let Ok(Some(status)) = self.process.try_wait() {
                eprintln!("It had ended: {status}");
            }
        }
        // It must be gone before its containers are, or it would make new ones.
        let _ = self.process.start_kill();
        while matches!(self.process.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        let host = self.options.docker_host.clone().or_else(test_engine);
        let worker = std::fs::read_to_string(self.data().join("worker-id"));
        if let (Some(host), Ok(worker)) = (host, worker) {
            remove_containers_of(&host, worker.trim());
        }
    }
}

fn data_in(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn settings_in(folder: &Path) -> PathBuf {
    folder.join("settings.toml")
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// A folder of the test's own keeps the credentials of whoever runs the tests out of them.
fn docker_config_in(folder: &Path) -> PathBuf {
    folder.join("docker")
}

/// An empty settings file keeps the settings of whoever runs the tests out of them.
fn prepare(folder: &Path, owner: Option<(u32, u32)>) {
    let settings = settings_in(folder);
    if !settings.exists() {
        std::fs::write(&settings, "").expect("a temporary file");
    }
    if let Some((user, group)) = owner {
        for path in [folder, &settings] {
            std::os::unix::fs::chown(path, Some(user), Some(group)).expect("we are root");
        }
    }
}

/// Starts the program and waits for the line that says where it listens.
async fn launch(folder: &Path, options: &Options, port: u16) -> (Child, String) {
    let launched = try_launch(folder, options, port).await;
    let log = || std::fs::read_to_string(log_in(folder)).unwrap_or_default();
    launched.unwrap_or_else(|_| panic!("it ended: {}", log()))
}

/// As [`launch`]; the process alone when it ended before it listened.
async fn try_launch(folder: &Path, options: &Options, port: u16) -> Result<(Child, String), Child> {
    let program = options.program.clone().unwrap_or_else(program);
    let mut words = options.launcher.clone();
    words.push(program.to_string_lossy().into_owned());
    let log = std::fs::File::options().create(true).append(true).open(log_in(folder)).expect("a log");
    let mut command = Command::new(&words[0]);
    without_settings(&mut command)
        .env("DOCKER_CONFIG", docker_config_in(folder))
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .args(&words[1..])
        .arg("serve")
        .arg("--data-directory")
        .arg(data_in(folder))
        .arg("--config")
        .arg(settings_in(folder));
    if options.port_in_settings {
        std::fs::write(settings_in(folder), format!("port = {port}\n")).expect("a temporary file");
    } else {
        command.args(["--port", &port.to_string()]);
    }
    // A variable leaves the choice of the engine to the program.
    let is_named = options.env.iter().any(|(name, _)| name == "DOCKER_HOST");
    if let Some(host) = options.docker_host.clone().or_else(test_engine).filter(|_| !is_named) {
        command.args(["--docker-host", &host]);
    }
    command.args(&options.args).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let mut process = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it listens in time");
    let Some(line) = line.expect("readable") else { return Err(process) };
    let address = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    Ok((process, address.to_owned()))
}
