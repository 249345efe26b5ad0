//! Whether jobs start at all, and how many at once: follows the engine, the person's switch and the limits.

use deskgrid_docker::{Engine, EngineState};
use deskgrid_job::queue::{Capacity, Event, Situation};

use super::{Decided, Owner};
use crate::{Limits, Offer};

/// What jobs may take: our limits, else most of what the engine has; before it answers, this computer's CPUs count.
pub(crate) fn offer(limits: &Limits, engine: &EngineState) -> Offer {
    let engine = engine.ready().map(Engine::info);
    let cpus = engine.map_or_else(cpus_of_this_computer, |engine| engine.cpus);
    let spared = cpus.saturating_sub(1).max(1).saturating_mul(1000);
    let memory = engine.map(|engine| engine.memory / 5 * 4).filter(|bytes| *bytes > 0);
    let capacity = Capacity {
        cpu_millis: limits.cpu_millis.unwrap_or(spared),
        memory: limits.memory.or(memory).unwrap_or(u64::MAX),
        gpus: limits.gpus.clone().into(),
    };
    Offer { capacity, max_duration: limits.max_duration }
}

fn cpus_of_this_computer() -> u32 {
    std::thread::available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok()).unwrap_or(1)
}

impl Owner {
    pub(super) fn engine_changed(&mut self, decided: &mut Decided) {
        let state = self.engine.borrow_and_update().clone();
        self.resize(decided);
        if let EngineState::Ready(engine) = &state {
            self.sweep(engine.clone());
        }
        self.open_or_pause(decided);
    }

    /// Nothing of an earlier life is left in `engine`.
    pub(super) fn engine_swept(&mut self, engine: Engine, decided: &mut Decided) {
        // The news may be of one that has gone meanwhile.
        if self.engine.borrow().ready() == Some(&engine) && self.swept.replace(engine.clone()) != Some(engine)
        {
            self.open_or_pause(decided);
        }
    }

    /// Jobs start while there is an engine without leftovers and nobody has stopped us.
    pub(super) fn open_or_pause(&mut self, decided: &mut Decided) {
        let is_open = *self.on.borrow_and_update() && self.is_swept();
        self.apply(Event::Open(is_open), decided);
    }

    fn is_swept(&self) -> bool {
        self.engine.borrow().ready().is_some_and(|engine| self.swept.as_ref() == Some(engine))
    }

    pub(super) fn situation(&self) -> Situation {
        let is_looking_back = *self.on.borrow() && self.engine.borrow().ready().is_some() && !self.is_swept();
        Situation { is_looking_back, ..self.queue.situation() }
    }

    pub(super) fn resize(&mut self, decided: &mut Decided) {
        let offer = offer(&self.limits.borrow_and_update(), &self.engine.borrow());
        let capacity = offer.capacity.clone();
        if self.offer.send_if_modified(|old| std::mem::replace(old, offer.clone()) != offer) {
            self.apply(Event::Resize(capacity), decided);
        }
    }
}
