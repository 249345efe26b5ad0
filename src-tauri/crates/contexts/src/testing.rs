//! Real servers on this computer for the tests of downloads: archives, repositories, and servers that misbehave.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use crate::{Archive, ContextError, Downloads, Fetched, GitHub, Limits, Remote, Sink, Source, Terms};

/// What a server does.
pub(crate) enum Served {
    /// Git repositories below a folder, by `git http-backend`; with the header that callers must have.
    Git(PathBuf, Option<String>),
    /// Plain files.
    Files(PathBuf),
    /// Says that everything is at another address.
    Redirect(String),
    /// Answers with headers and nothing more.
    Stalled,
    /// Whatever the function says.
    Answer(Box<Answer>),
}

type Answer = dyn Fn(&Request) -> Response<Body> + Send + Sync;

/// A running server. It ends with the test.
pub(crate) struct Server {
    address: String,
    state: Arc<ServerState>,
    task: tokio::task::JoinHandle<()>,
}

struct ServerState {
    served: Served,
    /// Path and `Authorization` of each request.
    seen: Mutex<Vec<String>>,
    asked: watch::Sender<bool>,
    /// Held by the body that never ends.
    left: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start(served: Served) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = ServerState {
            served,
            seen: Mutex::default(),
            asked: watch::Sender::new(false),
            left: watch::Sender::new(false),
        };
        let state = Arc::new(state);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn url_as(&self, user: &str, path: &str) -> String {
        format!("http://{user}@{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits for the first request.
    pub(crate) async fn asked(&self) {
        self.state.asked.subscribe().wait_for(|asked| *asked).await.unwrap();
    }

    /// Waits until the caller of a stalled answer has gone.
    pub(crate) async fn left(&self) {
        self.state.left.subscribe().wait_for(|left| *left).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_owned();
    let line = format!("{} {authorization}", request.uri());
    state.seen.lock().unwrap().push(line.trim().to_owned());
    state.asked.send_replace(true);
    match &state.served {
        Served::Git(_, Some(wanted)) if authorization != *wanted => {
            let answer = Response::builder().status(StatusCode::UNAUTHORIZED);
            answer.header(header::WWW_AUTHENTICATE, "Basic realm=\"git\"").body(Body::empty()).unwrap()
        }
        Served::Git(folder, _) => git_backend(folder.clone(), request).await,
        Served::Files(folder) => match std::fs::read(folder.join(&request.uri().path()[1..])) {
            Ok(bytes) => Response::new(Body::from(bytes)),
            Err(_) => Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap(),
        },
        Served::Redirect(to) => {
            let answer = Response::builder().status(StatusCode::FOUND);
            answer.header(header::LOCATION, format!("{to}{}", request.uri())).body(Body::empty()).unwrap()
        }
        Served::Stalled => {
            let held = Held(Arc::clone(&state));
            Response::new(Body::from_stream(futures_util::stream::once(async move {
                let _held = held;
                std::future::pending::<std::io::Result<Bytes>>().await
            })))
        }
        Served::Answer(answer) => answer(&request),
    }
}

struct Held(Arc<ServerState>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.left.send_replace(true);
    }
}

/// The server side of git, as web servers run it.
async fn git_backend(folder: PathBuf, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let text =
        |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", text("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let feed = tokio::spawn(async move { input.write_all(&body).await });
    let output = child.wait_with_output().await.unwrap().stdout;
    let _ = feed.await.unwrap();
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut answer = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer = match name {
            "Status" => answer.status(value[..3].parse::<u16>().unwrap()),
            name => answer.header(name, value),
        };
    }
    answer.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

/// Keeps a download in memory.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
}

impl Sink for Kept {
    async fn push(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }
}

pub(crate) fn remote(url: &str) -> Remote {
    let Source::Remote(remote) = Source::parse(url, |_| None).unwrap() else { panic!("{url}") };
    remote
}

/// Downloads what `url` says, within generous limits.
pub(crate) async fn fetch(url: &str, known: Option<&str>) -> Result<(Kept, Fetched), ContextError> {
    fetch_with(&Downloads::default(), url, known, &Limits::default()).await
}

/// The same with GitHub elsewhere.
pub(crate) async fn fetch_from(github: &Server, url: &str) -> Result<(Kept, Fetched), ContextError> {
    let github = GitHub { archives: github.url("/archives"), api: github.url("/api") };
    fetch_with(&Downloads::new(github), url, None, &Limits::default()).await
}

pub(crate) async fn fetch_with(
    downloads: &Downloads,
    url: &str,
    known: Option<&str>,
    limits: &Limits,
) -> Result<(Kept, Fetched), ContextError> {
    let scratch = tempfile::tempdir().unwrap();
    let terms = Terms { known, scratch: scratch.path(), limits };
    let mut kept = Kept::default();
    let fetched = downloads.fetch(&remote(url), terms, &mut kept, |_| {}).await?;
    Ok((kept, fetched))
}

/// What is in a download.
pub(crate) fn names(kept: &Kept) -> Vec<String> {
    let archive = Archive::scan(std::io::Cursor::new(kept.bytes.clone()), &Limits::default()).unwrap();
    archive.contents.tree.iter().map(|(path, _)| path.to_string()).collect()
}
