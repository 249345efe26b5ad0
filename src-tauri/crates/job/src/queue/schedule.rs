//! Whose turn it is: first in, first out, where a job that does not fit lets smaller ones pass for a while.

use super::{Allotment, Effect, Queue};
use crate::phase::{self, Move};
use crate::{JobId, Time};

/// After this many later jobs went ahead, nothing passes a waiting job any more, so that it cannot starve.
pub(super) const MOST_OVERTAKINGS: u32 = 16;
/// How far behind the first waiting job we look for one that fits; bounds the work for each event.
const LOOK_AHEAD: usize = 512;

impl Queue {
    /// Starts every waiting job that fits, in order.
    pub(super) fn start_what_fits(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while self.open && self.lack.is_none() && !self.taken.is_full(&self.capacity) {
            let Some((turn, allotment)) = self.next_that_fits() else { return };
            for (_, passed) in self.waiting.range_mut(..turn) {
                passed.overtaken += 1;
            }
            let Some(waiting) = self.waiting.remove(&turn) else { return };
            self.start(&waiting.id, allotment, now, effects);
        }
    }

    fn next_that_fits(&mut self) -> Option<(u64, Allotment)> {
        for (turn, waiting) in self.waiting.iter().take(LOOK_AHEAD) {
            let Some(job) = self.jobs.get(&waiting.id) else { continue };
            // An earlier run of the same job may still be ending: never two at once.
            if self.runs.contains_key(&job.id) {
                continue;
            }
            if let Some(allotment) = self.taken.take(&self.capacity, &job.needs) {
                return Some((*turn, allotment));
            }
            if waiting.overtaken >= MOST_OVERTAKINGS {
                return None;
            }
        }
        None
    }

    fn start(&mut self, id: &JobId, allotment: Allotment, now: Time, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Ok(phase) = phase::next(job.phase, Move::Start) else { return };
        job.phase = phase;
        job.changed_at = now;
        self.last_run = self.last_run.max(job.run) + 1;
        job.run = self.last_run;
        self.runs.insert(id.clone(), (job.run, allotment.clone()));
        effects.push(Effect::Save(job.clone()));
        effects.push(Effect::Show(job.clone()));
        effects.push(Effect::Start { id: id.clone(), run: job.run, allotment });
    }
}
