//! Opens and shuts the port, on request and when the settings name another one. What is behind the port goes on
//! whether it is open or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::EngineState;
use deskgrid_http::{AccessRules, Complaint, DoorState, Site};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::holder::Holder;
use crate::settings::Settings;
use crate::{StartError, listen, rules};

/// Between attempts to open a port that another program holds.
const TRY_AGAIN: Duration = Duration::from_secs(3);
/// Between looks at who holds it: each asks that program a question.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Requests to the porter at once; more wait.
const INBOX: usize = 8;

enum Command {
    Open(oneshot::Sender<Result<(), StartError>>),
    Close(oneshot::Sender<()>),
}

/// A handle on the task that has the port; the task ends with it.
pub(crate) struct Porter {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<DoorState>,
    _task: AbortOnDropHandle<()>,
}

/// What the porter has to do with.
pub(crate) struct Post {
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) access: watch::Sender<AccessRules>,
    /// What containers are told as our address.
    pub(crate) base_url: watch::Sender<String>,
    /// Whether jobs may start.
    pub(crate) on: watch::Sender<bool>,
    /// Knows which container has a port.
    pub(crate) engine: watch::Receiver<EngineState>,
}

impl Porter {
    /// A porter, and where he waits to be shown the site that is behind the port, which stays closed at first.
    pub(crate) fn new(post: Post) -> (Self, oneshot::Sender<Site>) {
        let (commands, requests) = mpsc::channel(INBOX);
        let (state_sender, state) = watch::channel(DoorState::Closed);
        let (show, shown) = oneshot::channel();
        let work = async move {
            if let Ok(site) = shown.await {
                Task { post, site, requests, state: state_sender, open: None, wanted: false, holder: None }
                    .work()
                    .await;
            }
        };
        (Self { commands, state, _task: AbortOnDropHandle::new(tokio::spawn(work)) }, show)
    }

    pub(crate) fn state(&self) -> watch::Receiver<DoorState> {
        self.state.clone()
    }

    /// Opens the port and lets jobs start. When another program holds it, it is tried again until [`Self::close`].
    pub(crate) async fn open(&self) -> Result<(), StartError> {
        let (reply, answer) = oneshot::channel();
        // The task lives as long as the handle does; a runtime that ends takes both.
        let _ = self.commands.send(Command::Open(reply)).await;
        answer.await.unwrap_or(Ok(()))
    }

    /// Closes the port and starts no further job.
    pub(crate) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Close(reply)).await;
        let _ = answer.await;
    }

    /// Closes the port, and returns when those who were in have been told and are out.
    pub(crate) async fn close_and_see_out(&self) {
        self.close().await;
        // Commands are carried out one after the other, so this one is answered when the first is over.
        self.close().await;
    }
}

/// The open port.
struct Open {
    /// What the settings asked for: 0 stands for any.
    wanted: (u16, Option<IpAddr>),
    shut: CancellationToken,
    /// Cancelled when nobody can come in any more.
    closed: CancellationToken,
    served: JoinHandle<()>,
}

impl Open {
    /// Lets nobody in any more.
    async fn close(&self) {
        self.shut.cancel();
        self.closed.cancelled().await;
    }

    /// The same, and waits for those who are in.
    async fn end(mut self) {
        self.shut.cancel();
        if let Err(error) = (&mut self.served).await {
            tracing::error!(%error, "the web server broke off");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shut.cancel();
    }
}

struct Task {
    post: Post,
    site: Site,
    requests: mpsc::Receiver<Command>,
    state: watch::Sender<DoorState>,
    open: Option<Open>,
    wanted: bool,
    /// Who holds which port, and when that was found out.
    holder: Option<(u16, Holder, Instant)>,
}

impl Task {
    async fn work(mut self) {
        let mut settings = self.post.settings.clone();
        loop {
            let is_blocked = self.wanted && self.open.is_none();
            tokio::select! {
                command = self.requests.recv() => match command {
                    Some(command) => self.carry_out(command).await,
                    None => return,
                },
                changed = settings.changed() => match changed {
                    Ok(()) => self.follow_settings().await,
                    Err(_) => return,
                },
                () = tokio::time::sleep(TRY_AGAIN), if is_blocked => drop(self.try_open().await),
            }
        }
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Open(reply) => {
                self.wanted = true;
                // Whoever asks may have stopped who had it.
                self.holder = None;
                self.post.on.send_replace(true);
                let outcome = self.try_open().await;
                let _ = reply.send(outcome);
            }
            Command::Close(reply) => {
                self.wanted = false;
                self.post.on.send_replace(false);
                let open = self.open.take();
                if let Some(open) = &open {
                    open.close().await;
                }
                self.tell(DoorState::Closed);
                // Whoever asked may have come by the port and is waited for below.
                let _ = reply.send(());
                if let Some(open) = open {
                    open.end().await;
                }
            }
        }
    }

    async fn follow_settings(&mut self) {
        let wanted = self.in_settings();
        if !self.wanted || self.open.as_ref().is_some_and(|open| open.wanted == wanted) {
            return;
        }
        // The old port first: with another address the same one may be wanted again.
        if let Some(open) = self.open.take() {
            open.end().await;
        }
        let _ = self.try_open().await;
    }

    fn in_settings(&self) -> (u16, Option<IpAddr>) {
        let settings = self.post.settings.borrow();
        (settings.port, settings.listen)
    }

    async fn try_open(&mut self) -> Result<(), StartError> {
        if self.open.is_some() {
            return Ok(());
        }
        let wanted = self.in_settings();
        // Where any port will do, the one that clients know already will do best.
        let known = Some(self.post.access.borrow().port).filter(|known| wanted.0 == 0 && *known != 0);
        let (listeners, port) = match listen::listen(known.unwrap_or(wanted.0), wanted.1) {
            Ok(opened) => opened,
            Err(error) => {
                let error = self.with_holder(error).await;
                self.tell(DoorState::Blocked(complaint(&error)));
                return Err(error);
            }
        };
        let rules = rules(&self.post.settings.borrow(), port);
        self.post.access.send_replace(rules);
        self.post.base_url.send_replace(format!("http://localhost:{port}"));
        let (shut, closed) = (CancellationToken::new(), CancellationToken::new());
        let serving = deskgrid_http::serve(listeners, self.site.clone(), shut.clone(), closed.clone());
        self.open = Some(Open { wanted, shut, closed, served: tokio::spawn(serving) });
        self.holder = None;
        self.tell(DoorState::Open);
        Ok(())
    }

    /// Adds to the news that a port is taken who has it.
    async fn with_holder(&mut self, error: StartError) -> StartError {
        let StartError::PortTaken { port, .. } = error else { return error };
        let known = self.holder.take().filter(|(of, _, at)| *of == port && at.elapsed() < LOOK_AGAIN);
        let known = match known {
            Some(known) => known,
            None => (port, Holder::of(port, self.post.engine.clone()).await, Instant::now()),
        };
        let holder = Box::new(self.holder.insert(known).1.clone());
        StartError::PortTaken { port, holder }
    }

    fn tell(&self, state: DoorState) {
        self.state.send_if_modified(|known| {
            let is_news = *known != state;
            *known = state;
            is_news
        });
    }
}

/// What stands in the way, for an answer.
pub(crate) fn complaint(error: &StartError) -> Complaint {
    (error.code(), error.to_string())
}
