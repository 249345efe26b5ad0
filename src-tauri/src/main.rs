//! The `deskgrid` program: the server for a terminal or a service, and the commands that talk to a running one.
//!
//! One module per command. None of them runs a job itself: `serve` starts the engine library, all others speak the
//! public protocol over HTTP. Nothing here may need a display.

mod cache;
mod cancel;
mod client;
mod console;
mod dashboard;
mod doctor;
mod door;
mod error;
mod follow;
mod inputs;
mod job_ref;
mod logs;
mod outputs;
mod pull;
mod quote;
mod records;
mod result;
mod run;
mod serve;
mod signals;
mod sites;
mod status;
mod upload;
mod verify;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::CliError;

/// Runs container jobs for web pages, scripts and people on this computer.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  deskgrid serve                                     start the server
  deskgrid run python:3.13 -- python -c 'print(1)'   run a job and see its output
  deskgrid status                                    what is running and waiting
  deskgrid doctor                                    what is missing, and what to do about it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Run(run::Run),
    Status(status::Status),
    Logs(logs::Logs),
    Cancel(cancel::Cancel),
    Result(result::ShowResult),
    Sites(sites::Sites),
    Cache(cache::Cache),
    Dashboard(dashboard::Dashboard),
    Verify(verify::Verify),
    Doctor(doctor::Doctor),
    /// List the steps at which `DESKGRID_FAULT` can end the program
    #[cfg(feature = "faults")]
    Faults,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(command) => command.execute(),
        Command::Run(command) => wait_for(command.execute()),
        Command::Status(command) => wait_for(command.execute()),
        Command::Logs(command) => wait_for(command.execute()),
        Command::Cancel(command) => wait_for(command.execute()),
        Command::Result(command) => wait_for(command.execute()),
        Command::Sites(command) => wait_for(command.execute()),
        Command::Cache(command) => wait_for(command.execute()),
        Command::Dashboard(command) => wait_for(command.execute()),
        Command::Verify(command) => wait_for(command.execute()),
        Command::Doctor(command) => wait_for(command.execute()),
        #[cfg(feature = "faults")]
        Command::Faults => list_faults(),
    };
    outcome.unwrap_or_else(|error| {
        if !matches!(error, CliError::NobodyReads) {
            eprintln!("deskgrid: {error}");
        }
        error.exit_code()
    })
}

/// Runs one command that talks to a server. One thread is enough for that.
fn wait_for(command: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let outcome = runtime.block_on(command);
    // A file that is still being hashed for a cancelled job must not hold the program back.
    runtime.shutdown_background();
    outcome
}

#[cfg(feature = "faults")]
#[expect(clippy::unnecessary_wraps, reason = "every command ends alike")]
fn list_faults() -> Result<ExitCode, CliError> {
    for point in deskgrid_fault::Point::ALL {
        println!("{}", point.name());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_is_explained() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for flag in command.get_arguments() {
                assert!(flag.get_help().is_some(), "{} {}", command.get_name(), flag.get_id());
            }
        }
    }
}
