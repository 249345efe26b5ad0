//! A job as one row of the queue that the person sees, whoever submitted it.

use std::collections::HashMap;
use std::sync::Arc;

use deskgrid_job::queue::Situation;
use deskgrid_job::{Caller, Job, JobId, Needs, Phase};
use deskgrid_store::Synopsis;
use deskgrid_worker::{EngineState, Live};
use serde::Serialize;

use crate::Site;

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    id: String,
    phase: &'static str,
    reason: Option<&'static str>,
    queued_at: u64,
    started_at: Option<u64>,
    ended_at: Option<u64>,
    image: Option<String>,
    command: Option<String>,
    sites: Vec<String>,
    queues: Vec<String>,
    exit_code: Option<i64>,
    duration: Option<u64>,
    failure: Option<FailureOf>,
    needs: NeedsOf,
    waiting: Option<Waiting>,
    live: Option<LiveOf>,
    pinned: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct FailureOf {
    code: &'static str,
    message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NeedsOf {
    cpu_millis: u32,
    memory: u64,
    gpus: u32,
}

/// What a queued job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Waiting {
    place: usize,
    why: String,
}

/// What a running job does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveOf {
    step: &'static str,
    since: u64,
    line: Option<String>,
    done: Option<u64>,
    total: Option<u64>,
    layers: Option<LayersOf>,
    cpu: Option<f32>,
    memory: Option<u64>,
    memory_limit: Option<u64>,
    tail: Option<String>,
    lines: u64,
    build_lines: u64,
    /// The platform that the image is made for, where the engine has to emulate it.
    emulated: Option<String>,
}

/// The layers of an image that is pulled.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LayersOf {
    done: u64,
    total: u64,
}

impl LiveOf {
    /// None before the run has begun and after it has ended.
    pub(super) fn new(live: Live) -> Option<Self> {
        let stage = live.course.current()?;
        Some(Self {
            step: stage.name.as_str(),
            since: stage.start.0,
            cpu: live.usage.map(|usage| (usage.cpus * 1000.0).round() / 1000.0),
            memory: live.usage.map(|usage| usage.memory),
            memory_limit: live.memory_limit,
            line: live.line,
            done: live.done,
            total: live.total,
            layers: live.layers.map(|(done, total)| LayersOf { done, total }),
            tail: live.tail,
            lines: live.lines,
            build_lines: live.build_lines,
            emulated: live.course.emulated,
        })
    }
}

/// What rows depend on beside their own job, as it is at one moment.
pub(super) struct Moment {
    site: Site,
    situation: Situation,
    engine: Option<String>,
    /// Queued jobs in the order of their turns.
    line: Vec<Arc<Job>>,
    /// Their places in it.
    places: HashMap<JobId, usize>,
}

impl Moment {
    pub(super) fn of(site: &Site) -> Self {
        let mut line = site.worker().everything();
        line.retain(|job| job.phase == Phase::Queued);
        line.sort_by_key(|job| job.turn);
        let places = line.iter().enumerate().map(|(place, job)| (job.id.clone(), place)).collect();
        let situation = site.worker().situation().borrow().clone();
        let engine = trouble(&site.worker().engine().borrow());
        Self { site: site.clone(), situation, engine, line, places }
    }

    pub(super) fn row(&self, job: Synopsis) -> Row {
        let (phase, reason) = phase_words(job.phase);
        let is_over = matches!(job.phase, Phase::Finished(_));
        let live = (job.phase == Phase::Running).then(|| self.site.worker().live(&job.id)).flatten();
        let Needs { cpu_millis, memory, gpus } = job.needs;
        Row {
            phase,
            reason,
            queued_at: job.queued_at.0,
            started_at: job.started_at.map(|time| time.0),
            ended_at: is_over.then_some(job.changed_at.0),
            sites: sorted(job.holds.iter().map(|hold| site_word(&hold.caller))),
            queues: sorted(job.holds.iter().map(|hold| hold.queue.to_string())),
            exit_code: job.exit_code,
            duration: job.duration.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            failure: job.failure.map(|(code, message)| FailureOf { code: code.as_str(), message }),
            needs: NeedsOf { cpu_millis, memory, gpus },
            waiting: self.waiting(&job.id),
            live: live.and_then(LiveOf::new),
            pinned: job.is_pinned,
            id: job.id.to_string(),
            image: job.image,
            command: job.command,
        }
    }

    fn waiting(&self, id: &JobId) -> Option<Waiting> {
        let place = *self.places.get(id)?;
        let why = self.situation.why(self.line.get(place)?, self.engine.as_deref());
        Some(Waiting { place: place + 1, why })
    }

    /// The first `most` jobs in line and what they wait for.
    pub(super) fn head(&self, most: usize) -> HashMap<JobId, Waiting> {
        let head = self.line.iter().take(most);
        head.filter_map(|job| Some((job.id.clone(), self.waiting(&job.id)?))).collect()
    }
}

/// What is wrong with the engine, short; none when it is ready.
fn trouble(engine: &EngineState) -> Option<String> {
    match engine {
        EngineState::Ready(_) => None,
        EngineState::NotInstalled(_) => Some("There is no container engine on this computer".to_owned()),
        EngineState::NoPermission(engine) => {
            Some(format!("This user may not use the engine at {}", engine.address))
        }
        EngineState::TooOld(engine) => {
            Some(format!("The engine at {} is too old: {}", engine.address, engine.detail))
        }
        EngineState::NotRunning(engine) if engine.detail.is_empty() => {
            Some(format!("The engine at {} is not running", engine.address))
        }
        EngineState::NotRunning(engine) => {
            Some(format!("The engine at {} is not running: {}", engine.address, engine.detail))
        }
    }
}

fn phase_words(phase: Phase) -> (&'static str, Option<&'static str>) {
    match phase {
        Phase::Queued => ("queued", None),
        Phase::Running => ("running", None),
        Phase::Finished(reason) => ("finished", Some(reason.as_str())),
        Phase::Removed => ("finished", Some("Deleted")),
    }
}

fn site_word(caller: &Caller) -> String {
    match caller {
        Caller::Program => "program".to_owned(),
        Caller::Page(origin) => origin.to_string(),
    }
}

fn sorted(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<_> = words.collect();
    words.sort();
    words.dedup();
    words
}
