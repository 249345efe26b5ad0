//! Jobs wait while less of the disk is free than shall stay so, and while it may only be read. This is looked at while
//! a job waits, after something was refused for want of room, and until what the person was told of it is over; and never
//! else.

use std::time::Duration;

use deskgrid_job::queue::{Event, Lack};

use super::{Decided, Input, Owner, Request};

/// Between looks while jobs wait for room.
const PAUSE: Duration = Duration::from_secs(2);
/// Between looks while nobody waits, and the person is told of little room.
const CALM: Duration = Duration::from_secs(10);

/// What the owner knows of the disk.
#[derive(Debug, Default)]
pub(super) struct RoomKnown {
    lack: Option<Lack>,
}

impl RoomKnown {
    /// Whether jobs have to wait.
    pub(super) fn has_to_wait(&self) -> bool {
        self.lack.is_some()
    }
}

impl Owner {
    /// How long until the disk is to be looked at again; never while nothing is wrong with it.
    pub(super) fn next_look_at_room(&self) -> Option<Duration> {
        if self.kit.store.is_known_read_only() {
            return Some(PAUSE);
        }
        let has_waiting = self.queue.has_waiting();
        self.room.has_to_wait().then_some(if has_waiting { PAUSE } else { CALM })
    }

    /// Looks how much room there is, if a job may be about to start or the person is to be told.
    pub(super) async fn look_at_room(&mut self, inputs: &[Input], decided: &mut Decided) {
        let is_a_reason = |input: &Input| {
            matches!(
                input,
                Input::Request(Request::Submit(..) | Request::Again { .. })
                    | Input::Report(_)
                    | Input::EngineChanged
                    | Input::RoomRefused
            )
        };
        // Once a batch, which costs nothing beside bringing it onto the disk.
        if !(self.queue.has_waiting() || self.next_look_at_room().is_some() || inputs.iter().any(is_a_reason))
        {
            return;
        }
        // A disk that cannot be asked shows its trouble elsewhere.
        let Ok(room) = self.kit.store.room().await else { return };
        let folder = || self.kit.store.place().display().to_string();
        let lack = if self.kit.store.is_read_only().await {
            Some(Lack::Writing { folder: folder() })
        } else {
            room.is_low().then(|| Lack::Room { folder: folder(), free: room.free, reserve: room.reserve })
        };
        // While nobody waits, once is enough.
        if room.is_low() && (self.room.lack.is_none() || self.queue.has_waiting()) {
            self.kit.cache.want_room();
        }
        let words = |lack: &Option<Lack>| lack.as_ref().map(ToString::to_string);
        if words(&self.room.lack) == words(&lack) {
            return;
        }
        if self.room.lack.is_some() != lack.is_some() {
            let (free, reserve) = (room.free, room.reserve);
            tracing::info!(free, reserve, has_to_wait = lack.is_some(), "what the disk has for further jobs");
        }
        self.room.lack.clone_from(&lack);
        self.apply(Event::Disk(lack), decided);
    }
}
