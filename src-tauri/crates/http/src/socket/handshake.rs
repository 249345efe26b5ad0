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

/// A text as messages that are sent one after the other without another between them.
pub(super) fn text(text: String) -> impl Iterator<Item = Message> {
    let whole = Bytes::from(text);
    let count = whole.len().div_ceil(FRAME).max(1);
    (0..count).map(move |number| {
        if count == 1 {
            // Whole, it is the text that it was.
            let text = Utf8Bytes::try_from(whole.clone()).unwrap_or_default();
            return Message::Text(text);
        }
        let part = whole.slice(number * FRAME..whole.len().min((number + 1) * FRAME));
        let kind = if number == 0 { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(part, OpCode::Data(kind), number + 1 == count))
    })
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
            for message in text(sent.clone()) {
                server.send(message).await.unwrap();
            }
            assert_eq!(client.next().await.unwrap().unwrap(), Message::Text(sent.into()), "{length}");
        }
    }
}
