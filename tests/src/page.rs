//! A client on the queue's socket that behaves as the container metaframe in a browser does.

use std::collections::BTreeMap;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::{Deskgrid, PATIENCE};

/// One connection, and what it was told about jobs.
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The records that the page knows, as the browser client merges them.
    pub jobs: BTreeMap<String, Value>,
    /// Every frame that was received, in order.
    pub frames: Vec<Value>,
    /// The bytes of all text that was received.
    pub bytes: usize,
}

impl Page {
    /// Opens the socket of a queue.
    pub async fn open(server: &Deskgrid, queue: &str) -> Self {
        Self::open_at(&server.url(&format!("/q/{queue}/client"))).await
    }

    /// Opens the socket at an `http` URL.
    pub async fn open_at(url: &str) -> Self {
        Self::open_from(url, None).await.expect("the socket opens")
    }

    /// Opens the socket at an `http` URL as a page of `origin` does.
    ///
    /// # Errors
    /// The status of the refusal.
    pub async fn open_from(url: &str, origin: Option<&'static str>) -> Result<Self, u16> {
        let mut request = url.replacen("http", "ws", 1).into_client_request().expect("a URL");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_static(origin));
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket, jobs: BTreeMap::new(), frames: Vec::new(), bytes: 0 }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    /// Opens the socket at an `http` URL; none where nobody listens at the moment.
    pub async fn try_open(url: &str) -> Option<Self> {
        let (socket, _) = connect_async(url.replacen("http", "ws", 1)).await.ok()?;
        Some(Self { socket, jobs: BTreeMap::new(), frames: Vec::new(), bytes: 0 })
    }

    /// Sends a text frame as it is.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.expect("the socket takes it");
    }

    /// Sends a text frame that the server may not want to hear to its end.
    pub async fn try_send_text(&mut self, text: impl Into<String>) {
        let _ = self.socket.send(Message::text(text.into())).await;
    }

    /// Sends a binary frame, which the protocol does not know.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("the socket takes it");
    }

    /// Sends bytes as a text frame, whether they are text or not.
    pub async fn send_as_text(&mut self, bytes: &'static [u8]) {
        let frame = Frame::message(bytes, OpCode::Data(Data::Text), true);
        self.socket.send(Message::Frame(frame)).await.expect("the socket takes it");
    }

    /// Sends a message of the protocol.
    pub async fn send(&mut self, kind: &str, payload: Value) {
        self.send_text(json!({"type": kind, "payload": payload}).to_string()).await;
    }

    /// Submits a job the way the browser does.
    pub async fn submit(&mut self, id: &str, definition: &Value, control: &Value) {
        let value = json!({"type": "Queued", "time": 1,
            "enqueued": {"id": id, "definition": definition, "control": control}});
        self.send("StateChange", json!({"tag": "", "state": "Queued", "job": id, "value": value})).await;
    }

    /// Cancels or deletes a job the way the browser does; without a namespace when none is given.
    pub async fn end(&mut self, id: &str, reason: &str, namespace: Option<&str>) {
        let mut value = json!({"type": "Finished", "reason": reason, "time": 1});
        if let Some(namespace) = namespace {
            value["namespace"] = json!(namespace);
        }
        self.send("StateChange", json!({"tag": "", "state": "Finished", "job": id, "value": value})).await;
    }

    /// The next text frame, or `None` when the server closed the socket.
    pub async fn next_text(&mut self) -> Option<String> {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a frame comes in time");
            match frame? {
                Ok(Message::Text(text)) => {
                    self.bytes += text.len();
                    return Some(text.to_string());
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads until the server closes the socket, and returns its code and its reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("it is closed in time");
            match frame {
                Some(Ok(Message::Close(Some(close)))) => {
                    return (close.code.into(), close.reason.to_string());
                }
                Some(Ok(_)) => {}
                end => panic!("the socket ended without a word: {end:?}"),
            }
        }
    }

    /// Asks for a sign of life and waits for it; all that was sent before has been dealt with then.
    pub async fn ping(&mut self) {
        self.send_text("PING").await;
        self.next_of("PONG").await;
    }

    /// The next frame of the protocol, merged into what the page knows.
    pub async fn next(&mut self) -> Value {
        let text = self.next_text().await.expect("the socket stays open");
        if text == "PONG" {
            return json!({"type": "PONG"});
        }
        let frame: Value = serde_json::from_str(&text).expect("every other frame is JSON");
        let records = frame["payload"]["state"]["jobs"].as_object().cloned().unwrap_or_default();
        match frame["type"].as_str() {
            Some("JobStates") => self.jobs = records.into_iter().collect(),
            Some("JobStateUpdates") => self.jobs.extend(records),
            _ => {}
        }
        self.frames.push(frame.clone());
        frame
    }

    /// Reads frames until one is of `kind`.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        let wait = async {
            loop {
                let frame = self.next().await;
                if frame["type"] == kind {
                    return frame;
                }
            }
        };
        let frame = tokio::time::timeout(PATIENCE, wait).await;
        frame.unwrap_or_else(|_| panic!("no {kind} came; the page knows {:#?}", self.jobs))
    }

    /// Reads frames until the page knows the job in `state`, and returns its record.
    pub async fn until(&mut self, id: &str, state: &str) -> Value {
        self.until_true(|page| page.jobs.get(id).is_some_and(|job| job["state"] == state)).await;
        self.jobs[id].clone()
    }

    /// Reads frames until `is_so`.
    pub async fn until_true(&mut self, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                self.next().await;
            }
        };
        let came_true = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(came_true, "the page never saw what it waited for; it knows {:#?}", self.jobs);
    }

    /// The states in which the job was seen, in order, without repeats.
    pub fn states_seen(&self, id: &str) -> Vec<String> {
        let records = self.frames.iter().filter_map(|frame| frame["payload"]["state"]["jobs"].get(id));
        let mut states: Vec<_> = records.filter_map(|job| job["state"].as_str().map(str::to_owned)).collect();
        states.dedup();
        states
    }

    /// Closes the socket.
    pub async fn close(mut self) {
        // The other side may have closed it first.
        let _ = self.socket.close(None).await;
    }
}
