//! A web server elsewhere, from which inputs and build contexts are downloaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that gives everyone the same answer, or the files of a folder. It ends when dropped.
pub struct Web {
    address: String,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Web {
    /// Serves `body` with this status line, such as `200 OK`, at every path.
    pub async fn serve(status: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = answer(status, "", &body.into());
        Self::start(move |_, _| answer.clone()).await
    }

    /// Serves the files of `folder` with their entity tags, and 304 to who knows one already.
    pub async fn folder(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::start(move |path, known| file(&folder, path, known)).await
    }

    /// Answers each request by its path and the entity tag that the client knows.
    async fn start(give: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                // One after the other is enough, and a client that goes away early is no matter.
                let _ = talk(socket, &give).await;
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

async fn talk(mut socket: TcpStream, give: &impl Fn(&str, &str) -> Vec<u8>) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut socket).lines();
    let (mut path, mut known) = (String::new(), String::new());
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => value.clone_into(&mut known),
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path),
            Some(_) => {}
        }
    }
    socket.write_all(&give(&path, &known)).await?;
    socket.shutdown().await
}

fn file(folder: &Path, path: &str, known: &str) -> Vec<u8> {
    let name = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let Ok(bytes) = std::fs::read(folder.join(PathBuf::from(name))) else {
        return answer("404 Not Found", "", b"");
    };
    let etag = format!("\"{}\"", crate::sha256(&bytes));
    if etag == known {
        return answer("304 Not Modified", "", b"");
    }
    answer("200 OK", &format!("ETag: {etag}\r\n"), &bytes)
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
