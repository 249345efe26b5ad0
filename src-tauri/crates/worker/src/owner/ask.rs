//! What others ask of the owner: to take a job in, to let go of one, to run one again.

use std::sync::Arc;

use deskgrid_job::queue::{self, Effect, Event};
use deskgrid_job::{Hold, JobId, Phase, Time};
use deskgrid_store::{Change, PendingCall};

use super::{Decided, Owner, describe};
use crate::{Release, Submission};

impl Owner {
    pub(super) fn submit(&mut self, submission: Submission, decided: &mut Decided) {
        let Submission { id, hold, text, secret_context, definition, carried, on_queued, on_finished } =
            submission;
        let kept = decided.kept.job(&id);
        let was_live = self.is_live(&id);
        let description = definition.as_ref().ok().map(|definition| describe::description(&id, definition));
        let secret_context =
            definition.as_ref().ok().map(|it| it.image.image().to_owned()).zip(secret_context);
        let (needs, objection) = match definition {
            Ok(definition) => (definition.needs, None),
            Err(why) => (deskgrid_job::Needs::default(), Some(why)),
        };
        let carried = (carried != deskgrid_job::Carried::default()).then(|| Arc::new(carried));
        let event = queue::Submission { id: id.clone(), hold, needs, carried, objection, kept };
        let effects = self.queue.apply(Event::Submit(event), Time::now());
        if let Some((image, address)) = secret_context.filter(|_| self.is_live(&id)) {
            self.kit.secret_contexts.note(&id, image, address);
        }
        let saved = effects.iter().filter_map(|effect| match effect {
            Effect::Save(job) if job.id == id => Some(job.phase),
            _ => None,
        });
        let phases: Vec<_> = saved.collect();
        // A job that goes on, or that is answered from its result, keeps the definition that it runs or ran with.
        if !was_live && phases.contains(&Phase::Queued) {
            decided.changes.push(Change::Define { id: id.clone(), text });
            decided.changes.extend(description);
        }
        // A repeated submission changes nothing, so nobody is told again that the job is queued.
        if let Some(call) = on_queued.filter(|_| !phases.is_empty()) {
            self.call(call, None, decided);
        }
        if let Some(call) = on_finished.filter(|call| !self.will_make(call, &id)) {
            self.call(call, Some(id), decided);
        }
        decided.note(effects, &self.queue);
    }

    /// Whether this very call waits for the end of the job already.
    fn will_make(&self, call: &crate::Call, job: &JobId) -> bool {
        let waiting = self.calls_at_end.get(job).into_iter().flatten();
        waiting.into_iter().any(|other| (&other.url, &other.body) == (&call.url, &call.body))
    }

    /// Takes a webhook in, to be made now or after the end of a job.
    fn call(&mut self, call: crate::Call, after: Option<JobId>, decided: &mut Decided) {
        let now = Time::now();
        let id = self.next_call;
        self.next_call += 1;
        let call =
            PendingCall { id, url: call.url, body: call.body, due: now, first: now, attempts: 0, after };
        decided.changes.push(Change::Call(call.clone()));
        decided.calls.push(call);
    }

    pub(super) fn release(&mut self, release: Release, decided: &mut Decided) -> bool {
        let Release { id, outlook, slots, why } = release;
        let kept = decided.kept.job(&id);
        let known = kept.is_some() || self.queue.job(&id).is_some();
        let event = queue::Release { id, outlook, slots, why, kept };
        self.apply(Event::Withdraw(event), decided);
        known
    }

    pub(super) fn again(&mut self, id: JobId, holds: Vec<Hold>, decided: &mut Decided) -> bool {
        let kept = decided.kept.job(&id);
        let known = kept.is_some() || self.queue.job(&id).is_some();
        self.apply(Event::Again(queue::Again { id, holds, kept }), decided);
        known
    }
}
