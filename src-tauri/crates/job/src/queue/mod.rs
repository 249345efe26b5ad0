//! The queue's rules: which job is in which state, who wants it, and whose turn it is.
//!
//! [`Queue::apply`] is the only place where a job's state changes. It is a pure function of the state, the event
//! and the time: no clock, no disk, no engine. Its owner (the worker) carries out the effects.
//! It does not keep definitions, results or logs.

mod capacity;
mod claims;
mod event;
mod schedule;
mod situation;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

pub use capacity::{Allotment, Capacity, memory_words};
pub use event::{Again, Effect, Event, Lack, Objection, Release, Released, RunEnd, Submission};
pub use situation::Situation;

use crate::phase::{self, Move, Withdrawal};
use crate::{Job, JobId, Phase, Time};
use capacity::Taken;
use slots::Slots;

/// How long a finished job stays in its queue's list (protocol section 3).
pub const LISTED_AFTER_END: Duration = Duration::from_secs(60);
/// How often a lost container is replaced by a new run before the job fails.
pub const MOST_LOSSES: u32 = 3;

/// All jobs that are unfinished or listed, and the order they run in.
#[derive(Clone, Debug)]
pub struct Queue {
    jobs: HashMap<JobId, Job>,
    /// Queued jobs by their place in line.
    waiting: BTreeMap<u64, Waiting>,
    /// Runs whose container may still exist, wanted or not.
    runs: HashMap<JobId, (u32, Allotment)>,
    /// Finished jobs by the time they leave the lists.
    leaving: BTreeSet<(Time, JobId)>,
    slots: Slots,
    capacity: Capacity,
    taken: Taken,
    open: bool,
    /// Why the disk takes no further job.
    lack: Option<Lack>,
    next_turn: u64,
    /// Runs of all jobs are numbered together: what an erased job's run still clears up is never taken for that of
    /// the same job's next life.
    last_run: u32,
}

/// A place in line.
#[derive(Clone, Debug)]
struct Waiting {
    id: JobId,
    /// How many later jobs went ahead of it.
    overtaken: u32,
}

impl Queue {
    /// An empty queue that starts nothing until it is opened.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            jobs: HashMap::new(),
            waiting: BTreeMap::new(),
            runs: HashMap::new(),
            leaving: BTreeSet::new(),
            slots: Slots::default(),
            capacity,
            taken: Taken::default(),
            open: false,
            lack: None,
            next_turn: 1,
            last_run: 0,
        }
    }

    /// Puts back the jobs of an earlier life of this program. Running ones keep what they took and go on
    /// under their old run number; whoever follows their containers reports their end as usual.
    pub fn restore(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            self.next_turn = self.next_turn.max(job.turn + 1);
            self.last_run = self.last_run.max(job.run);
            match job.phase {
                Phase::Queued => self.line_up(&job),
                Phase::Running => self.retake(&job),
                Phase::Finished(_) => {
                    self.leaving.insert((job.changed_at.plus(LISTED_AFTER_END), job.id.clone()));
                }
                Phase::Removed => continue,
            }
            if matches!(job.phase, Phase::Queued | Phase::Running) {
                for hold in &job.holds {
                    self.slots.enter(hold, &job.id);
                }
            }
            self.jobs.insert(job.id.clone(), job);
        }
    }

    /// Decides what follows from `event`. Effects are in the order they shall be carried out.
    pub fn apply(&mut self, event: Event, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Submit(submission) => self.submit(submission, now, &mut effects),
            Event::Withdraw(release) => self.withdraw(release, now, &mut effects),
            Event::Again(again) => self.again(again, now, &mut effects),
            Event::Ended { id, run, end } => self.ended(&id, run, end, now, &mut effects),
            Event::Open(open) => self.open = open,
            Event::Disk(lack) => self.lack = lack,
            Event::Resize(capacity) => self.resize(capacity, now, &mut effects),
            Event::Tick => {}
        }
        self.pass_time(now, &mut effects);
        self.start_what_fits(now, &mut effects);
        effects
    }

    /// The record of a job in memory.
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.get(id)
    }

    /// All jobs in memory, in no order.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// What one run of a job was given, while its container may exist.
    pub fn allotment(&self, id: &JobId) -> Option<(u32, &Allotment)> {
        self.runs.get(id).map(|(run, allotment)| (*run, allotment))
    }

    /// When a [`Event::Tick`] would change something next.
    pub fn next_tick(&self) -> Option<Time> {
        let leaving = self.leaving.first().map(|(time, _)| *time);
        [leaving, self.slots.next_due()].into_iter().flatten().min()
    }

    /// Whether a job waits for its turn.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn submit(&mut self, submission: Submission, now: Time, effects: &mut Vec<Effect>) {
        let Submission { id, hold, needs, carried, objection, kept } = submission;
        let known = self.take_out(&id).or(kept);
        let is_new = known.is_none();
        let mut job = known.unwrap_or_else(|| fresh(&id, now));
        let before = (job.phase, job.holds.len());
        let Ok(phase) = phase::next(job.phase, Move::Submit { again: job.runs_again }) else {
            self.jobs.insert(id, job);
            return;
        };
        if is_new || before.0 != phase {
            self.renew(&mut job, phase, now);
            job.needs = needs;
            job.carried = carried;
        }
        job.hold(hold.clone());
        let changed = is_new || before != (job.phase, job.holds.len());
        self.settle_in(job, changed, now, effects);
        if let Some(objection) = objection.map(Objection::Definition) {
            self.refuse(&id, objection, now, effects);
        } else if let Some(objection) = self.capacity.objection(&needs).map(Objection::TooLarge) {
            self.refuse(&id, objection, now, effects);
        }
        self.replace_others(&hold, &id, now, effects);
    }

    /// Sends a job to the end of the line, as if submitted for the first time; only its run numbers go on.
    fn renew(&mut self, job: &mut Job, phase: Phase, now: Time) {
        job.phase = phase;
        job.queued_at = now;
        job.changed_at = now;
        job.losses = 0;
        job.runs_again = false;
        job.turn = self.next_turn;
        self.next_turn += 1;
    }

    /// Puts a submitted job back into memory and tells of it.
    fn settle_in(&mut self, job: Job, changed: bool, now: Time, effects: &mut Vec<Effect>) {
        match job.phase {
            Phase::Queued if !self.waiting.contains_key(&job.turn) => self.line_up(&job),
            // An answer from the kept result: listed once more, so that every page sees it.
            Phase::Finished(_) => {
                self.leaving.insert((now.plus(LISTED_AFTER_END), job.id.clone()));
            }
            _ => {}
        }
        if changed {
            effects.push(Effect::Save(job.clone()));
        }
        if changed || matches!(job.phase, Phase::Finished(_)) {
            effects.push(Effect::Show(job.clone()));
        }
        self.jobs.insert(job.id.clone(), job);
    }

    fn ended(&mut self, id: &JobId, run: u32, end: RunEnd, now: Time, effects: &mut Vec<Effect>) {
        if self.runs.get(id).is_none_or(|(current, _)| *current != run) {
            return;
        }
        if let Some((_, allotment)) = self.runs.remove(id) {
            self.taken.give_back(&allotment);
        }
        // The job may have been withdrawn, and even submitted again, while this run was being stopped.
        let Some(job) = self.jobs.get(id).filter(|job| job.phase == Phase::Running && job.run == run) else {
            return;
        };
        match end {
            RunEnd::Over { ending, runs_again } => {
                self.finish(id, Move::End(ending), runs_again, now, effects);
            }
            RunEnd::Lost if job.losses >= MOST_LOSSES => {
                effects.push(Effect::Fail {
                    id: id.clone(),
                    objection: Objection::LostTooOften(job.losses + 1),
                });
                self.finish(id, Move::End(phase::Ending::Failed), true, now, effects);
            }
            RunEnd::Lost => self.queue_again(id, 1, now, effects),
            RunEnd::NotBegun => self.queue_again(id, 0, now, effects),
        }
    }

    fn finish(&mut self, id: &JobId, step: Move, runs_again: bool, now: Time, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Ok(phase) = phase::next(job.phase, step) else { return };
        job.phase = phase;
        job.changed_at = now;
        job.runs_again = runs_again;
        self.waiting.remove(&job.turn);
        for hold in &job.holds {
            self.slots.leave(hold, id);
        }
        self.leaving.insert((now.plus(LISTED_AFTER_END), id.clone()));
        effects.push(Effect::Save(job.clone()));
        effects.push(Effect::Show(job.clone()));
    }

    /// A job without a result goes back to its old place in line.
    fn queue_again(&mut self, id: &JobId, losses: u32, now: Time, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Ok(phase) = phase::next(job.phase, Move::Lose) else { return };
        job.phase = phase;
        job.changed_at = now;
        job.losses += losses;
        let job = job.clone();
        self.line_up(&job);
        effects.push(Effect::Save(job.clone()));
        effects.push(Effect::Show(job));
    }

    /// Finishes a queued job that can never run.
    fn refuse(&mut self, id: &JobId, objection: Objection, now: Time, effects: &mut Vec<Effect>) {
        if self.jobs.get(id).is_none_or(|job| job.phase != Phase::Queued) {
            return;
        }
        let runs_again = matches!(objection, Objection::TooLarge(_));
        effects.push(Effect::Fail { id: id.clone(), objection });
        self.finish(id, Move::Refuse, runs_again, now, effects);
    }

    fn resize(&mut self, capacity: Capacity, now: Time, effects: &mut Vec<Effect>) {
        self.capacity = capacity;
        let impossible: Vec<_> = self
            .waiting
            .values()
            .filter_map(|waiting| self.jobs.get(&waiting.id))
            .filter_map(|job| Some((job.id.clone(), self.capacity.objection(&job.needs)?)))
            .collect();
        for (id, objection) in impossible {
            self.refuse(&id, Objection::TooLarge(objection), now, effects);
        }
    }

    /// Finished jobs leave the lists, replaced jobs leave their slots.
    fn pass_time(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for (id, hold) in self.slots.due(now) {
            self.let_go(&id, &[hold], Withdrawal::Replace, now, effects);
        }
        self.bring_nearer(now);
        while self.leaving.first().is_some_and(|(time, _)| *time <= now) {
            let Some((_, id)) = self.leaving.pop_first() else { return };
            if let Some(job) = self.jobs.remove(&id) {
                let outlooks = job.outlooks();
                effects.push(Effect::Hide(job, outlooks));
            }
        }
    }

    /// A job that would leave later than the rule has it ended when the clock was ahead; it leaves as one that ends now.
    fn bring_nearer(&mut self, now: Time) {
        let latest = now.plus(LISTED_AFTER_END);
        while self.leaving.last().is_some_and(|(time, _)| *time > latest)
            && let Some((_, id)) = self.leaving.pop_last()
        {
            self.leaving.insert((latest, id));
        }
    }

    fn line_up(&mut self, job: &Job) {
        self.waiting.insert(job.turn, Waiting { id: job.id.clone(), overtaken: 0 });
    }

    /// A run of an earlier life keeps its room even if the capacity has shrunk since.
    fn retake(&mut self, job: &Job) {
        let allotment = self
            .taken
            .take(&self.capacity, &job.needs)
            .unwrap_or(Allotment { needs: job.needs, gpus: Vec::new() });
        self.runs.insert(job.id.clone(), (job.run, allotment));
    }

    /// Removes a job from memory and from the list of those that leave by time.
    fn take_out(&mut self, id: &JobId) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        if matches!(job.phase, Phase::Finished(_)) {
            self.leaving.retain(|(_, leaving)| leaving != id);
        }
        Some(job)
    }
}

/// A job that nobody submitted before.
fn fresh(id: &JobId, now: Time) -> Job {
    Job {
        id: id.clone(),
        phase: Phase::Queued,
        queued_at: now,
        changed_at: now,
        turn: 0,
        run: 0,
        losses: 0,
        holds: Vec::new(),
        needs: crate::Needs::default(),
        carried: None,
        runs_again: false,
    }
}
