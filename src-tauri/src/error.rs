//! What can go wrong in a command, told in one line: what happened, to what, and what to do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use deskgrid_server::settings::SettingsError;

use crate::door::Running;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The settings are unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The operating system gave us no threads or no timers.
    #[error("The program could not start its threads ({0}). Close other programs and try again.")]
    Runtime(std::io::Error),
    /// The server did not start.
    #[error("{0}")]
    Start(String),
    /// A Deskgrid has the data folder already.
    #[error(
        "Deskgrid is running already with the data folder {}{}. {running} Nothing was started. For a second one choose \
         another --data-directory and another --port.",
        folder.display(),
        process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    RunningAlready {
        /// The data folder.
        folder: PathBuf,
        /// Its process, where that is known.
        process: Option<u32>,
        /// What it says of itself.
        running: Running,
    },
    /// Nothing answers at the server's address.
    #[error(
        "No Deskgrid server answers at {server}. \
         Start one with `deskgrid serve`, or name another with --server URL."
    )]
    NoServer {
        /// The address that was tried.
        server: String,
    },
    /// The connection broke, or what came over it made no sense.
    #[error("{what} failed ({problem}). Is {server} really a Deskgrid server? `deskgrid doctor` finds out.")]
    Lost {
        /// What was being done.
        what: String,
        /// The server's address.
        server: String,
        /// What broke.
        problem: String,
    },
    /// The server said no.
    #[error("{what} was refused: {message}")]
    Refused {
        /// What was being done.
        what: String,
        /// The server's own words.
        message: String,
    },
    /// A local file or folder could not be used.
    #[error("{doing} {} failed ({source}). Check that it exists and that you may use it.", path.display())]
    File {
        /// What was being done, as "Reading".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What the person asked for cannot be done.
    #[error("{0}")]
    Usage(String),
    /// Whoever read our output went away, as `head` does; that is no failure worth words.
    #[error("nobody reads the output any more")]
    NobodyReads,
}

impl CliError {
    /// An error about the file at `path`.
    pub(crate) fn file(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    /// The exit code for it: as shells and `docker run` have it, 125 for a failure of ours, 2 for a wrong call.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Settings(_) => ExitCode::from(2),
            Self::Start(_) | Self::RunningAlready { .. } | Self::Runtime(_) => ExitCode::from(1),
            Self::NobodyReads => ExitCode::from(141),
            _ => ExitCode::from(125),
        }
    }
}
