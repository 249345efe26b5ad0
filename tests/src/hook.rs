//! A small web server of a client, which is told by webhooks what becomes of its jobs.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::server::PATIENCE;

/// The server; it ends when dropped.
pub struct Hook {
    port: u16,
    calls: mpsc::UnboundedReceiver<Call>,
    task: JoinHandle<()>,
}

/// One request that came.
#[derive(Debug)]
pub struct Call {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// How a hook treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers with this status.
    Answers(u16),
    /// Reads the request and keeps the connection open without a word.
    SaysNothing,
}

impl Hook {
    /// Listens on a free port; the first calls are treated as `manners` say, all later ones as the last of them.
    pub async fn listen(manners: &'static [Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a port").port();
        let (sender, calls) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            for number in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some(call) = read(&mut stream).await else { continue };
                match manners[number.min(manners.len() - 1)] {
                    Manner::Answers(status) => {
                        let answer =
                            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    Manner::SaysNothing => silent.push(stream),
                }
                if sender.send(call).is_err() {
                    return;
                }
            }
        });
        Self { port, calls, task }
    }

    /// Its address with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next call.
    pub async fn next(&mut self) -> Call {
        let call = tokio::time::timeout(PATIENCE, self.calls.recv()).await;
        call.expect("a call comes in time").expect("the hook listens")
    }

    /// Waits until there was a call for each of `jobs`.
    pub async fn until_all(&mut self, mut jobs: BTreeSet<String>) {
        while !jobs.is_empty() {
            let call = self.next().await;
            jobs.remove(call.body["jobId"].as_str().unwrap_or_default());
        }
    }

    /// Whether no further call has come by now.
    pub fn is_quiet(&self) -> bool {
        self.calls.is_empty()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request with a `Content-Length`.
async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().filter_map(|line| line.split_once(": "));
        let length = length.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
        let body = &bytes[end + 4..];
        if body.len() >= length.1.parse().ok()? {
            return Some(Call { head, body: serde_json::from_slice(body).unwrap_or_default() });
        }
    }
}
