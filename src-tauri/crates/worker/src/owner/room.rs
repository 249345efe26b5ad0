//! Jobs wait while less of the disk is free than shall stay so. The room is looked at while a job waits, and never
//! else.

use std::time::Duration;

use deskgrid_job::queue::Event;

use super::{Decided, Input, Owner, Request};

/// Between looks while jobs wait for room.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// What the owner knows of the disk.
#[derive(Debug, Default)]
pub(super) struct RoomKnown {
    is_low: bool,
}

impl RoomKnown {
    /// Whether jobs have to wait.
    pub(super) fn is_low(&self) -> bool {
        self.is_low
    }
}

impl Owner {
    /// Looks how much room there is, if a job may be about to start.
    pub(super) async fn look_at_room(&mut self, inputs: &[Input], decided: &mut Decided) {
        let brings_a_job = |input: &Input| {
            matches!(
                input,
                Input::Request(Request::Submit(..) | Request::Again { .. })
                    | Input::Report(_)
                    | Input::EngineChanged
            )
        };
        // Once a batch, which costs nothing beside bringing it onto the disk.
        if !(self.queue.has_waiting() || inputs.iter().any(brings_a_job)) {
            return;
        }
        // A disk that cannot be asked shows its trouble elsewhere.
        let Ok(room) = self.kit.store.room().await else { return };
        if room.is_low() {
            self.kit.cache.want_room();
        }
        if self.room.is_low != room.is_low() {
            self.room.is_low = room.is_low();
            tracing::info!(
                free = room.free,
                reserve = room.reserve,
                is_low = room.is_low(),
                "the room on the disk"
            );
            self.apply(Event::Room(room.is_low().then_some(room.reserve)), decided);
        }
    }
}
