//! Accepts connections on any number of listeners and serves the site on them, until it is told to end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Site;
use crate::bounds::{LONGEST_ADDRESS, LONGEST_HEAD, MOST_CONNECTIONS, MOST_HEADERS, Patience};
use crate::connection::Connection;
use crate::peer::{Clerk, Remote};

/// How long requests under way may take once the server ends.
const GRACE: Duration = Duration::from_secs(1);
/// The wait after a connection could not be accepted, mostly for want of file handles.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// A head that is a little over the limit is refused in words, one that is larger than this by its status alone.
const LARGEST_HEAD: usize = 2 * (LONGEST_HEAD + LONGEST_ADDRESS);
/// What a client reads for whom there is no place.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 101\r\n\
    Retry-After: 10\r\nConnection: close\r\n\r\n\
    {\"error\":\"Too many programs and pages are connected to Deskgrid. Close some.\",\"code\":\"no-connection\"}";

/// Serves `site` on all `listeners`, as one door of it, until `shutdown` is cancelled, and returns about a second later at most:
/// listening stops at once, which `closed` tells, requests under way get that second, sockets and streams are told and
/// closed.
pub async fn serve(
    listeners: Vec<TcpListener>,
    site: Site,
    shutdown: CancellationToken,
    closed: CancellationToken,
) {
    let site = site.behind_new_door();
    // Ends the connections also when this future is dropped.
    let ending = site.ending().clone().drop_guard();
    let hall = Hall {
        routes: site.router(),
        places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        patience: Patience::USUAL,
        clerk: Clerk::default(),
        open: site.open().clone(),
        ending: site.ending().clone(),
    };
    let mut doors = JoinSet::new();
    for listener in listeners {
        doors.spawn(hall.clone().admit(listener));
    }
    shutdown.cancelled().await;
    doors.shutdown().await;
    closed.cancel();
    drop(ending);
    site.open().close();
    site.open().wait().await;
}

/// Where clients are served, whichever door they came through.
#[derive(Clone)]
struct Hall {
    routes: Router,
    /// For all connections of all doors.
    places: Arc<Semaphore>,
    patience: Patience,
    clerk: Clerk,
    open: TaskTracker,
    ending: CancellationToken,
}

impl Hall {
    async fn admit(self, listener: TcpListener) {
        let mut was_full = false;
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    let place = self.places.clone().try_acquire_owned().ok();
                    if place.is_none() && !was_full {
                        tracing::warn!("all {MOST_CONNECTIONS} places for connections are taken");
                    }
                    was_full = place.is_none();
                    match place {
                        Some(place) => drop(self.open.spawn(self.clone().attend(stream, client, place))),
                        None => turn_away(&stream),
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    async fn attend(self, stream: TcpStream, client: SocketAddr, place: OwnedSemaphorePermit) {
        // Small answers are to leave at once; a system that refuses this is only slower.
        let _ = stream.set_nodelay(true);
        let Ok(own_end) = stream.local_addr() else { return };
        let Self { routes, patience, clerk, open, ending, .. } = self;
        let guest = Guest::new(routes, Came::From(Remote::new(client, own_end, clerk)));
        let stream = Connection::new(stream, place, open, ending.clone());
        converse(stream, guest, patience, &ending).await;
    }
}

/// Answers the requests of one connection until its client is done or `ending` is cancelled.
pub(crate) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    guest: Guest,
    patience: Patience,
    ending: &CancellationToken,
) {
    let heard = guest.heard.clone();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.next_head)
        .max_headers(2 * MOST_HEADERS)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), guest)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        // What has come meanwhile is heard first: on a computer that is very busy it is us who are late.
        biased;
        outcome = connection.as_mut() => outcome,
        () = silence(&heard, patience.first_head) => {
            tracing::debug!("a client sent no request in time");
            return;
        }
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("a connection ended with an error: {error}");
    }
}

/// Tells a client that there is no place. It costs no task, so a client that does not read this at once loses it.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(NO_PLACE);
}

/// Whether an error of `accept` means that a client has gone already, so that the next one may be taken at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Returns only when nothing was heard within `patience`.
async fn silence(heard: &CancellationToken, patience: Duration) {
    if tokio::time::timeout(patience, heard.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// How a client came in.
#[derive(Clone)]
pub(crate) enum Came {
    /// Over the network, from this end.
    From(Remote),
    /// Through the local door, which only the person who runs us can open.
    Locally,
}

/// The mark of a request that came through the local door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThroughLocalDoor;

/// The routes for the requests of one connection.
pub(crate) struct Guest {
    routes: TowerToHyperService<Router>,
    came: Came,
    /// Cancelled by the first request.
    heard: CancellationToken,
}

impl Guest {
    pub(crate) fn new(routes: Router, came: Came) -> Self {
        Self { routes: TowerToHyperService::new(routes), came, heard: CancellationToken::new() }
    }
}

impl Service<Request<Incoming>> for Guest {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.heard.cancel();
        match &self.came {
            Came::From(remote) => drop(request.extensions_mut().insert(remote.clone())),
            Came::Locally => drop(request.extensions_mut().insert(ThroughLocalDoor)),
        }
        self.routes.call(request)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const LONG: Duration = Duration::from_secs(1000);
    const SHORT: Duration = Duration::from_millis(50);

    /// Opens a hall with so many places, and returns its address. It closes with the test's runtime.
    async fn opened(first_head: Duration, next_head: Duration, places: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hall = Hall {
            clerk: Clerk::default(),
            routes: Router::new().route("/", get(async || "here")),
            places: Arc::new(Semaphore::new(places)),
            patience: Patience { first_head, next_head },
            open: TaskTracker::new(),
            ending: CancellationToken::new(),
        };
        tokio::spawn(hall.admit(listener));
        address
    }

    async fn said(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // A reset ends it as well as a close does.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_or_half_a_head_is_dropped() {
        let address = opened(SHORT, LONG, 8).await;
        for half in [&b""[..], b"GET / HTTP/1.1\r\nHost: a\r\nX: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(half).await.unwrap();
            assert_eq!(said(&mut stream).await, "");
        }
    }

    #[tokio::test]
    async fn a_client_that_sent_a_request_in_time_may_be_idle_for_longer_but_not_for_ever() {
        let address = opened(LONG, SHORT, 8).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
        let said = said(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 200") && said.matches("here").count() == 1, "{said}");
    }

    #[tokio::test]
    async fn a_client_for_whom_there_is_no_place_is_told_so_and_the_next_one_is_served() {
        let address = opened(LONG, LONG, 1).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        first.read_u8().await.unwrap();
        let refusal = said(&mut TcpStream::connect(address).await.unwrap()).await;
        let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{} {head}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].is_string());
        drop(first);
        loop {
            let mut next = TcpStream::connect(address).await.unwrap();
            next.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            if said(&mut next).await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    }
}
