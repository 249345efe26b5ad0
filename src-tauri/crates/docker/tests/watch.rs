//! The engine's coming and going. A real engine answers; what comes and goes is the way to it: a socket that hands on
//! to the engine's own.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on shall fail")]

mod test_engine;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deskgrid_docker::{Address, Engine, EngineState, EngineWatch};
use test_engine::{Stage, on_engine};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A socket in front of the engine. Dropping it closes its connections and removes the socket.
struct Relay {
    path: PathBuf,
    _tasks: JoinSet<()>,
}

/// Holds up a relay that has just been opened, as an engine does that is not done with starting.
#[derive(Default)]
struct Gate {
    /// Rung when somebody waits for an answer.
    asked: Notify,
    /// Rung to let answers through from now on.
    open: Notify,
}

impl Relay {
    fn open(path: &Path, engine: &Engine) -> Self {
        Self::gated(path, engine, None)
    }

    fn gated(path: &Path, engine: &Engine, gate: Option<Arc<Gate>>) -> Self {
        let Address::Unix(target) = engine.info().address.clone() else { panic!("the engine has no socket") };
        let listener = UnixListener::bind(path).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            if let Some(gate) = gate {
                // The first connection only tries whether anybody listens, the second one asks.
                listener.accept().await.unwrap();
                let (asking, _) = listener.accept().await.unwrap();
                gate.asked.notify_one();
                gate.open.notified().await;
                connections.spawn(hand_on(asking, target.clone()));
            }
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(hand_on(connection, target.clone()));
            }
        });
        Self { path: path.to_owned(), _tasks: tasks }
    }
}

async fn hand_on(mut ours: UnixStream, target: PathBuf) {
    let mut theirs = UnixStream::connect(target).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
}

impl Drop for Relay {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// A watch of a socket in a folder that does not exist yet.
struct Watched {
    _base: tempfile::TempDir,
    path: PathBuf,
    watch: EngineWatch,
}

impl Watched {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run").join("docker.sock");
        let watch = EngineWatch::start(Some(path.to_str().unwrap().to_owned()));
        Self { _base: base, path, watch }
    }

    async fn state(&self, code: &str) -> EngineState {
        self.watch.state().wait_for(|state| state.code() == code).await.unwrap().clone()
    }

    /// Waits until a look at the place has come to nothing.
    async fn looked(&self) {
        let seen = |state: &EngineState| state.explain().contains("No such file");
        self.watch.state().wait_for(seen).await.unwrap();
    }

    fn make_folder(&self) {
        std::fs::create_dir_all(self.path.parent().unwrap()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_noticed_when_it_comes_and_when_it_goes_and_when_it_comes_back() {
    on_engine(|Stage { engine, .. }| async move {
        let watched = Watched::new();
        watched.looked().await;
        watched.make_folder();
        let relay = Relay::open(&watched.path, &engine);
        let first = watched.state("engine-ready").await;
        assert_eq!(first.ready().unwrap().info().version, engine.info().version);
        drop(relay);
        watched.state("engine-not-running").await;
        assert!(first.ready().unwrap().is_over());
        let _relay = Relay::open(&watched.path, &engine);
        let second = watched.state("engine-ready").await;
        assert!(second != first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_appears_as_a_link_is_noticed() {
    on_engine(|Stage { engine, .. }| async move {
        let watched = Watched::new();
        watched.make_folder();
        watched.looked().await;
        let Address::Unix(target) = &engine.info().address else { panic!("the engine has no socket") };
        std::os::unix::fs::symlink(target, &watched.path).unwrap();
        watched.state("engine-ready").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_answers_only_after_a_while_becomes_ready() {
    on_engine(|Stage { engine, .. }| async move {
        let watched = Watched::new();
        watched.looked().await;
        watched.make_folder();
        let gate = Arc::new(Gate::default());
        let _relay = Relay::gated(&watched.path, &engine, Some(gate.clone()));
        gate.asked.notified().await;
        assert!(watched.watch.state().borrow().ready().is_none());
        gate.open.notify_one();
        watched.state("engine-ready").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_and_streams_end_when_the_engine_goes() {
    on_engine(|stage| async move {
        use futures_util::StreamExt;
        let watched = Watched::new();
        watched.make_folder();
        let relay = Relay::open(&watched.path, &stage.engine);
        let state = watched.state("engine-ready").await;
        let engine = state.ready().unwrap();
        let id = engine.create(&stage.shell("sleep 1000")).await.unwrap();
        let mut output = engine.attach(&id).await.unwrap();
        let mut logs = engine.logs(&id);
        engine.start(&id).await.unwrap();
        let (exit, ..) = tokio::join!(engine.wait(&id), async { drop(relay) });
        assert_eq!(exit.unwrap_err().code(), "engine-gone");
        // What a stream says at its end depends on which was noticed first; that it ends is what matters.
        while output.next().await.is_some() {}
        while logs.next().await.is_some() {}
        assert_eq!(engine.inspect(&id).await.unwrap_err().code(), "engine-gone");
        assert!(stage.engine.inspect(&id).await.unwrap().running);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_choice_of_engine_takes_effect_at_once() {
    on_engine(|Stage { engine, .. }| async move {
        let watched = Watched::new();
        watched.looked().await;
        watched.watch.set_preferred(Some(engine.info().address.to_string()));
        watched.state("engine-ready").await;
        watched.watch.set_preferred(Some("ssh://nowhere".to_owned()));
        let state = watched.state("engine-not-running").await;
        assert!(state.explain().contains("ssh"), "{}", state.explain());
    })
    .await;
}
