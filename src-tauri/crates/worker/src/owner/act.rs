//! What the owner does once its decisions are on disk: tell the lists, start and stop runs, answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use deskgrid_fault::{Point, point};
use deskgrid_job::queue::{Effect, Objection};
use deskgrid_job::{Caller, Failure, FailureCode, Job, JobId, Phase, RunResult};
use deskgrid_store::Change;

use super::{Decided, Owner, Reply, due_now};
use crate::run::{Beginning, Run, Stop};

/// The result of a job that never runs.
pub(super) fn failed(id: JobId, objection: Objection) -> Change {
    let failure = match objection {
        Objection::Definition(why) => Failure::new(FailureCode::BadDefinition, why),
        Objection::TooLarge(why) => Failure::new(FailureCode::TooLarge, why),
        Objection::LostTooOften(times) => Failure::new(
            FailureCode::EngineLost,
            format!(
                "The container was lost {times} times: it was removed by someone, or the engine stopped. \
                 See that the engine keeps running, then run the job again."
            ),
        ),
    };
    Change::Finish { id, result: Arc::new(RunResult::failed(failure)) }
}

/// Who wants a job, each once.
fn callers(job: &Job) -> Vec<Caller> {
    let callers: BTreeSet<_> = job.holds.iter().map(|hold| hold.caller.clone()).collect();
    callers.into_iter().collect()
}

impl Owner {
    /// Carries out what was decided and stored.
    pub(super) fn act(&mut self, decided: Decided) {
        for call in decided.calls {
            self.line_up_call(call);
        }
        for effect in decided.effects {
            match effect {
                Effect::Show(job) => {
                    self.call_at_end(&job);
                    self.kit.lists.show(job);
                }
                Effect::Hide(job, outlooks) => {
                    self.call_at_end(&job);
                    self.kit.lists.hide(job, &outlooks);
                }
                Effect::Start { id, run, .. } => self.begin(&id, run, Beginning::Fresh),
                Effect::Stop { id, run } => self.stop(&id, run),
                // Written to disk before.
                Effect::Save(_) | Effect::Fail { .. } | Effect::Forget(_) | Effect::Erase(_) => {}
            }
        }
        if decided.has_ended_runs {
            self.kit.cache.changed();
        }
        decided.noted.iter().for_each(|id| self.kit.lists.note(id));
        for reply in decided.replies {
            // Whoever asked may have gone away meanwhile.
            match reply {
                Reply::Submitted(reply) => drop(reply.send(())),
                Reply::Released(reply, known) => drop(reply.send(known)),
            }
            point(Point::RequestsAnswered);
        }
    }

    /// Lets the webhooks go that waited for the end of this job.
    fn call_at_end(&mut self, job: &Job) {
        if !matches!(job.phase, Phase::Finished(_) | Phase::Removed) {
            return;
        }
        for call in self.calls_at_end.remove(&job.id).unwrap_or_default() {
            self.line_up_call(due_now(call));
        }
    }

    /// Starts the task of a run that the queue gave room to.
    pub(super) fn begin(&mut self, id: &JobId, number: u32, beginning: Beginning) {
        let Some((_, allotment)) = self.queue.allotment(id) else { return };
        let job = self.queue.job(id).filter(|job| job.phase == Phase::Running && job.run == number);
        let stop = Stop::default();
        if job.is_none() {
            // Withdrawn before its container was found again: the run only ends it.
            stop.ask(&self.kit.clearing);
        }
        self.stops.insert((id.clone(), number), stop.clone());
        let run = Run {
            kit: self.kit.clone(),
            id: id.clone(),
            number,
            callers: job.map(callers).unwrap_or_default(),
            queue: job.and_then(|job| job.holds.first()).map(|hold| hold.queue.clone()),
            allotment: allotment.clone(),
            held_up: self.held_up.get(id).copied().unwrap_or_default(),
            stop,
            pulse: self.kit.board.begin(id, number),
        };
        self.tasks.spawn(run.go(beginning));
    }

    fn stop(&mut self, id: &JobId, run: u32) {
        if let Some(stop) = self.stops.get(&(id.clone(), run)) {
            stop.ask(&self.kit.clearing);
        }
    }
}
