//! The socket of one client (protocol section 4): who may open it, and how it ends.
//!
//! Listening and speaking go on beside each other, so that a client that sends a lot before it reads anything, or
//! reads slowly, holds up nobody but itself.

mod changes;
mod handshake;
mod listen;
mod live;
mod speak;
mod submitted;
mod whole_lists;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use deskgrid_job::Outlook;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::error::HttpError;
use crate::names::Seen;
use crate::{Site, bounds};
use handshake::Socket;
use listen::Listener;
use speak::Speaker;
pub(crate) use whole_lists::WholeLists;

/// Answers that may wait for a client to read them.
const WAITING_REPLIES: usize = 16;
/// How long a client may take for its part of the close.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/q/{queue}/client", get(open))
        .route("/q/{queue}/browser", get(open))
        .route("/{queue}/client", get(open))
        .route("/{queue}/browser", get(open))
}

/// What a client asked for, to be sent in its turn.
enum Reply {
    /// This text.
    Frame(String),
    /// The whole queue.
    Whole,
}

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    /// The client left, or can no longer be reached.
    Gone,
    /// It sent a message over the limit.
    TooLarge,
    /// It sent bytes that are no frames, or text that is no UTF-8.
    Garbled,
    /// The page is no longer invited.
    Uninvited,
    /// The server ends.
    Stopping,
}

impl Goodbye {
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::TooLarge => {
                (CloseCode::Size, "A message may have at most 64 MB; upload large files instead.")
            }
            Self::Garbled => (CloseCode::Protocol, "The message could not be read as WebSocket text."),
            Self::Uninvited => (CloseCode::Policy, "Pages of this site may no longer use this Deskgrid."),
            Self::Stopping => (CloseCode::Away, "Deskgrid is stopping."),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

async fn open(
    State(site): State<Site>,
    Seen(outlook): Seen,
    request: Request,
) -> Result<Response, HttpError> {
    let (response, socket) = handshake::handshake(request)?;
    let counted = site.gauges().admit(&outlook, |open| bounds::check_sockets(&outlook.caller, open))?;
    // From now on the server waits for the socket, also before it exists.
    site.open().clone().spawn(async move {
        if let Some(socket) = socket.await {
            attend(socket, site, outlook).await;
        }
        drop(counted);
    });
    Ok(response)
}

async fn attend(socket: Socket, site: Site, outlook: Outlook) {
    let (mut sink, stream) = socket.split();
    let (replies, asked) = mpsc::channel(WAITING_REPLIES);
    let caller = outlook.caller.clone();
    let listener = Listener::new(site.clone(), outlook.clone(), replies);
    let speaker = Speaker::new(site.clone(), outlook, &mut sink);
    let goodbye = tokio::select! {
        goodbye = listener.listen(stream) => goodbye,
        goodbye = speaker.speak(asked) => goodbye,
        () = site.invitations().withdrawn(&caller) => Goodbye::Uninvited,
        () = site.ending().cancelled() => Goodbye::Stopping,
    };
    let farewell = async {
        if let Some(frame) = goodbye.frame() {
            sink.send(Message::Close(Some(frame))).await?;
        }
        sink.close().await
    };
    // A client that does not take it is cut off.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
