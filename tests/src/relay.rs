//! A socket in front of the engine's own, as products have that run the engine in a machine of theirs. It can be taken
//! away and put back while engine and containers go on, also right between a request and its answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::PATIENCE;

/// A socket that leads to the engine at another one. It ends when dropped.
pub struct Relay {
    way: Way,
    folder: TempDir,
    tasks: JoinSet<()>,
}

/// What each connection has to know.
#[derive(Clone)]
struct Way {
    target: PathBuf,
    /// Part of the first line of requests whose answers are kept back.
    unanswered: Option<&'static str>,
    /// Raised when there was such an answer.
    was_answered: Arc<watch::Sender<bool>>,
    /// Part of the first line of requests that are counted.
    counted: Option<&'static str>,
    count: Arc<AtomicUsize>,
}

impl Relay {
    /// A closed relay to the engine at `host`, which must be `unix://` and a path.
    pub fn to(host: &str) -> Self {
        let target = host.strip_prefix("unix://").expect("the engine of the tests has a socket").into();
        let was_answered = Arc::default();
        let way = Way { target, unanswered: None, was_answered, counted: None, count: Arc::default() };
        Self { way, folder: tempfile::tempdir().expect("a temporary folder"), tasks: JoinSet::new() }
    }

    /// Hands requests with these words in them on to the engine and keeps its answers, when it is opened next.
    pub fn keep_answers_to(&mut self, words: Option<&'static str>) {
        self.way.unanswered = words;
        self.way.was_answered.send_replace(false);
    }

    /// Counts requests with these words in them, when it is opened next.
    pub fn count(&mut self, words: &'static str) {
        self.way.counted = Some(words);
    }

    /// How many there were.
    pub fn counted(&self) -> usize {
        self.way.count.load(Ordering::SeqCst)
    }

    /// Waits until the engine has answered such a request.
    pub async fn until_answered(&self) {
        let mut was_answered = self.way.was_answered.subscribe();
        let answer = tokio::time::timeout(PATIENCE, was_answered.wait_for(|was_answered| *was_answered));
        answer.await.expect("there is such a request").expect("the sender is ours");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Its address.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Puts the socket there.
    pub fn open(&mut self) {
        let listener = UnixListener::bind(self.socket()).expect("a socket");
        self.tasks.spawn(carry(listener, self.way.clone()));
    }

    /// Takes the socket away and breaks all connections through it.
    pub async fn close(&mut self) {
        self.tasks.shutdown().await;
        std::fs::remove_file(self.socket()).expect("it was open");
    }
}

async fn carry(listener: UnixListener, way: Way) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let way = way.clone();
        // Either side may end it.
        connections.spawn(async move { drop(way.pass(client).await) });
    }
}

impl Way {
    async fn pass(&self, client: UnixStream) -> std::io::Result<()> {
        let engine = UnixStream::connect(&self.target).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_engine, mut to_engine) = engine.into_split();
        let is_kept = watch::Sender::new(false);
        let ask = async {
            let mut bytes = vec![0; 64 * 1024];
            loop {
                let count = from_client.read(&mut bytes).await?;
                if count == 0 {
                    return to_engine.shutdown().await;
                }
                if self.unanswered.is_some_and(|words| contains(&bytes[..count], words)) {
                    is_kept.send_replace(true);
                }
                if self.counted.is_some_and(|words| contains(&bytes[..count], words)) {
                    self.count.fetch_add(1, Ordering::SeqCst);
                }
                to_engine.write_all(&bytes[..count]).await?;
            }
        };
        let answer = async {
            let mut kept = is_kept.subscribe();
            let to_be_kept = async { kept.wait_for(|is_kept| *is_kept).await.map(drop) };
            tokio::select! {
                _ = to_be_kept => {}
                copied = copy(&mut from_engine, &mut to_client) => {
                    copied?;
                    return to_client.shutdown().await;
                }
            }
            from_engine.readable().await?;
            self.was_answered.send_replace(true);
            std::future::pending().await
        };
        tokio::try_join!(ask, answer).map(drop)
    }
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|part| part == words.as_bytes())
}
