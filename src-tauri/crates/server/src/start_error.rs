//! Why the server did not start, in words for the person and as a stable code.

use std::path::PathBuf;

use deskgrid_store::StoreError;
use deskgrid_worker::WorkerError;

use crate::holder::Holder;
use crate::settings::SettingsError;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The port is not free.
    #[error(
        "Port {port} on this computer is taken by {holder}. {}, or choose another port in the settings or with --port.",
        holder.advice()
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it.
        holder: Box<Holder>,
    },
    /// The system does not let us listen.
    #[error(
        "Deskgrid may not listen on port {port}: {problem}. Choose another port in the settings or with --port."
    )]
    CannotListen {
        /// The port.
        port: u16,
        /// The system's words.
        problem: std::io::Error,
    },
    /// The further address of the settings is not ours to listen on.
    #[error(
        "Deskgrid cannot listen on {address}: {problem}. The setting `listen` (or --listen) has to name an address \
         of this computer; without it only this computer itself can reach Deskgrid."
    )]
    CannotListenAlso {
        /// The address.
        address: std::net::IpAddr,
        /// The system's words.
        problem: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored jobs cannot be read.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The desktop app cannot reach its own server.
    #[error(
        "The local door {} could not be opened: {problem}. Choose a data folder on another disk: some, such as USB \
         sticks, allow no sockets.",
        path.display()
    )]
    NoLocalDoor {
        /// Where it was to be.
        path: PathBuf,
        /// The system's words.
        problem: std::io::Error,
    },
    /// A task of ours broke off.
    #[error("Deskgrid could not start: {0}. Please report this.")]
    Broken(#[from] tokio::task::JoinError),
}

impl StartError {
    /// The process that has the data folder already, where it is that and is known.
    pub fn process_in_folder(&self) -> Option<u32> {
        match self {
            Self::Store(StoreError::InUse { pid, .. }) => *pid,
            _ => None,
        }
    }

    /// Whether somebody else works in the data folder.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(StoreError::InUse { .. }))
    }

    /// Whether it is the data folder with which something is wrong, and not that somebody else works in it.
    pub fn is_of_the_folder(&self) -> bool {
        match self {
            Self::Store(_) => !self.is_in_use(),
            Self::Worker(_) | Self::NoLocalDoor { .. } => true,
            _ => false,
        }
    }

    /// Stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(error) => error.code(),
            Self::PortTaken { .. } => "port-taken",
            Self::CannotListen { .. } | Self::CannotListenAlso { .. } => "cannot-listen",
            Self::Store(error) => error.code(),
            Self::Worker(error) => error.code(),
            Self::NoLocalDoor { .. } => "no-local-door",
            Self::Broken(_) => "broken",
        }
    }
}
