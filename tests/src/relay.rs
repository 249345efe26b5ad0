//! A socket in front of the engine's own, as products have that run the engine in a machine of theirs. It can be taken
//! away and put back while engine and containers go on.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// A socket that leads to the engine at another one. It ends when dropped.
pub struct Relay {
    target: PathBuf,
    folder: TempDir,
    tasks: JoinSet<()>,
}

impl Relay {
    /// A closed relay to the engine at `host`, which must be `unix://` and a path.
    pub fn to(host: &str) -> Self {
        let target = host.strip_prefix("unix://").expect("the engine of the tests has a socket").into();
        Self { target, folder: tempfile::tempdir().expect("a temporary folder"), tasks: JoinSet::new() }
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
        self.tasks.spawn(carry(listener, self.target.clone()));
    }

    /// Takes the socket away and breaks all connections through it.
    pub async fn close(&mut self) {
        self.tasks.shutdown().await;
        std::fs::remove_file(self.socket()).expect("it was open");
    }
}

async fn carry(listener: UnixListener, target: PathBuf) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let target = target.clone();
        connections.spawn(async move { pass(client, &target).await });
    }
}

async fn pass(mut client: UnixStream, target: &Path) {
    if let Ok(mut engine) = UnixStream::connect(target).await {
        // Either side may end it.
        let _ = copy_bidirectional(&mut client, &mut engine).await;
    }
}
