//! Accepts connections on any number of listeners and serves the site on them, until it is told to end.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Site;
use crate::connection::Connection;

/// How long a client may take for the head of a request; an idle connection is closed after this.
const HEAD: Duration = Duration::from_secs(60);
/// How long requests under way may take once the server ends.
const GRACE: Duration = Duration::from_secs(1);
/// The wait after a connection could not be accepted, mostly for want of file handles.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `site` on all `listeners` until `shutdown` is cancelled, and returns about a second later at most:
/// listening stops at once, requests under way get that second, sockets and streams are told and closed.
pub async fn serve(listeners: Vec<TcpListener>, site: Site, shutdown: CancellationToken) {
    // Ends the connections also when this future is dropped.
    let ending = site.ending().clone().drop_guard();
    let router = site.router();
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(admit(listener, router.clone(), site.clone()));
    }
    shutdown.cancelled().await;
    doors.shutdown().await;
    drop(ending);
    site.open().close();
    site.open().wait().await;
}

async fn admit(listener: TcpListener, router: Router, site: Site) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                site.open().spawn(attend(stream, router.clone(), site.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Whether an error of `accept` means that a client has gone already, so that the next one may be taken at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn attend(stream: TcpStream, router: Router, site: Site) {
    // Small answers are to leave at once; a system that refuses this is only slower.
    let _ = stream.set_nodelay(true);
    let ending = site.ending();
    let stream = Connection::new(stream, site.open().clone(), ending.clone());
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!("a connection ended with an error: {error}");
    }
}
