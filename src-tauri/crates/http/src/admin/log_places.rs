//! Where readers of logs stopped, so that who reads on begins there at once and not at the first line again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use deskgrid_job::JobId;
use deskgrid_store::{LogKind, Place};

/// Readers that are remembered: windows and tabs that show a log at the same time.
const MOST: usize = 64;

/// The places of late, the newest last; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogPlaces(Arc<Mutex<VecDeque<(JobId, LogKind, Place)>>>);

impl LogPlaces {
    /// The place before line `line`, where known with its byte.
    pub(super) fn find(&self, job: &JobId, kind: LogKind, line: u64) -> Place {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.iter().rev().find(|(id, of, place)| (id, of, place.line()) == (job, &kind, line));
        known.map_or_else(|| line.into(), |(.., place)| *place)
    }

    /// Remembers where a reader stopped.
    pub(super) fn keep(&self, job: &JobId, kind: LogKind, place: Place) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|(id, of, known)| (id, of, known.line()) != (job, &kind, place.line()));
        places.push_back((job.clone(), kind, place));
        if places.len() > MOST {
            places.pop_front();
        }
    }
}
