//! The real engine that the tests use: the one named by `DESKGRID_TEST_DOCKER_HOST`, or else the one that discovery
//! finds. It has the image [`IMAGE`].

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deskgrid_docker::{ContainerSpec, Engine, EngineState, EngineWatch, LABEL_WORKER, Network};

/// A busybox that `make test` puts into the engine. It has no command of its own.
pub(crate) const IMAGE: &str = "deskgrid-test/busybox:latest";

/// After this, tests say that there is no engine instead of waiting for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine's address as a setting.
pub(crate) fn preferred() -> Option<String> {
    std::env::var("DESKGRID_TEST_DOCKER_HOST").ok()
}

/// The engine, once it answers.
pub(crate) async fn engine() -> Engine {
    let watch = EngineWatch::start(preferred());
    let mut state = watch.state();
    let ready = state.wait_for(|state| matches!(state, EngineState::Ready(_)));
    let found = tokio::time::timeout(PATIENCE, ready).await.ok().map(|ready| ready.unwrap().clone());
    let Some(EngineState::Ready(engine)) = found else {
        panic!("the tests need an engine. {}", watch.state().borrow().explain());
    };
    engine
}

/// A test's own worker id on the engine.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) worker: String,
}

impl Stage {
    /// A container of this test that runs a shell script, without a network.
    pub(crate) fn shell(&self, script: &str) -> ContainerSpec {
        self.command(&["/bin/sh", "-c", script])
    }

    /// A container of this test that runs `words`, without a network.
    pub(crate) fn command(&self, words: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: IMAGE.to_owned(),
            cmd: Some(words.iter().map(|word| (*word).to_owned()).collect()),
            labels: [(LABEL_WORKER.to_owned(), self.worker.clone())].into(),
            network: Network::Off,
            ..ContainerSpec::default()
        }
    }
}

/// Runs a test and removes its containers afterwards, also when it fails.
pub(crate) async fn on_engine<F>(test: impl FnOnce(Stage) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let engine = engine().await;
    let worker = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let outcome = tokio::spawn(test(Stage { engine: engine.clone(), worker: worker.clone() })).await;
    for container in engine.ours(&worker).await.unwrap() {
        engine.remove(&container.id).await.unwrap();
    }
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}
