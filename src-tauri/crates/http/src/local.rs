//! The local door: a way in for the window, the tray and the command line of the person who runs us.
//!
//! It is a Unix socket in the data folder, which is closed to other users, or a named pipe. Whoever comes through it
//! is the person: it needs no token, and it stays open while the port is closed.

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Move;
use crate::bounds::Patience;
use crate::serve::{Came, Guest, converse};
use crate::{Site, moving};

#[cfg(windows)]
mod pipe;
#[cfg(unix)]
mod socket;

#[cfg(windows)]
use pipe as platform;
#[cfg(unix)]
use socket as platform;

/// The local door of the server that keeps its data in one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDoor(PathBuf);

impl LocalDoor {
    /// Where the door of this data folder is, whether anybody opens or not.
    pub fn of(data_directory: &Path) -> Self {
        Self(platform::place(data_directory))
    }

    /// The door at this address, as [`Self::path`] gave it.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its address: the path of a Unix socket, or the name of a pipe.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens it. The data folder has to be ours.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(&self) -> io::Result<OpenDoor> {
        platform::Listener::bind(&self.0).map(OpenDoor)
    }
}

/// A local door that lets clients in once it is served.
pub struct OpenDoor(platform::Listener);

impl OpenDoor {
    /// Serves `site` here until `shutdown` is cancelled.
    pub async fn serve(self, site: Site, shutdown: CancellationToken) {
        let site = site.behind_new_door();
        let (open, ending) = (site.open().clone(), site.ending().clone());
        serve(self.0, site.router(), open, ending, shutdown).await;
    }

    /// Tells here how far the move of the data folder is, until `shutdown` is cancelled.
    pub async fn serve_moving(self, progress: watch::Receiver<Move>, shutdown: CancellationToken) {
        let routes = moving::routes(progress);
        serve(self.0, routes, TaskTracker::new(), CancellationToken::new(), shutdown).await;
    }
}

async fn serve(
    listener: platform::Listener,
    routes: Router,
    open: TaskTracker,
    ending: CancellationToken,
    shutdown: CancellationToken,
) {
    // Ends the connections also when this future is dropped.
    let guard = ending.clone().drop_guard();
    tokio::select! {
        () = admit(listener, &routes, &open, &ending) => {}
        () = shutdown.cancelled() => {}
    }
    drop(guard);
    open.close();
    open.wait().await;
}

async fn admit(
    mut listener: platform::Listener,
    routes: &Router,
    open: &TaskTracker,
    ending: &CancellationToken,
) {
    loop {
        match listener.accept().await {
            Ok(stream) => drop(open.spawn(attend(stream, routes.clone(), ending.clone()))),
            Err(error) => {
                tracing::warn!("a program could not be let in through the local door: {error}");
                tokio::time::sleep(platform::ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    ending: CancellationToken,
) {
    converse(stream, Guest::new(routes, Came::Locally), Patience::USUAL, &ending).await;
}

/// Tells data folders apart where their paths are no use.
fn digits_of(data_directory: &Path) -> String {
    let hash = Sha256::digest(data_directory.as_os_str().as_encoded_bytes());
    hex::encode(&hash[..8])
}
