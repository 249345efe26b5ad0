//! Who wants a job: namespaces replace, cancel and delete (protocol section 3).

use super::event::{Again, Effect, Objection, Release, Released};
use super::{Queue, slots};
use crate::phase::{self, Move, Withdrawal};
use crate::{Hold, JobId, Outlook, Phase, Reason, Time};

impl Queue {
    /// Makes `id` the newest job of a namespace. A finished one answers at once and does not stay in the slot.
    pub(super) fn replace_others(&mut self, hold: &Hold, id: &JobId, now: Time, effects: &mut Vec<Effect>) {
        let others = self.slots.enter(hold, id);
        if self.jobs.get(id).is_none_or(|job| matches!(job.phase, Phase::Finished(_))) {
            self.slots.leave(hold, id);
        }
        for other in others {
            self.replace(hold, &other, now, effects);
        }
    }

    /// Sends a finished job to the end of the line, whatever it came to. One that is not over goes on as it is.
    pub(super) fn again(&mut self, again: Again, now: Time, effects: &mut Vec<Effect>) {
        let Again { id, holds, kept } = again;
        if self.jobs.get(&id).is_some_and(|job| !matches!(job.phase, Phase::Finished(_))) {
            return;
        }
        let Some(mut job) = self.take_out(&id).or(kept) else { return };
        let Ok(phase) = phase::next(job.phase, Move::Submit { again: true }) else { return };
        self.renew(&mut job, phase, now);
        if job.holds.is_empty() {
            for hold in holds {
                job.hold(hold);
            }
        }
        let (holds, needs) = (job.holds.clone(), job.needs);
        effects.push(Effect::Forget(id.clone()));
        self.settle_in(job, true, now, effects);
        if let Some(objection) = self.capacity.objection(&needs).map(Objection::TooLarge) {
            self.refuse(&id, objection, now, effects);
        }
        for hold in &holds {
            self.replace_others(hold, &id, now, effects);
        }
    }

    fn replace(&mut self, hold: &Hold, id: &JobId, now: Time, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get(id) else { return };
        if now.since(job.queued_at) < slots::YOUNG {
            self.let_go(id, std::slice::from_ref(hold), Withdrawal::Replace, now, effects);
        } else {
            self.slots.settle(hold, id, now.plus(slots::SETTLE));
        }
    }

    pub(super) fn withdraw(&mut self, release: Release, now: Time, effects: &mut Vec<Effect>) {
        let Release { id, outlook, slots, why, kept } = release;
        let from_disk = !self.jobs.contains_key(&id);
        if from_disk {
            let Some(kept) = kept else { return };
            self.jobs.insert(id.clone(), kept);
        }
        let is_meant = |hold: &&Hold| match &slots {
            Released::All => hold.is_in(&outlook),
            Released::Only(names) => hold.is_in(&outlook) && names.contains(&hold.namespace),
        };
        let holds = self.jobs.get(&id).map(|job| job.holds.iter().filter(is_meant).cloned().collect());
        let holds: Vec<Hold> = holds.unwrap_or_default();
        self.let_go(&id, &holds, why, now, effects);
        if from_disk {
            self.jobs.remove(&id);
        }
    }

    /// Drops claims; the job ends when none is left. A finished job loses claims by deletion only.
    pub(super) fn let_go(
        &mut self,
        id: &JobId,
        holds: &[Hold],
        why: Withdrawal,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Ok(after) = phase::next(job.phase, Move::Withdraw(why)) else { return };
        let listed_in = job.outlooks();
        let had = job.holds.len();
        job.holds.retain(|hold| !holds.contains(hold));
        for hold in holds {
            self.slots.leave(hold, id);
        }
        if !job.holds.is_empty() {
            let job = job.clone();
            if job.holds.len() != had {
                let still = job.outlooks();
                let left = listed_in.into_iter().filter(|outlook| !still.contains(outlook)).collect();
                effects.push(Effect::Save(job.clone()));
                effects.push(Effect::Hide(job.clone(), left));
                effects.push(Effect::Show(job));
            }
            return;
        }
        self.end(id, after, listed_in, now, effects);
    }

    /// Ends a job that nobody wants: it leaves memory, its run is stopped.
    fn end(
        &mut self,
        id: &JobId,
        after: Phase,
        listed_in: Vec<Outlook>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut job) = self.take_out(id) else { return };
        self.waiting.remove(&job.turn);
        let was_running = job.phase == Phase::Running;
        job.phase = after;
        job.changed_at = now;
        if matches!(after, Phase::Removed | Phase::Finished(Reason::Deleted)) {
            effects.push(Effect::Erase(id.clone()));
        } else {
            effects.push(Effect::Save(job.clone()));
        }
        if was_running {
            effects.push(Effect::Stop { id: id.clone(), run: job.run });
        }
        effects.push(Effect::Hide(job, listed_in));
    }
}
