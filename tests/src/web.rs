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
        Self::start(move |_| answer.clone()).await
    }

    /// Serves the files of `folder` with their entity tags, and 304 to who knows one already.
    pub async fn folder(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::start(move |asked| file(&folder, asked)).await
    }

    /// The same for those who send this `Authorization`, or whose path with its query holds `token`; 401 to all others.
    pub async fn locked_folder(folder: &Path, authorization: &str, token: &str) -> Self {
        let (folder, authorization, token) = (folder.to_owned(), authorization.to_owned(), token.to_owned());
        let closed = answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"");
        Self::start(move |asked| {
            let is_open = asked.authorization == authorization || asked.path.contains(&token);
            if is_open { file(&folder, asked) } else { closed.clone() }
        })
        .await
    }

    /// Answers each request.
    async fn start(give: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
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

/// What a client asks for.
#[derive(Default)]
struct Asked {
    /// The path with its query.
    path: String,
    /// The entity tag that it knows.
    known: String,
    /// Who it says it is.
    authorization: String,
}

async fn talk(mut socket: TcpStream, give: &impl Fn(&Asked) -> Vec<u8>) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut socket).lines();
    let mut asked = Asked::default();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                value.clone_into(&mut asked.known);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.clone_into(&mut asked.authorization);
            }
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut asked.path),
            Some(_) => {}
        }
    }
    socket.write_all(&give(&asked)).await?;
    socket.shutdown().await
}

fn file(folder: &Path, asked: &Asked) -> Vec<u8> {
    let name = asked.path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let Ok(bytes) = std::fs::read(folder.join(PathBuf::from(name))) else {
        return answer("404 Not Found", "", b"");
    };
    let etag = format!("\"{}\"", crate::sha256(&bytes));
    if etag == asked.known {
        return answer("304 Not Modified", "", b"");
    }
    answer("200 OK", &format!("ETag: {etag}\r\n"), &bytes)
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
