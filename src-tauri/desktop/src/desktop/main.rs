//! `deskgrid-desktop`: the app that the launcher starts. An icon in the tray over the engine rooms in this process; the
//! window is a program of its own. Here are flags and the way from them to a running [`app`].

// No black window beside it.
#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]

mod app;
mod awake;
mod click;
mod clipboard;
mod errands;
mod first;
mod follow;
mod known;
mod leave;
mod login;
mod notices;
mod notify;
mod remembered;
mod rooms;
mod start;
mod tray;
mod view;
mod window;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use deskgrid_desktop::{display, link, text};
use deskgrid_server::settings::{Key, Overrides, SettingsError, SettingsSource};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use app::Plan;
use first::Over;

/// How long threads may finish what they are at when everything else is over.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(200);
/// Few threads do for one person's clicks and pages, and each costs memory.
const WORKERS: usize = 2;
/// The most threads that wait for the disk at the same time.
const MOST_BLOCKING: usize = 512;
/// Threads that waited for the disk leave soon, so that an idle app is small.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(2);
/// What `DESKGRID_LOG=debug` leaves out; naming one of these in `DESKGRID_LOG` brings it back.
const QUIET: &str = "bollard=info,hyper_util=info,reqwest=info,tungstenite=info,zbus=warn,tracing=warn";

/// Run container jobs for web pages, with an icon in the tray
#[derive(Debug, Parser)]
#[command(name = "deskgrid-desktop", version)]
struct Flags {
    /// Go to the tray without a window, as at login
    #[arg(long)]
    hidden: bool,
    /// Settings file to read instead of the usual one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Port to listen on; 0 takes any free one [default: 8000]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Folder to keep everything in
    #[arg(long, value_name = "DIR")]
    data_directory: Option<String>,
    /// Address of the container engine [default: found by itself]
    #[arg(long, value_name = "URL")]
    docker_host: Option<String>,
    #[arg(value_name = "LINK", help = "What to show, such as deskgrid://job/0f3a")]
    link: Option<String>,
}

impl Flags {
    fn plan(self) -> Result<Plan, Box<dyn std::error::Error>> {
        let link = self.link.as_deref().map(link::place).transpose()?;
        let hidden = self.hidden;
        Ok(Plan { source: self.source()?, hidden, link, opens: true })
    }

    fn source(self) -> Result<SettingsSource, SettingsError> {
        let flags = Overrides::from_flags(&[
            (Key::Port, self.port.into_iter().collect()),
            (Key::DataDirectory, self.data_directory.into_iter().collect()),
            (Key::DockerHost, self.docker_host.into_iter().collect()),
        ])?;
        SettingsSource::new(self.config, flags)
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    start_logs();
    if !display::is_there() {
        eprintln!("{}", text::NO_DISPLAY);
        return ExitCode::from(display::NO_DISPLAY_CODE);
    }
    let started = flags.plan().and_then(|plan| Ok((plan, runtime()?)));
    let (plan, runtime) = match started {
        Ok(started) => started,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let code = run(&runtime, plan);
    runtime.shutdown_timeout(LEAVE_TIMEOUT);
    code
}

fn run(runtime: &Runtime, plan: Plan) -> ExitCode {
    let over = match runtime.block_on(first::hand_over(&plan)) {
        Some(over) => over,
        None => tray::run(runtime, |port| start::run(port, plan)),
    };
    match over {
        Over::Ended(code) => code,
        Over::Window(manner) => runtime.block_on(first::window_onto_server(&manner)),
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MOST_BLOCKING)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .thread_name("deskgrid")
        .enable_all()
        .build()
}

fn start_logs() {
    let chosen = std::env::var("DESKGRID_LOG").unwrap_or_default();
    let chosen = if chosen.is_empty() { "info" } else { &chosen };
    // The engine's client logs whole requests, the secrets in a job's environment among them.
    let filter = EnvFilter::new(format!("{QUIET},{chosen}"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    logs.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_sound_and_explained() {
        let command = Flags::command();
        command.clone().debug_assert();
        assert!(command.get_arguments().all(|flag| flag.get_help().is_some()));
    }

    #[test]
    fn a_link_leads_to_its_place_and_a_bad_one_is_refused() {
        let plan = |link| Flags::parse_from(["deskgrid-desktop", link]).plan();
        assert_eq!(plan("deskgrid://job/0f3a").unwrap().link.as_deref(), Some("#/job/0f3a"));
        assert!(plan("https://example.org").unwrap_err().to_string().contains("deskgrid://job/"));
    }
}
