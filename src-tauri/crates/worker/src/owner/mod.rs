//! The one task that owns the queue. Everything that changes a job's state passes through here, one batch at a time:
//! decide, store, tell, act.

mod act;
mod ask;
mod describe;
mod gate;
mod kept;
mod recover;
mod report;
mod room;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::{Engine, EngineState};
use deskgrid_fault::{Point, point};
use deskgrid_job::queue::{Effect, Event, LISTED_AFTER_END, Queue, Situation};
use deskgrid_job::{Hold, JobId, Phase, Time};
use deskgrid_store::{Change, PendingCall};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

pub(crate) use self::gate::offer;
use self::kept::Kept;
use self::recover::Sweep;
use self::room::RoomKnown;
use crate::fetch::Fetcher;
use crate::lists::Lists;
use crate::live::Board;
use crate::room::{self as disk_room, Writers};
use crate::run::{Builds, Kit, Report, Stop};
use crate::secret_contexts::SecretContexts;
use crate::{Limits, Offer, Release, Running, Setup, Shared, Submission, Worker, WorkerError, cache, calls};

/// Requests that wait for the owner; senders wait beyond that.
const INBOX: usize = 1024;
/// Requests that share one transaction.
const BATCH: usize = 512;

/// What others ask of the owner.
pub(crate) enum Request {
    /// Take in a job.
    Submit(Box<Submission>, oneshot::Sender<()>),
    /// Let go of a job; answered with whether it is known.
    Release(Release, oneshot::Sender<bool>),
    /// Run a finished job once more; answered with whether it is known.
    Again {
        id: JobId,
        /// Who holds it where nobody does any more.
        holds: Vec<Hold>,
        reply: oneshot::Sender<bool>,
    },
}

/// What the owner reacts to.
enum Input {
    Request(Request),
    Report(Box<Report>),
    Sweep(Sweep),
    EngineChanged,
    LimitsChanged,
    SwitchedOnOrOff,
    /// The disk had no room for something.
    RoomRefused,
    TimePassed,
}

struct Owner {
    queue: Queue,
    kit: Arc<Kit>,
    requests: mpsc::Receiver<Request>,
    reports: mpsc::Receiver<Report>,
    sweeps: mpsc::Receiver<Sweep>,
    sweep_sender: mpsc::Sender<Sweep>,
    /// The engine in which nothing of an earlier life of ours or its own is left.
    swept: Option<Engine>,
    engine: watch::Receiver<EngineState>,
    limits: watch::Receiver<Limits>,
    on: watch::Receiver<bool>,
    offer: watch::Sender<Offer>,
    situation: watch::Sender<Situation>,
    /// Runs, sweeps and webhooks; they end with the owner.
    tasks: JoinSet<()>,
    /// Ends a run whose result nobody wants any more.
    stops: HashMap<(JobId, u32), Stop>,
    /// How many runs of an unfinished job the disk held up, where it did: in memory only, so that a job fails later
    /// after a restart.
    held_up: HashMap<JobId, u32>,
    /// Runs of an earlier life of this program that have not been found yet.
    orphans: HashSet<(JobId, u32)>,
    calls: mpsc::UnboundedSender<PendingCall>,
    /// Calls that wait for the end of their job.
    calls_at_end: HashMap<JobId, Vec<PendingCall>>,
    next_call: u64,
    room: RoomKnown,
    /// How often the store has rebuilt its records, as far as that was answered by saving all jobs again.
    rebuilds: u64,
}

/// Reads what the store holds and starts the owner.
pub(crate) async fn start(setup: Setup) -> Result<Running, WorkerError> {
    let Setup { store, engine, id, read_definition, base_url, on, limits, site_rules, cache_limit } = setup;
    let lists = Lists::default();
    let (request_sender, requests) = mpsc::channel(INBOX);
    let (report_sender, reports) = mpsc::channel(INBOX);
    let (sweep_sender, sweeps) = mpsc::channel(1);
    let (call_sender, call_receiver) = mpsc::unbounded_channel();
    let first_offer = offer(&limits.borrow(), &engine.borrow());
    let queue = Queue::new(first_offer.capacity.clone());
    let (offer_sender, offer_receiver) = watch::channel(first_offer);
    let (situation, situation_receiver) = watch::channel(queue.situation());
    let board = Board::default();
    let kit = Arc::new(Kit {
        store: store.clone(),
        lists: lists.clone(),
        board: board.clone(),
        cache: cache::Control::new(cache_limit),
        fetcher: Fetcher::default(),
        writers: Writers::default(),
        contexts: deskgrid_contexts::Downloads::default(),
        builds: Builds::default(),
        secret_contexts: SecretContexts::default(),
        worker: id.clone(),
        base_url,
        read_definition,
        engine: engine.clone(),
        limits: limits.clone(),
        site_rules,
        reports: report_sender,
        clearing: TaskTracker::new(),
    });
    let mut owner = Owner {
        queue,
        kit: kit.clone(),
        requests,
        reports,
        sweeps,
        sweep_sender,
        swept: None,
        engine: engine.clone(),
        limits,
        on,
        offer: offer_sender,
        situation,
        tasks: JoinSet::new(),
        stops: HashMap::new(),
        held_up: HashMap::new(),
        orphans: HashSet::new(),
        calls: call_sender,
        calls_at_end: HashMap::new(),
        next_call: 1,
        room: RoomKnown::default(),
        rebuilds: kit.store.rebuilds(),
    };
    owner.restore().await?;
    owner.tasks.spawn(calls::make(kit.clone(), call_receiver));
    owner.tasks.spawn(disk_room::watch(kit.clone()));
    owner.tasks.spawn(describe::describe_old_jobs(kit.clone()));
    let shared = Shared {
        id,
        store,
        lists,
        board,
        kit,
        situation: situation_receiver,
        requests: request_sender,
        engine,
        offer: offer_receiver,
    };
    let worker = Worker(Arc::new(shared));
    owner.tasks.spawn(cache::keep(worker.clone()));
    owner.tasks.spawn(cache::keep_images(worker.0.kit.clone()));
    owner.tasks.spawn(cache::watch_others(worker.0.kit.clone()));
    Ok(Running { worker, owner: tokio::spawn(owner.work()) })
}

impl Owner {
    /// Puts back the jobs and webhooks of an earlier life.
    async fn restore(&mut self) -> Result<(), WorkerError> {
        let store = &self.kit.store;
        let listed_since = Time::now().minus(LISTED_AFTER_END);
        let jobs = store.jobs_in_memory(listed_since).await?;
        let running = jobs.iter().filter(|job| job.phase == Phase::Running);
        self.orphans = running.map(|job| (job.id.clone(), job.run)).collect();
        let keep: Vec<_> = self.orphans.iter().cloned().collect();
        store.sweep_runs(&keep).await?;
        let calls = store.pending_calls().await?;
        jobs.iter().cloned().for_each(|job| self.kit.lists.show(job));
        self.queue.restore(jobs);
        for call in calls {
            self.next_call = self.next_call.max(call.id + 1);
            // Its job may have ended right before that earlier life did.
            let is_due = call.after.as_ref().is_some_and(|id| !self.is_live(id));
            self.line_up_call(if is_due { due_now(call) } else { call });
        }
        Ok(())
    }

    fn is_live(&self, id: &JobId) -> bool {
        is_live(&self.queue, id)
    }

    fn line_up_call(&mut self, call: PendingCall) {
        match call.after.clone() {
            Some(job) => self.calls_at_end.entry(job).or_default().push(call),
            // The receiver lives as long as the owner's other tasks.
            None => drop(self.calls.send(call)),
        }
    }

    /// Works until nobody can ask anything any more, or the owner's task is dropped.
    async fn work(mut self) {
        if self.engine.borrow().ready().is_some() {
            // It came before anyone watched it.
            self.engine.mark_changed();
        }
        while let Some(inputs) = self.next_inputs().await {
            self.take_in(inputs).await;
        }
    }

    /// Waits for something to react to, and takes what else is there already.
    async fn next_inputs(&mut self) -> Option<Vec<Input>> {
        let first = self.next_input().await?;
        let mut inputs = vec![first];
        // Before the runs that an engine took down with it: they must not be started on it again.
        if self.engine.has_changed().is_ok_and(|has| has) {
            inputs.insert(0, Input::EngineChanged);
        }
        while inputs.len() < BATCH {
            let Ok(request) = self.requests.try_recv() else { break };
            inputs.push(Input::Request(request));
        }
        while let Ok(report) = self.reports.try_recv() {
            inputs.push(Input::Report(Box::new(report)));
        }
        Some(inputs)
    }

    async fn next_input(&mut self) -> Option<Input> {
        let now = Time::now();
        let next_tick = self.queue.next_tick().map(|time| time.since(now) + Duration::from_millis(1));
        let next_tick = next_tick.into_iter().chain(self.next_look_at_room()).min();
        tokio::select! {
            Some(report) = self.reports.recv() => Some(Input::Report(Box::new(report))),
            request = self.requests.recv() => request.map(Input::Request),
            Some(sweep) = self.sweeps.recv() => Some(Input::Sweep(sweep)),
            Ok(()) = self.engine.changed() => Some(Input::EngineChanged),
            Ok(()) = self.limits.changed() => Some(Input::LimitsChanged),
            Ok(()) = self.on.changed() => Some(Input::SwitchedOnOrOff),
            () = self.kit.store.room_refused() => Some(Input::RoomRefused),
            Some(_) = self.tasks.join_next() => Some(Input::TimePassed),
            () = tokio::time::sleep(next_tick.unwrap_or_default()), if next_tick.is_some() => Some(Input::TimePassed),
        }
    }

    /// Decides on all inputs, stores the decisions in one transaction, then acts on them.
    async fn take_in(&mut self, inputs: Vec<Input>) {
        let mut decided = Decided { kept: self.kept(&inputs).await, ..Decided::default() };
        self.look_at_room(&inputs, &mut decided).await;
        for input in inputs {
            match input {
                Input::Request(Request::Submit(submission, reply)) => {
                    self.submit(*submission, &mut decided);
                    decided.replies.push(Reply::Submitted(reply));
                }
                Input::Request(Request::Release(release, reply)) => {
                    let known = self.release(release, &mut decided);
                    decided.replies.push(Reply::Released(reply, known));
                }
                Input::Request(Request::Again { id, holds, reply }) => {
                    let known = self.again(id, holds, &mut decided);
                    decided.replies.push(Reply::Released(reply, known));
                }
                Input::Report(report) => self.report(*report, &mut decided),
                Input::Sweep(Sweep::Found(engine, containers, strays)) => {
                    // A sweep that ended meanwhile leaves them to the next one.
                    let _ = strays.send(self.adopt(&engine, containers));
                }
                Input::Sweep(Sweep::Done(engine)) => self.engine_swept(engine, &mut decided),
                Input::EngineChanged => self.engine_changed(&mut decided),
                Input::LimitsChanged => self.resize(&mut decided),
                Input::SwitchedOnOrOff => self.open_or_pause(&mut decided),
                // The look is what it is for.
                Input::RoomRefused => {}
                Input::TimePassed => self.apply(Event::Tick, &mut decided),
            }
        }
        self.kit.secret_contexts.retain(|id| self.is_live(id));
        self.held_up.retain(|id, _| is_live(&self.queue, id));
        let changes = std::mem::take(&mut decided.changes);
        let images = cache::images_of(&self.kit, &changes).await;
        point(Point::BatchDecided);
        self.store(changes).await;
        self.save_rebuilt().await;
        point(Point::BatchStored);
        for stored in decided.ends.drain(..) {
            // A run that was dropped leaves its container to the next start.
            let _ = stored.send(());
        }
        if !images.is_empty() {
            self.tasks.spawn(cache::remove_unused(self.kit.clone(), images));
        }
        let situation = self.situation();
        self.situation.send_if_modified(|old| std::mem::replace(old, situation.clone()) != situation);
        self.act(decided);
    }

    fn apply(&mut self, event: Event, decided: &mut Decided) {
        let effects = self.queue.apply(event, Time::now());
        decided.note(effects, &self.queue);
    }

    /// The records on disk of the jobs that `inputs` ask for and that are not in memory.
    async fn kept(&self, inputs: &[Input]) -> Kept {
        let asked = inputs.iter().filter_map(|input| match input {
            Input::Request(Request::Submit(submission, _)) => Some(&submission.id),
            Input::Request(Request::Release(release, _)) => Some(&release.id),
            Input::Request(Request::Again { id, .. }) => Some(id),
            _ => None,
        });
        let unknown = asked.filter(|id| self.queue.job(id).is_none());
        let unknown: Vec<_> = unknown.cloned().collect();
        self.read(&unknown).await
    }
}

fn is_live(queue: &Queue, id: &JobId) -> bool {
    queue.job(id).is_some_and(|job| matches!(job.phase, Phase::Queued | Phase::Running))
}

/// The call once the job that it waited for has ended.
fn due_now(call: PendingCall) -> PendingCall {
    let now = Time::now();
    PendingCall { due: now, first: now, after: None, ..call }
}

/// What a batch of inputs came to.
#[derive(Default)]
struct Decided {
    kept: Kept,
    changes: Vec<Change>,
    effects: Vec<Effect>,
    calls: Vec<PendingCall>,
    replies: Vec<Reply>,
    has_ended_runs: bool,
    /// Jobs of which more is known than what their state says.
    noted: Vec<JobId>,
    /// Runs that wait until their end is on the disk.
    ends: Vec<oneshot::Sender<()>>,
}

enum Reply {
    Submitted(oneshot::Sender<()>),
    Released(oneshot::Sender<bool>, bool),
}

impl Decided {
    /// Sorts effects into what is written first and what is done afterwards.
    fn note(&mut self, effects: Vec<Effect>, queue: &Queue) {
        self.kept.note(&effects, queue);
        for effect in effects {
            match effect {
                Effect::Save(job) => self.changes.push(Change::Save(job)),
                Effect::Erase(id) => self.changes.push(Change::Erase(id)),
                Effect::Forget(id) => self.changes.push(Change::Forget(id)),
                Effect::Fail { id, objection } => self.changes.push(act::failed(id, objection)),
                later => self.effects.push(later),
            }
        }
    }
}
