//! One run of a job: image, inputs, container, log, outputs. Reports its end exactly once and clears up after itself.
//!
//! It decides nothing about the job's state: the queue's owner does, from the report. When the program stops, a run is
//! dropped where it stands; its container goes on and the next start takes it over.

mod build;
mod container;
mod context;
mod counter;
mod course;
mod emulation;
mod follow;
mod image;
mod inputs;
mod journal;
mod logs;
mod outputs;
mod run_time;
mod steady;
mod stop;
mod telling;
mod upload;

pub(crate) use stop::Stop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::{Engine, EngineError, EngineState, ImageProblem, OurContainer};
use deskgrid_fault::{Point, point};
use deskgrid_job::phase::Ending;
use deskgrid_job::queue::{Allotment, RunEnd};
use deskgrid_job::{
    BlobHash, Caller, Course, Definition, Failure, FailureCode, FilePath, JobId, LogLine, QueueName,
    RunResult, Time, WorkerId,
};
use deskgrid_store::{Store, UsedImage};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

pub(crate) use build::Builds;
pub(crate) use container::{ID_LABEL, OURS_LABEL, RUN_LABEL};

use crate::disk::{self, DiskTrouble};
use crate::fetch::Fetcher;
use crate::lists::Lists;
use crate::live::{Board, Pulse};
use crate::room::Writers;
use crate::secret_contexts::SecretContexts;
use crate::sites::Permits;
use crate::{Limits, SiteRulesByCaller};

/// The exit code of a container whose main process was killed outright.
const KILLED: i64 = 137;

/// So often a living engine is asked about a container, or to end it, before it is left to the next sweep.
const MOST_UNANSWERED: u32 = 3;

/// So many runs of a job come back into the queue because a disk took nothing for a moment, before the job fails.
const MOST_HELD_UP: u32 = 3;

/// Between looks whether a disk can be written to again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// An engine that was found gone and is not known to be after this long is there still.
const FALSE_ALARM: Duration = Duration::from_secs(2);

/// What all runs share.
pub(crate) struct Kit {
    pub(crate) store: Store,
    pub(crate) lists: Lists,
    pub(crate) board: Board,
    pub(crate) cache: crate::cache::Control,
    pub(crate) fetcher: Fetcher,
    pub(crate) writers: Writers,
    pub(crate) contexts: deskgrid_contexts::Downloads,
    /// The builds in progress.
    pub(crate) builds: build::Builds,
    /// What the definitions on the disk leave out.
    pub(crate) secret_contexts: SecretContexts,
    pub(crate) worker: WorkerId,
    pub(crate) base_url: watch::Receiver<String>,
    pub(crate) read_definition: fn(&str) -> Result<Definition, String>,
    pub(crate) engine: watch::Receiver<EngineState>,
    pub(crate) limits: watch::Receiver<Limits>,
    pub(crate) site_rules: watch::Receiver<SiteRulesByCaller>,
    pub(crate) reports: mpsc::Sender<Report>,
    /// Runs that are over for everyone else, and have yet to clear up.
    pub(crate) clearing: TaskTracker,
}

/// How a run ended.
pub(crate) struct Report {
    pub(crate) id: JobId,
    pub(crate) run: u32,
    pub(crate) end: RunEnd,
    pub(crate) result: RunResult,
    /// The engine did not answer, so that it may come to what it was asked for later, or did not end the container.
    pub(crate) needs_sweep: bool,
    /// The disk took nothing for a moment, which is counted.
    pub(crate) is_held_up: bool,
    /// The stored files among its inputs.
    pub(crate) inputs: BTreeMap<FilePath, BlobHash>,
    /// Its stages and what it used.
    pub(crate) course: Course,
    /// The name of the image that it wanted.
    pub(crate) image: Option<String>,
    /// The image that it had.
    pub(crate) used_image: Option<UsedImage>,
    /// Told when all this is on the disk.
    pub(crate) stored: oneshot::Sender<()>,
}

/// Where a run begins.
pub(crate) enum Beginning {
    /// From the start.
    Fresh,
    /// With a container of an earlier life of this program, of which this engine told.
    TakeOver(Engine, Box<OurContainer>),
    /// An earlier life left no container behind, or it is gone.
    NothingLeft,
}

/// Why a run does not go on.
#[derive(Clone, Debug)]
pub(crate) enum Interruption {
    /// Nobody wants it any more.
    Stopped,
    /// The engine went away.
    EngineLost,
    /// The engine went away and took the container down with it.
    TakenDown,
    /// The container vanished.
    ContainerLost,
    /// An earlier life of this program ended before the container was started, or the disk took nothing.
    NotBegun,
    /// The disk took nothing for a moment before the container was started.
    HeldUp,
    /// There will be no container result.
    Failed(Failure),
}

impl Interruption {
    /// Whether the container may be there and running after it.
    fn leaves_container(&self) -> bool {
        !matches!(self, Self::TakenDown | Self::ContainerLost)
    }
}

impl From<EngineError> for Interruption {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            // It ended, but not by itself: its exit code is not the job's.
            EngineError::StoppedWithEngine { .. } => return Self::TakenDown,
            EngineError::NoSuchContainer { .. } | EngineError::LimitRefused { .. } => {
                return Self::ContainerLost;
            }
            _ if error.is_engine_lost() => return Self::EngineLost,
            EngineError::CannotStart { .. } => FailureCode::CannotStart,
            EngineError::Image { problem, .. } => image_failure(*problem),
            EngineError::BuildFailed { .. } => FailureCode::BuildFailed,
            EngineError::ReadOnly { .. } => FailureCode::DiskReadOnly,
            _ => FailureCode::EngineRefused,
        };
        Self::Failed(Failure::new(code, error.to_string()))
    }
}

fn image_failure(problem: ImageProblem) -> FailureCode {
    match problem {
        ImageProblem::BadName => FailureCode::BadDefinition,
        ImageProblem::NotFound => FailureCode::ImageNotFound,
        ImageProblem::NoAccess => FailureCode::ImageNoAccess,
        ImageProblem::WrongPlatform => FailureCode::ImageWrongPlatform,
        ImageProblem::Unreachable => FailureCode::RegistryUnreachable,
        ImageProblem::NoSpace => FailureCode::EngineNoSpace,
        ImageProblem::Untrusted | ImageProblem::RateLimited | ImageProblem::Other => {
            FailureCode::ImageUnavailable
        }
    }
}

impl From<Failure> for Interruption {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A line of a log that is of this moment.
fn line(text: String, is_stderr: bool) -> LogLine {
    let text = if text.ends_with('\n') { text } else { format!("{text}\n") };
    LogLine { text, time: Time::now(), is_stderr }
}

/// Our own disk refused.
fn disk(error: impl DiskTrouble) -> Interruption {
    Interruption::Failed(disk::failure(error))
}

/// A run and all it has in its hands.
pub(crate) struct Run {
    pub(crate) kit: Arc<Kit>,
    pub(crate) id: JobId,
    pub(crate) number: u32,
    /// The queue that its container is labelled with; readers of every queue that lists the job hear of it.
    pub(crate) queue: Option<QueueName>,
    /// Who wanted the job when the run began.
    pub(crate) callers: Vec<Caller>,
    pub(crate) allotment: Allotment,
    /// How many runs of the job before this one were held up.
    pub(crate) held_up: u32,
    pub(crate) stop: Stop,
    /// Shows what it does.
    pub(crate) pulse: Pulse,
}

impl Run {
    /// Goes from `beginning` to the end and reports it.
    pub(crate) async fn go(self, beginning: Beginning) {
        let mut course = course::Course::new(&self);
        let outcome = match beginning {
            Beginning::Fresh => course.start_afresh().await,
            Beginning::TakeOver(engine, container) => course.take_over(&engine, *container).await,
            Beginning::NothingLeft => course.look_back().await,
        };
        let outcome = outcome.map_err(|interruption| course.explain(interruption));
        let outcome = match outcome {
            Err(interruption) => Err(self.put_off(interruption, course.has_begun()).await),
            done => done,
        };
        if matches!(outcome, Err(Interruption::EngineLost | Interruption::TakenDown))
            && let Ok(engine) = self.engine()
        {
            tokio::select! {
                () = self.stop.asked() => {}
                () = self.until_loss_is_known(&engine) => {}
            }
        }
        let may_run = outcome.as_ref().is_err_and(Interruption::leaves_container);
        let is_left = may_run && course.stop_container().await;
        let inputs = course.take_inputs();
        let needs_sweep = is_left || matches!(outcome, Err(Interruption::EngineLost));
        let is_held_up = matches!(outcome, Err(Interruption::HeldUp));
        let (end, result) = ending(outcome);
        let course_of_run = self.pulse.finish();
        let (stored, is_stored) = oneshot::channel();
        let report = Report {
            id: self.id.clone(),
            run: self.number,
            end,
            needs_sweep,
            is_held_up,
            result,
            inputs,
            course: course_of_run,
            image: course.image(),
            used_image: course.used_image(),
            stored,
        };
        // From the report on the job is over, and the program may be about to stop: it can wait for this.
        let _clearing = self.kit.clearing.token();
        // Without an owner there is nobody to report to: the program is stopping.
        let _ = self.kit.reports.send(report).await;
        point(Point::EndReported);
        // Until its end is on the disk the container is all that tells the next start of it.
        if is_stored.await.is_ok() {
            course.clear_up().await;
        }
        point(Point::RunCleared);
    }

    /// A disk that may only be read is no job's end: one that has not begun waits in the queue. Where files can be written
    /// all the same, that is over since, or only a folder is on such a disk: the job comes back from the queue at once,
    /// so that this is counted.
    async fn put_off(&self, interruption: Interruption, has_begun: bool) -> Interruption {
        match interruption {
            Interruption::Failed(failure) if failure.code == FailureCode::DiskReadOnly && !has_begun => {
                let store = &self.kit.store;
                store.note_read_only();
                if store.is_read_only().await {
                    Interruption::NotBegun
                } else if self.held_up >= MOST_HELD_UP {
                    Interruption::Failed(failure)
                } else {
                    Interruption::HeldUp
                }
            }
            other => other,
        }
    }

    fn engine(&self) -> Result<Engine, Interruption> {
        self.kit.engine.borrow().ready().cloned().ok_or(Interruption::EngineLost)
    }

    /// What it may do, by the rules of this moment.
    fn permits(&self) -> Permits {
        Permits::of(&self.callers, &self.kit.site_rules.borrow())
    }

    /// A call finds the engine gone a moment before everyone knows. A run that was reported lost within this moment
    /// would be started again in vain.
    async fn until_loss_is_known(&self, engine: &Engine) {
        let mut state = self.kit.engine.clone();
        // It may be back already, as another one.
        let is_known = state.wait_for(|state| state.ready() != Some(engine));
        // Whatever comes of it, the call has failed.
        let _ = tokio::time::timeout(FALSE_ALARM, is_known).await;
    }

    /// The engine, as soon as one answers; none when nobody looks for one any more.
    async fn next_engine(&self) -> Option<Engine> {
        let mut state = self.kit.engine.clone();
        let is_alive = |state: &EngineState| state.ready().is_some_and(|engine| !engine.is_over());
        let state = state.wait_for(is_alive).await.ok()?;
        state.ready().cloned()
    }

    /// Waits until the disk, which turned out to be for reading only, can be written to again, and says whether it was
    /// ours. The engine's disk, of which nobody can tell when, is tried again after a moment.
    async fn until_writable(&self) -> Result<bool, Interruption> {
        let store = &self.kit.store;
        store.note_read_only();
        let written = async {
            // Asked at once, so that nobody is told of our disk where it is another.
            let is_ours = store.is_read_only().await;
            // A folder of it may be on a disk of its own that is so still, where the next try fails at once.
            tokio::time::sleep(DISK_PAUSE).await;
            while store.is_read_only().await {
                tokio::time::sleep(DISK_PAUSE).await;
            }
            Ok::<_, Interruption>(is_ours)
        };
        self.unless_stopped(written).await
    }

    /// Waits for `work`, unless the run is stopped first.
    async fn unless_stopped<T, E: Into<Interruption>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Interruption> {
        tokio::select! {
            biased;
            () = self.stop.asked() => Err(Interruption::Stopped),
            result = work => result.map_err(Into::into),
        }
    }
}

fn ending(outcome: Result<RunResult, Interruption>) -> (RunEnd, RunResult) {
    match outcome {
        Ok(result) => {
            let ending = if result.timed_out { Ending::OutOfTime } else { Ending::Exited };
            (RunEnd::Over { ending, runs_again: false }, result)
        }
        Err(Interruption::Failed(failure)) => {
            let runs_again = failure.code.is_this_computer();
            (RunEnd::Over { ending: Ending::Failed, runs_again }, RunResult::failed(failure))
        }
        Err(
            Interruption::Stopped
            | Interruption::EngineLost
            | Interruption::TakenDown
            | Interruption::ContainerLost,
        ) => (RunEnd::Lost, RunResult::default()),
        Err(Interruption::NotBegun | Interruption::HeldUp) => (RunEnd::NotBegun, RunResult::default()),
    }
}
