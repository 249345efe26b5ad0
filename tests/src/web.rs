//! A web server elsewhere, from which inputs are downloaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that gives everyone the same answer. It ends when dropped.
pub struct Web {
    address: String,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Web {
    /// Serves `body` with this status line, such as `200 OK`, at every path.
    pub async fn serve(status: &str, body: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let body = body.into();
        let mut answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())
                .into_bytes();
        answer.extend(body);
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                // One after the other is enough, and a client that goes away early is no matter.
                let _ = give(socket, &answer).await;
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// `path` as a full URL.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn give(mut socket: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut socket).lines();
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    socket.write_all(answer).await?;
    socket.shutdown().await
}
