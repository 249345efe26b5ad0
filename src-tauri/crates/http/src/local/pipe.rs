//! The local door as a named pipe of Windows. Untested: it needs such a machine.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

/// The wait after a connection could not be accepted.
pub(super) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Pipes have names of their own, so the folder is told by its digits.
pub(super) fn place(data_directory: &Path) -> PathBuf {
    PathBuf::from(format!(r"\\.\pipe\deskgrid-{}", super::digits_of(data_directory)))
}

/// Lets clients in until it is dropped.
pub(super) struct Listener {
    path: PathBuf,
    /// The end that the next client gets.
    next: NamedPipeServer,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        // The first of its name: nobody else can have put up a door that looks like ours.
        let next = ServerOptions::new().first_pipe_instance(true).create(path)?;
        Ok(Self { path: path.to_owned(), next })
    }

    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        self.next.connect().await?;
        let next = ServerOptions::new().create(&self.path)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}
