//! The engine rooms in this process: opens and closes the server, and is the shell that the server's administration
//! API talks to. The one place of the app that knows `deskgrid-server`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deskgrid_desktop::text;
use deskgrid_server::settings::SettingsSource;
use deskgrid_server::{JobsAtQuit, LocalDoor, Relocation, Server, Shell, StartError, relocate};
use tokio::sync::{mpsc, watch};

use crate::click::AtQuit;
use crate::login;

/// Stopping takes less than this, even where containers of jobs that are over have yet to be removed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// The code for an app that is on its way out.
pub(crate) const LEAVING: &str = "leaving";

/// What somebody asked of the app through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Show the window, at this place.
    OpenWindow(Option<String>),
    /// Leave.
    Quit(AtQuit),
    /// Do not leave when the running jobs have ended.
    Stay,
}

/// The open rooms.
pub(crate) struct Rooms {
    server: Server,
    /// Told where the data folder shall go.
    moves: watch::Receiver<Option<Relocation>>,
    /// Where the local door is.
    pub(crate) door: PathBuf,
}

impl Rooms {
    /// Opens the rooms and the local door. The port stays closed.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way.
    pub(crate) async fn open(source: SettingsSource, shell: AppShell) -> Result<Self, StartError> {
        let server = Server::open(source, Some(Arc::new(shell))).await?;
        let door = LocalDoor::of(server.data_directory()).path().to_owned();
        let moves = server.moves();
        Ok(Self { server, moves, door })
    }

    /// Waits until the person wants the data folder elsewhere.
    pub(crate) async fn wants_to_move(&mut self) -> Relocation {
        let wanted = self.moves.wait_for(Option::is_some).await.ok().and_then(|wanted| wanted.clone());
        match wanted {
            Some(wanted) => wanted,
            // The server is gone, and with it all wishes.
            None => std::future::pending().await,
        }
    }

    /// Closes everything and carries the data folder to its new place, which the settings name afterwards.
    ///
    /// # Errors
    /// Why it stays where it is, in words.
    pub(crate) async fn carry(self, source: SettingsSource, way: Relocation) -> Result<(), String> {
        relocate(self.server, source, way).await.map_err(|(_, words)| words)
    }

    /// Has window and dashboard told why the data folder could not be carried there.
    pub(crate) fn tell_failed_move(&self, way: &Relocation, words: String) {
        self.server.tell_failed_move(way, words);
    }

    /// Opens the port. Why it could not is a part of the server's state, which the tray shows.
    pub(crate) async fn open_port(&self) {
        if let Err(error) = self.server.open_port().await {
            tracing::warn!(%error, "the port stays closed");
        }
    }

    /// The folder that everything is kept in.
    pub(crate) fn data_directory(&self) -> &Path {
        self.server.data_directory()
    }

    /// Closes everything. Containers go on.
    pub(crate) async fn close(self) {
        if tokio::time::timeout(STOP_TIMEOUT, self.server.stop()).await.is_err() {
            tracing::warn!("The server did not stop in time and is left behind.");
        }
    }
}

/// The app, as the administration API sees it.
#[derive(Clone)]
pub(crate) struct AppShell {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) has_tray: watch::Receiver<Option<bool>>,
    /// Whether the app waits for running jobs and leaves then. The app tells it.
    pub(crate) quitting: watch::Sender<bool>,
}

impl AppShell {
    /// Whether there is still somebody who takes it: not when the app is leaving.
    fn order(&self, order: Order) -> bool {
        self.orders.send(order).is_ok()
    }
}

impl Shell for AppShell {
    fn has_tray(&self) -> bool {
        self.has_tray.borrow().unwrap_or(false)
    }

    fn starts_at_login(&self) -> Option<bool> {
        login::is_on()
    }

    fn start_at_login(&self, on: bool) -> Result<(), (&'static str, String)> {
        login::set(on).map_err(|error| (error.code(), error.to_string()))
    }

    fn open_window(&self, link: Option<String>) -> Result<(), (&'static str, String)> {
        let is_taken = self.order(Order::OpenWindow(link));
        is_taken.then_some(()).ok_or_else(|| (LEAVING, text::IS_LEAVING.to_owned()))
    }

    fn quit(&self, jobs: JobsAtQuit) {
        let _ = self.order(Order::Quit(match jobs {
            JobsAtQuit::Finish => AtQuit::Finish,
            JobsAtQuit::Cancel => AtQuit::Cancel,
            JobsAtQuit::Keep => AtQuit::Keep,
        }));
    }

    fn quitting(&self) -> watch::Receiver<bool> {
        self.quitting.subscribe()
    }

    fn stay(&self) {
        let _ = self.order(Order::Stay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_is_leaving_says_so_to_whoever_wants_its_window() {
        let (orders, mut taken) = mpsc::unbounded_channel();
        let shell =
            AppShell { orders, has_tray: watch::channel(None).1, quitting: watch::Sender::new(false) };
        shell.open_window(None).unwrap();
        taken.close();
        assert_eq!(shell.open_window(None).unwrap_err().0, LEAVING);
    }
}
