//! From a request to an open socket, and how long messages travel on it.
//!
//! A socket keeps the room that its longest frame took for as long as it is open, and the list of a long queue has
//! megabytes: two hundred pages would keep hundreds of them. So a long message goes in several frames.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::body::MOST_JSON;
use crate::error::HttpError;

/// An open socket.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Bytes of a frame, and of what a socket keeps to read and to write.
const FRAME: usize = 32 * 1024;
const BUFFER: usize = 16 * 1024;

/// The answer that opens the socket, and the socket once that has been sent; none when the client has gone.
///
/// # Errors
/// 426 for a request of another kind.
pub(super) fn handshake(
    mut request: Request,
) -> Result<(Response, impl Future<Output = Option<Socket>> + use<>), HttpError> {
    let response = create_response_with_body(&request, Body::empty).map_err(|error| {
        let words = format!("This address is for WebSocket connections only ({error}).");
        HttpError::refused(StatusCode::UPGRADE_REQUIRED, "websocket-only", words)
    })?;
    let upgraded = hyper::upgrade::on(&mut request);
    let socket = async move {
        let stream = TokioIo::new(upgraded.await.ok()?);
        Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config(MOST_JSON))).await)
    };
    Ok((response, socket))
}

/// A message of a client may have `most` bytes.
pub(super) fn config(most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
}

/// A text in pieces, as messages that are sent one after the other without another between them. Pieces that several
/// sockets share are not copied, unless the whole is short.
pub(super) fn text(pieces: &[Bytes]) -> impl Iterator<Item = Message> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let (whole, parts) = if length <= FRAME {
        // A text stays one.
        let text = Utf8Bytes::try_from(Bytes::from(pieces.concat())).unwrap_or_default();
        (Some(Message::Text(text)), Vec::new())
    } else {
        (None, pieces.iter().flat_map(frames).collect())
    };
    let count = parts.len();
    let parts = parts.into_iter().enumerate().map(move |(number, part)| {
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(part, OpCode::Data(kind), number + 1 == count))
    });
    whole.into_iter().chain(parts)
}

/// Cuts a piece into what fits into a frame.
fn frames(piece: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..piece.len()).step_by(FRAME).map(|from| piece.slice(from..piece.len().min(from + FRAME)))
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn a_text_of_any_length_comes_as_one_message() {
        for length in [0, 5, FRAME - 1, FRAME, FRAME + 1, 10 * FRAME + 7] {
            let (here, there) = tokio::io::duplex(1 << 20);
            let mut server = WebSocketStream::from_raw_socket(here, Role::Server, Some(config(10))).await;
            let mut client = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
            // Letters of two bytes, so that some are cut.
            let sent = "x".repeat(length % 2) + &"é".repeat(length / 2);
            let whole = Bytes::from(sent.clone());
            let cut = length / 3;
            for pieces in [vec![whole.clone()], vec![whole.slice(..cut), Bytes::new(), whole.slice(cut..)]] {
                for message in text(&pieces) {
                    server.send(message).await.unwrap();
                }
                let came = client.next().await.unwrap().unwrap();
                assert_eq!(came, Message::Text(sent.clone().into()), "{length}");
            }
        }
    }
}
