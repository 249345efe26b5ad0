//! `deskgrid serve`: the server in the foreground of a terminal or under a service manager.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use deskgrid_server::settings::{Key, Overrides, SettingsSource};
use deskgrid_server::{Server, StartError};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::door::Door;
use crate::error::CliError;
use crate::signals::{Signals, Stop};

/// Stopping takes less than two seconds in all; the rest of them is for leaving the process.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long threads may finish what they are at when everything else is over.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(200);
/// The most threads that answer requests. Copying bytes keeps few of them busy, and each costs memory.
const MOST_WORKERS: usize = 4;
/// The most threads that wait for the disk at the same time. None waits for a client; they exist only while there is
/// work.
const MOST_BLOCKING: usize = 512;
/// Threads that waited for the disk leave soon, so that an idle server is small.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Start the server in this terminal
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from the settings file, then from variables, then from these flags; the later wins.
Each flag has a variable: --max-job-duration is DESKGRID_MAX_JOB_DURATION. DESKGRID_ALLOW_ORIGIN is a list
with commas. In the file, --max-job-duration is max_job_duration, and origins are the list allowed_origins;
`deskgrid sites` keeps its decisions there too.
The file is read again when it changes.

Ctrl-C stops the server and leaves running containers running: the next start takes them up again.
DESKGRID_LOG=debug tells more.

Examples:
  deskgrid serve
  deskgrid serve --port 8123 --data-directory /srv/deskgrid --cpus 6 --memory 24g
  deskgrid serve --gpus device=1,3 --max-job-duration 12h --allow-origin https://lab.example.org")]
pub(crate) struct Serve {
    /// Port to listen on; 0 takes any free one [default: 8000]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Folder to keep everything in
    #[arg(long, value_name = "DIR")]
    data_directory: Option<String>,
    /// CPUs that jobs may take in all [default: all but one]
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Memory that jobs may take in all, such as 8g [default: 80 % of the engine's]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// GPUs for jobs: how many, or device=1,3 [default: none]
    #[arg(long, value_name = "GPUS")]
    gpus: Option<String>,
    /// Longest time that any job may run, such as 20m [default: 1h]
    #[arg(long, value_name = "TIME")]
    max_job_duration: Option<String>,
    /// Name of this worker on its containers [default: one that the data folder remembers]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Address of the container engine [default: found by itself]
    #[arg(long, value_name = "URL")]
    docker_host: Option<String>,
    /// Web origin that may use the server too; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Further name under which clients may call the server, such as lab-pc; may be given several times
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Address to listen on besides this computer's own; then every request needs the token
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Whether to let programs in when the system does not tell whose they are [default: true]
    #[arg(long, value_name = "true|false")]
    trust_unknown_programs: Option<String>,
    /// Disk that results and files may take, such as 20g [default: 20 GB, or a tenth of the disk]
    #[arg(long, value_name = "SIZE")]
    cache_limit: Option<String>,
    /// Disk that stays free: below it uploads are refused and jobs wait [default: 2 GB, or a twentieth of the disk]
    #[arg(long, value_name = "SIZE")]
    disk_reserve: Option<String>,
    /// Largest download of the files that an image is built from [default: 4g]
    #[arg(long, value_name = "SIZE")]
    context_download: Option<String>,
    /// Most bytes that those files may have in all [default: 16g]
    #[arg(long, value_name = "SIZE")]
    context_size: Option<String>,
    /// Most files that an image may be built from [default: 500000]
    #[arg(long, value_name = "NUMBER")]
    context_files: Option<String>,
    /// Settings file to read instead of the usual one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log in JSON, one object a line
    #[arg(long, env = "DESKGRID_LOG_JSON", hide_env = true, value_parser = FalseyValueParser::new())]
    log_json: bool,
}

impl Serve {
    /// Serves until someone asks to stop.
    pub(crate) fn execute(self) -> Result<ExitCode, CliError> {
        start_logs(self.log_json);
        let source = SettingsSource::new(self.config.clone(), self.flags()?)?;
        let runtime = runtime().map_err(CliError::Runtime)?;
        let outcome = runtime.block_on(serve(source));
        runtime.shutdown_timeout(LEAVE_TIMEOUT);
        outcome
    }

    fn flags(&self) -> Result<Overrides, CliError> {
        let one = |text: &Option<String>| text.iter().cloned().collect::<Vec<_>>();
        Ok(Overrides::from_flags(&[
            (Key::Port, one(&self.port)),
            (Key::DataDirectory, one(&self.data_directory)),
            (Key::Cpus, one(&self.cpus)),
            (Key::Memory, one(&self.memory)),
            (Key::Gpus, one(&self.gpus)),
            (Key::MaxJobDuration, one(&self.max_job_duration)),
            (Key::Id, one(&self.id)),
            (Key::DockerHost, one(&self.docker_host)),
            (Key::AllowedOrigins, self.allow_origin.clone()),
            (Key::AllowedHosts, self.allow_host.clone()),
            (Key::Listen, one(&self.listen)),
            (Key::TrustUnknownPrograms, one(&self.trust_unknown_programs)),
            (Key::CacheLimit, one(&self.cache_limit)),
            (Key::DiskReserve, one(&self.disk_reserve)),
            (Key::ContextDownload, one(&self.context_download)),
            (Key::ContextSize, one(&self.context_size)),
            (Key::ContextFiles, one(&self.context_files)),
        ])?)
    }
}

/// What `DESKGRID_LOG=debug` leaves out; naming one of these in `DESKGRID_LOG` brings it back.
const QUIET: &str = "bollard=info,hyper_util=info,reqwest=info,tungstenite=info";

async fn serve(source: SettingsSource) -> Result<ExitCode, CliError> {
    let mut signals = Signals::listen().map_err(CliError::Runtime)?;
    let server = tokio::select! {
        server = start(source) => server?,
        _ = signals.next() => return Ok(ExitCode::from(130)),
    };
    let is_open = tokio::select! {
        opened = open_port(&server) => opened.map(|()| true)?,
        _ = signals.next() => false,
    };
    if !is_open {
        let _ = tokio::time::timeout(STOP_TIMEOUT, server.stop()).await;
        return Ok(ExitCode::from(130));
    }
    // Scripts wait for this line, so it must not stay in a buffer; that nobody reads it is no reason not to serve.
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "Deskgrid listens on {}", server.address());
    // A ticket is for the person who reads this, and not for whoever keeps the logs of a service.
    let _ = match server.dashboard().filter(|_| stdout.is_terminal()) {
        Some(address) => writeln!(stdout, "Its window in your browser: {address}"),
        None => writeln!(
            stdout,
            "Its window in your browser: {}/dashboard/ (deskgrid dashboard signs you in)",
            server.address()
        ),
    };
    let _ = stdout.flush();
    if signals.next().await == Stop::Interrupt {
        eprintln!("Stopping. Running containers keep running; Ctrl-C again leaves at once.");
    }
    tokio::select! {
        stopped = tokio::time::timeout(STOP_TIMEOUT, server.stop()) => {
            if stopped.is_err() {
                tracing::warn!("The server did not stop in time and is left behind.");
            }
        }
        () = second_interrupt(&mut signals) => std::process::exit(130),
    }
    Ok(ExitCode::SUCCESS)
}

async fn second_interrupt(signals: &mut Signals) {
    while signals.next().await != Stop::Interrupt {}
}

/// The one place where the engine library is started.
async fn start(source: SettingsSource) -> Result<Server, CliError> {
    let settings = source.clone();
    match Server::open(source, None).await {
        Ok(server) => Ok(server),
        Err(error) if error.is_in_use() => Err(running_already(settings, &error).await),
        Err(error) => Err(CliError::Start(error.to_string())),
    }
}

/// Opens the port. One that somebody else has is waited for: that program may be stopped, and is nobody's to end.
async fn open_port(server: &Server) -> Result<(), CliError> {
    match server.open_port().await {
        Ok(()) => Ok(()),
        Err(error) if error.code() == "port-taken" => {
            eprintln!("deskgrid: {error} Deskgrid waits until the port is free; Ctrl-C ends it.");
            server.until_open().await;
            Ok(())
        }
        Err(error) => Err(CliError::Start(error.to_string())),
    }
}

/// Where the Deskgrid is that has our data folder, in its own words if it answers.
async fn running_already(settings: SettingsSource, error: &StartError) -> CliError {
    let settings = tokio::task::spawn_blocking(move || settings.load()).await;
    let Ok(Ok(settings)) = settings else { return CliError::Start(error.to_string()) };
    let running = match Door::of(&settings.data_directory) {
        Some(door) => door.running().await,
        None => None,
    };
    match running {
        Some(running) => CliError::RunningAlready {
            folder: settings.data_directory,
            process: error.process_in_folder(),
            running,
        },
        None => CliError::Start(error.to_string()),
    }
}

/// A small runtime: one thread per CPU, but at least two, so that one slow request never stops the others.
fn runtime() -> std::io::Result<Runtime> {
    let cpus = std::thread::available_parallelism().map_or(2, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cpus.clamp(2, MOST_WORKERS))
        .max_blocking_threads(MOST_BLOCKING)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .thread_name("deskgrid")
        .enable_all()
        .build()
}

/// Logs go to the error stream: the output belongs to the line that says where the server listens.
fn start_logs(json: bool) {
    let chosen = std::env::var("DESKGRID_LOG").unwrap_or_default();
    let chosen = if chosen.is_empty() { "info" } else { &chosen };
    // The engine's client logs whole requests, the secrets in a job's environment among them.
    let filter = EnvFilter::new(format!("{QUIET},{chosen}"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        logs.json().init();
    } else {
        logs.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn flags(words: &[&str]) -> Result<Overrides, String> {
        let line = Line::try_parse_from(["serve"].iter().chain(words)).map_err(|error| error.to_string())?;
        line.serve.flags().map_err(|error| error.to_string())
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        let words = [
            "--port",
            "0",
            "--data-directory",
            "d",
            "--cpus",
            "2",
            "--memory",
            "8g",
            "--gpus",
            "2",
            "--max-job-duration",
            "20m",
            "--id",
            "w",
            "--docker-host",
            "tcp://h:1",
            "--allow-origin",
            "https://a.org",
            "--allow-origin",
            "https://b.org",
        ];
        let flags = flags(&words).unwrap();
        assert_eq!((flags.port, flags.cpu_millis, flags.memory), (Some(0), Some(2000), Some(8 << 30)));
        assert_eq!(flags.gpus.unwrap(), ["0", "1"]);
        assert_eq!(flags.allowed_origins.unwrap().len(), 2);
        assert!(flags.id.is_some() && flags.docker_host.is_some() && flags.data_directory.is_some());
        assert_eq!(flags.max_job_duration, Some(Duration::from_secs(1200)));
    }

    #[test]
    fn no_flag_leaves_every_setting_to_the_lower_sources() {
        assert_eq!(flags(&[]).unwrap(), Overrides::default());
    }

    #[test]
    fn a_bad_value_names_its_flag() {
        let error = flags(&["--memory", "lots"]).unwrap_err();
        assert!(error.starts_with("The flag --memory: \"lots\""), "{error}");
    }
}
