//! The worker: owner of the queue and of every run of a job on this computer.
//!
//! One task owns the [`deskgrid_job::queue::Queue`]; all others send it requests. It stores what the queue decides,
//! then tells the readers of the lists, then starts and stops runs. A run brings the image and the inputs, follows
//! the container and collects the outputs. This crate knows neither HTTP nor the wire format, neither SQL nor bollard.

pub mod cache;
mod calls;
mod disk;
mod fetch;
mod lists;
mod live;
mod owner;
mod room;
mod run;
mod secret_contexts;
mod sites;

use std::sync::Arc;
use std::time::Duration;

use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::{Capacity, Released, Situation};
use deskgrid_job::{Caller, Carried, Definition, Hold, Job, JobId, Outlook, SecretAddress, WorkerId};
use deskgrid_store::{Store, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use deskgrid_contexts::Limits as ContextLimits;
pub use deskgrid_docker::{EngineState, PullProgress, Usage};
pub use lists::{ChangedJobs, Feed, Listing, LiveLines, News, Step};
pub use live::Live;
pub use sites::{SiteNetwork, SiteRules, SiteRulesByCaller};

/// What a worker is started with.
pub struct Setup {
    /// Where everything is kept.
    pub store: Store,
    /// The engine, as it comes and goes.
    pub engine: watch::Receiver<EngineState>,
    /// This worker's name on its containers.
    pub id: WorkerId,
    /// Reads a stored definition; the wire format is not ours to know.
    pub read_definition: fn(&str) -> Result<Definition, String>,
    /// What containers are told as our address, such as `http://localhost:8000`.
    pub base_url: watch::Receiver<String>,
    /// Whether jobs may start: not while the person has stopped us.
    pub on: watch::Receiver<bool>,
    /// Limits, which may change while we run.
    pub limits: watch::Receiver<Limits>,
    /// What the jobs of each site may do, which may change while we run; asked when a container is made.
    pub site_rules: watch::Receiver<SiteRulesByCaller>,
    /// The chosen limit of the cache in bytes, none for the usual one. With the usual one in its place, the first look
    /// would remove what a larger one keeps.
    pub cache_limit: Option<u64>,
}

/// What jobs may take of this computer.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Thousandths of a CPU; none for all that the engine has but one.
    pub cpu_millis: Option<u32>,
    /// Bytes of memory; none for four fifths of what the engine has.
    pub memory: Option<u64>,
    /// Ids of the GPUs that jobs may use.
    pub gpus: Vec<String>,
    /// No job runs longer than this, and no build.
    pub max_duration: Duration,
    /// What the files that an image is built from may cost.
    pub contexts: ContextLimits,
}

/// A job on its way in.
#[derive(Debug)]
pub struct Submission {
    /// The job's name.
    pub id: JobId,
    /// The queue and namespace that want it.
    pub hold: Hold,
    /// The definition as it is kept: exactly as submitted, but for secrets in the address of its build's context.
    pub text: String,
    /// That address, where there are such.
    pub secret_context: Option<SecretAddress>,
    /// The definition as we understand it, or why we do not. A wrong one becomes a job that has failed.
    pub definition: Result<Definition, String>,
    /// What clients get back unread.
    pub carried: Carried,
    /// Whom to call when it is queued.
    pub on_queued: Option<Call>,
    /// Whom to call when it is finished.
    pub on_finished: Option<Call>,
}

/// A webhook (protocol section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where to POST.
    pub url: String,
    /// The JSON to send.
    pub body: String,
}

/// A claim on its way out.
#[derive(Debug)]
pub struct Release {
    /// The job.
    pub id: JobId,
    /// Whose claims, in which queue; a program lets go for everyone.
    pub outlook: Outlook,
    /// The namespaces that let go.
    pub slots: Released,
    /// Why.
    pub why: Withdrawal,
}

/// Why a request could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The worker is being stopped.
    #[error("Deskgrid is stopping. Start it again and repeat the request.")]
    Stopping,
    /// The disk refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WorkerError {
    /// Stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Store(error) => error.code(),
        }
    }
}

/// What the worker offers at the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// What jobs may take in all.
    pub capacity: Capacity,
    /// No job runs longer than this.
    pub max_duration: Duration,
}

/// A handle to the worker, cheap to clone; it does not keep the worker running.
#[derive(Clone)]
pub struct Worker(Arc<Shared>);

struct Shared {
    id: WorkerId,
    store: Store,
    lists: lists::Lists,
    board: live::Board,
    kit: Arc<run::Kit>,
    situation: watch::Receiver<Situation>,
    requests: mpsc::Sender<owner::Request>,
    engine: watch::Receiver<EngineState>,
    offer: watch::Receiver<Offer>,
}

/// Owns the worker's tasks. Containers go on when it is dropped: the next start takes them over.
pub struct Running {
    worker: Worker,
    owner: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Starts the worker over what the store holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(setup: Setup) -> Result<Self, WorkerError> {
        owner::start(setup).await
    }

    /// The handle that others use.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Waits until the runs that are over have removed their containers.
    pub async fn cleared(&self) {
        let clearing = &self.worker.0.kit.clearing;
        clearing.close();
        clearing.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.owner.abort();
    }
}

impl Worker {
    /// Accepts a job; when this returns, it is on disk.
    ///
    /// # Errors
    /// When it could not be stored, or the worker is stopping.
    pub async fn submit(&self, submission: Submission) -> Result<(), WorkerError> {
        self.ask(|reply| owner::Request::Submit(Box::new(submission), reply)).await
    }

    /// Hands a job in without waiting until it is on disk, for clients that are not answered. Requests are carried
    /// out in the order they were handed in.
    ///
    /// # Errors
    /// When the worker is stopping.
    pub async fn hand_in(&self, submission: Submission) -> Result<(), WorkerError> {
        let (reply, _) = oneshot::channel();
        let request = owner::Request::Submit(Box::new(submission), reply);
        self.0.requests.send(request).await.map_err(|_| WorkerError::Stopping)
    }

    /// Lets go of a job: cancels or deletes it when nobody else holds it. False when there is no such job.
    ///
    /// # Errors
    /// When it could not be stored, or the worker is stopping.
    pub async fn release(&self, release: Release) -> Result<bool, WorkerError> {
        self.ask(|reply| owner::Request::Release(release, reply)).await
    }

    /// Runs a finished job once more for all who hold it, or held it last; one that is not over goes on as it is.
    /// False when there is no such job.
    ///
    /// # Errors
    /// When it could not be stored, or the worker is stopping.
    pub async fn run_again(&self, id: &JobId, holds: Vec<Hold>) -> Result<bool, WorkerError> {
        self.ask(|reply| owner::Request::Again { id: id.clone(), holds, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> owner::Request,
    ) -> Result<T, WorkerError> {
        let (reply, answer) = oneshot::channel();
        self.0.requests.send(request(reply)).await.map_err(|_| WorkerError::Stopping)?;
        answer.await.map_err(|_| WorkerError::Stopping)
    }

    /// The present record of a job, listed or kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn job(&self, id: &JobId) -> Result<Option<Arc<Job>>, WorkerError> {
        match self.0.lists.job(id) {
            Some(job) => Ok(Some(job)),
            None => Ok(self.0.store.job(id).await?.map(Arc::new)),
        }
    }

    /// All jobs that `outlook` shows, in no order.
    pub fn list(&self, outlook: &Outlook) -> Vec<Arc<Job>> {
        self.0.lists.all(outlook)
    }

    /// Whether `outlook` shows this job.
    pub fn shows(&self, outlook: &Outlook, id: &JobId) -> bool {
        self.0.lists.shows(outlook, id)
    }

    /// How many unfinished jobs a caller has asked for, in all queues.
    pub fn unfinished(&self, caller: &Caller) -> usize {
        self.0.lists.unfinished(caller)
    }

    /// Every listed job of every queue, once.
    pub fn everything(&self) -> Vec<Arc<Job>> {
        self.0.lists.everything().into_values().collect()
    }

    /// A reader of `outlook` that has seen nothing yet.
    pub fn feed(&self, outlook: &Outlook) -> Feed {
        self.0.lists.feed(outlook)
    }

    /// States, live lines and pull progress in `outlook` from now on. Slow readers miss some of it.
    pub fn news(&self, outlook: &Outlook) -> broadcast::Receiver<News> {
        self.0.lists.news(outlook)
    }

    /// Which jobs of any queue change from now on, whoever asked for them.
    pub fn changes(&self) -> ChangedJobs {
        self.0.lists.changes()
    }

    /// Lets those who follow [`Worker::changes`] look at a job again.
    pub fn note_change(&self, id: &JobId) {
        self.0.lists.note(id);
    }

    /// What the run of a job does at this moment.
    pub fn live(&self, id: &JobId) -> Option<Live> {
        self.0.board.of(id)
    }

    /// The runs that changed after version `seen`, and the version that this is; 0 for all.
    pub fn live_since(&self, seen: u64) -> (Vec<(JobId, Live)>, u64) {
        self.0.board.since(seen)
    }

    /// Tells of new versions of [`Worker::live_since`].
    pub fn live_changes(&self) -> watch::Receiver<u64> {
        self.0.board.changes()
    }

    /// What is taken and what jobs wait for, as it changes.
    pub fn situation(&self) -> watch::Receiver<Situation> {
        self.0.situation.clone()
    }

    /// The engine as it comes and goes.
    pub fn engine(&self) -> watch::Receiver<EngineState> {
        self.0.engine.clone()
    }

    /// What jobs may take, as it changes.
    pub fn offer(&self) -> watch::Receiver<Offer> {
        self.0.offer.clone()
    }

    /// This worker's name.
    pub fn id(&self) -> &WorkerId {
        &self.0.id
    }

    /// Where blobs, definitions, results and logs are.
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}
