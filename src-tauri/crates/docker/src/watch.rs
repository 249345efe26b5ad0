//! The engine's coming and going, as one value that anyone may follow. Looks again when something happened, hardly
//! ever because time has passed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::discovery::{self, Candidate, Kind, candidates};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::folders::FolderWatch;
use crate::probe;
use crate::state::{EngineState, Trouble};
use crate::surroundings::{Platform, Surroundings};

/// Between attempts to connect to sockets, which are noticed when they appear: for those that stay in place, and for
/// folders that cannot be watched.
const FALLBACK: Duration = Duration::from_secs(2);
/// Between attempts to connect by TCP or pipe, where nothing but an attempt tells that somebody listens.
const UNSEEN: Duration = Duration::from_millis(500);
/// Milliseconds between looks after something was noticed: an engine opens its socket before it may be used.
const SOON: [u64; 8] = [10, 20, 40, 80, 160, 320, 640, 640];

/// Follows the engine until it is dropped.
#[derive(Debug)]
pub struct EngineWatch {
    state: watch::Receiver<EngineState>,
    preferred: watch::Sender<Option<String>>,
    _task: AbortOnDropHandle<()>,
}

impl EngineWatch {
    /// Begins to look for an engine; `preferred` is the person's explicit choice. Needs a Tokio runtime. Returns at
    /// once: the state is [`EngineState::NotRunning`] until the first look is done.
    pub fn start(preferred: Option<String>) -> Self {
        let (state_sender, state) = watch::channel(unasked(preferred.as_deref()));
        let (preferred, preferred_receiver) = watch::channel(preferred);
        let task = Task { state: state_sender, preferred: preferred_receiver, nudge: Arc::default() };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run()));
        Self { state, preferred, _task: task }
    }

    /// The state, and news of it.
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.state.clone()
    }

    /// Changes the person's choice. An engine in use is given up, also when it turns out to be the chosen one.
    pub fn set_preferred(&self, preferred: Option<String>) {
        self.preferred.send_if_modified(|current| {
            let is_new = *current != preferred;
            *current = preferred;
            is_new
        });
    }
}

/// The state before the first look.
fn unasked(preferred: Option<&str>) -> EngineState {
    // The docker command line's files are left for the first look, as reading them blocks.
    let around = Surroundings { read: Box::new(|_| None), ..Surroundings::of_this_computer() };
    let Candidate { address, found_by, kind } = candidates(preferred, &around).swap_remove(0);
    let detail = "it has not been asked yet".to_owned();
    EngineState::NotRunning(Trouble { address, found_by, detail, kind, platform: around.platform })
}

/// The task behind [`EngineWatch`].
struct Task {
    state: watch::Sender<EngineState>,
    preferred: watch::Receiver<Option<String>>,
    /// Rung by the folders of the sockets.
    nudge: Arc<Notify>,
}

/// What one look needs and leaves behind.
struct Survey {
    candidates: Vec<Candidate>,
    installed: Option<Kind>,
    _folders: FolderWatch,
}

impl Task {
    async fn run(mut self) {
        let mut soon = SOON.iter();
        loop {
            let preferred = self.preferred.borrow_and_update().clone();
            let Some(survey) = survey(preferred, self.nudge.clone()).await else { return };
            let state = tokio::select! {
                state = probe::look(&survey.candidates, survey.installed, Platform::here()) => state,
                Ok(()) = self.preferred.changed() => continue,
            };
            let engine = state.ready().cloned();
            self.publish(state);
            match engine {
                Some(engine) => {
                    self.hold(engine).await;
                    soon = [].iter();
                }
                None => self.idle(&survey.candidates, &mut soon).await,
            }
        }
    }

    fn publish(&self, state: EngineState) {
        self.state.send_if_modified(|current| {
            let is_new = *current != state;
            if is_new {
                tracing::info!(code = state.code(), "{}", state.explain());
                *current = state;
            }
            is_new
        });
    }

    /// Stays with `engine` until it is gone or another one is wanted, and says so before anything else is tried.
    async fn hold(&mut self, engine: Engine) {
        let detail = tokio::select! {
            () = until_gone(&engine) => "it went away a moment ago",
            Ok(()) = self.preferred.changed() => "another engine was chosen",
        };
        engine.end();
        let EngineState::NotRunning(trouble) = unasked(self.preferred.borrow().as_deref()) else { return };
        self.publish(EngineState::NotRunning(Trouble { detail: detail.to_owned(), ..trouble }));
    }

    /// Waits until another look is worth while.
    async fn idle(&mut self, candidates: &[Candidate], soon: &mut std::slice::Iter<'static, u64>) {
        let next = soon.next().map(|delay| Duration::from_millis(*delay));
        tokio::select! {
            Ok(()) = self.preferred.changed() => *soon = [].iter(),
            () = self.nudge.notified() => *soon = SOON.iter(),
            () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {}
            () = until_reachable(candidates) => *soon = [].iter(),
        }
    }
}

/// Reads where engines may be and begins to watch those places. None when the runtime is shutting down.
async fn survey(preferred: Option<String>, nudge: Arc<Notify>) -> Option<Survey> {
    let work = move || {
        let around = Surroundings::of_this_computer();
        let candidates = candidates(preferred.as_deref(), &around);
        let sockets: Vec<PathBuf> =
            candidates.iter().filter_map(|candidate| candidate.address.socket()).map(Into::into).collect();
        let folders = FolderWatch::on(&sockets, &nudge);
        Survey { installed: discovery::installed(&around), candidates, _folders: folders }
    };
    tokio::task::spawn_blocking(work).await.ok()
}

/// Tries to connect now and then until somebody listens.
async fn until_reachable(candidates: &[Candidate]) {
    let all_seen = candidates.iter().all(|candidate| candidate.address.socket().is_some());
    let pause = if all_seen { FALLBACK } else { UNSEEN };
    loop {
        tokio::time::sleep(pause).await;
        for candidate in candidates {
            if let Ok(Ok(())) = tokio::time::timeout(FALLBACK, candidate.address.reach()).await {
                return;
            }
        }
    }
}

/// Waits until the engine's event stream ends, or until it does not answer although a call made us doubt it.
async fn until_gone(engine: &Engine) {
    let mut events = engine.events();
    let mut has_events = true;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(())) => continue,
                // Some guards before an engine do not let anyone listen to events; then it is asked instead.
                Some(Err(EngineError::Refused { .. })) => {
                    events = stream::pending().boxed();
                    has_events = false;
                    continue;
                }
                Some(Err(_)) | None => return,
            },
            () = engine.doubted() => {}
            () = tokio::time::sleep(FALLBACK), if !has_events => {}
        }
        if engine.ping().await.is_err() {
            return;
        }
    }
}
