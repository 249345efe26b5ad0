//! What the queue is told, and what it asks for in return.

use std::sync::Arc;

use super::{Allotment, Capacity};
use crate::phase::{Ending, Withdrawal};
use crate::{Carried, Hold, Job, JobId, Namespace, Needs, Outlook};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client submits a job.
    Submit(Submission),
    /// A client lets go of a job.
    Withdraw(Release),
    /// The person wants a finished job to run once more.
    Again(Again),
    /// A run is over: its container is gone and what it took is free again. Reported exactly once a run.
    Ended {
        /// The job.
        id: JobId,
        /// Which run of it.
        run: u32,
        /// How it ended, or that the container was lost.
        end: RunEnd,
    },
    /// Whether jobs may be started now: the engine answers and nobody paused us.
    Open(bool),
    /// What the disk lacks for another job to start; nothing while it will do.
    Disk(Option<Lack>),
    /// The offered capacity changed.
    Resize(Capacity),
    /// Time has passed.
    Tick,
}

/// Why the disk that holds jobs' files takes no further job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There is little room on it.
    Room {
        /// The folder that it holds.
        folder: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to stay free.
        reserve: u64,
    },
    /// It may only be read.
    Writing {
        /// The folder that it holds.
        folder: String,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// With a result.
    Over {
        /// Which kind of end.
        ending: Ending,
        /// The cause was this computer, so that a new submission runs the job again.
        runs_again: bool,
    },
    /// Without one: the container or the engine vanished.
    Lost,
    /// Without one: this program ended, or its disk took nothing, before the container was started. Nothing is lost.
    NotBegun,
}

/// A job on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The job's name.
    pub id: JobId,
    /// Who wants it.
    pub hold: Hold,
    /// What it takes.
    pub needs: Needs,
    /// What clients get back unread.
    pub carried: Option<Arc<Carried>>,
    /// Why the definition can never run; such a job finishes at once.
    pub objection: Option<String>,
    /// The record on disk, when the queue has none in memory.
    pub kept: Option<Job>,
}

/// A finished job that shall run once more, for everyone who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The job.
    pub id: JobId,
    /// Who holds it where nobody does any more.
    pub holds: Vec<Hold>,
    /// The record on disk, when the queue has none in memory.
    pub kept: Option<Job>,
}

/// A claim on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The job.
    pub id: JobId,
    /// Whose claims, in which queue; a program lets go for everyone.
    pub outlook: Outlook,
    /// Which namespaces let go.
    pub slots: Released,
    /// Why.
    pub why: Withdrawal,
    /// The record on disk, when the queue has none in memory.
    pub kept: Option<Job>,
}

/// Which namespaces let go of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// All of them (`*`).
    All,
    /// These.
    Only(Vec<Namespace>),
}

/// Something to be done. `Save`, `Fail`, `Forget` and `Erase` reach the disk before anyone is told anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Store this record.
    Save(Job),
    /// Store a result that says why the job cannot run.
    Fail {
        /// The job, whose record is saved too.
        id: JobId,
        /// What to tell.
        objection: Objection,
    },
    /// Drop the result of an earlier run, which nobody shall see any more.
    Forget(JobId),
    /// Erase record, definition, result and logs.
    Erase(JobId),
    /// Begin a run.
    Start {
        /// The job.
        id: JobId,
        /// Its run.
        run: u32,
        /// What it may take.
        allotment: Allotment,
    },
    /// End a run whose result nobody wants any more.
    Stop {
        /// The job.
        id: JobId,
        /// Its run.
        run: u32,
    },
    /// Tell everyone that this record is new or changed.
    Show(Job),
    /// Tell these readers that the job left their lists; the record says how it ended.
    Hide(Job, Vec<Outlook>),
}

/// Why a job cannot run at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The definition is at fault.
    Definition(String),
    /// It asks for more than this computer offers.
    TooLarge(String),
    /// Its container was lost again and again.
    LostTooOften(u32),
}
