//! What follows from the end of a run.

use std::sync::Arc;

use deskgrid_job::queue::{Effect, Event};
use deskgrid_job::{Phase, Time};
use deskgrid_store::Change;

use super::{Decided, Owner};
use crate::run::Report;

impl Owner {
    pub(super) fn report(&mut self, report: Report, decided: &mut Decided) {
        let Report {
            id,
            run,
            end,
            needs_sweep,
            is_held_up,
            result,
            inputs,
            course,
            image,
            used_image,
            stored,
        } = report;
        if is_held_up {
            *self.held_up.entry(id.clone()).or_default() += 1;
        }
        if needs_sweep {
            self.sweep_again();
        }
        decided.ends.push(stored);
        decided.changes.extend(used_image.map(|image| Change::ImageUsed(image, Time::now())));
        decided.has_ended_runs = true;
        self.stops.remove(&(id.clone(), run));
        let effects = self.queue.apply(Event::Ended { id: id.clone(), run, end }, Time::now());
        let finished = |effect: &Effect| matches!(effect, Effect::Save(job) if job.id == id && matches!(job.phase, Phase::Finished(_)));
        if effects.iter().any(finished) {
            decided.changes.push(Change::Finish { id: id.clone(), result: Arc::new(result) });
            decided.changes.push(Change::Course { id: id.clone(), course: Arc::new(course) });
            decided.changes.extend(image.map(|image| Change::JobImage { id: id.clone(), image }));
            if !inputs.is_empty() {
                decided.changes.push(Change::Inputs { id, files: inputs });
            }
        } else if self.queue.job(&id).is_none() {
            // It was over when somebody cancelled it, and how it went until then is known only now.
            decided.changes.push(Change::Course { id: id.clone(), course: Arc::new(course) });
            decided.noted.push(id);
        }
        decided.note(effects, &self.queue);
    }
}
