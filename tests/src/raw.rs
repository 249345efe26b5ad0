//! Requests written byte for byte, for what a proper client would put right before it sends it: paths with `..`,
//! host names of others, bodies that break off.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Deskgrid, PATIENCE};

/// A request on its way out.
#[derive(Clone, Debug)]
pub struct Raw {
    head: String,
    names_host: bool,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Raw {
    /// A request for `path`, which goes out as it is.
    pub fn new(method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        Self { head, names_host: false, body: Vec::new() }
    }

    /// Adds a header. The right `Host` is added by itself unless one is given.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.names_host |= name.eq_ignore_ascii_case("host");
        self.head = format!("{}{name}: {value}\r\n", self.head);
        self
    }

    /// Leaves the `Host` out.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.names_host = true;
        self
    }

    /// Adds a body and its length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len();
        self.header("Content-Length", length)
    }

    /// Adds a body whose length a header gives that was added already.
    #[must_use]
    pub fn bare_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self, server: &Deskgrid) -> Answer {
        let mut stream = self.send_and_stay(server).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("the answer ends in time").expect("the connection is closed in good order");
        Answer::parse(&bytes)
    }

    /// Sends it and hands out the connection, on which more can be sent, or that can be dropped.
    pub async fn send_and_stay(self, server: &Deskgrid) -> TcpStream {
        let address = server.address.trim_start_matches("http://");
        let host = if self.names_host { String::new() } else { format!("Host: {address}\r\n") };
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let mut request = format!("{}{host}\r\n", self.head).into_bytes();
        request.extend(&self.body);
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(&request).await;
        stream
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
