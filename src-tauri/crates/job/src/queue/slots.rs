//! Namespaces: in each but the shared one only the newest job lives (protocol section 3).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::{Hold, JobId, Time};

/// A job younger than this is replaced at once.
pub(super) const YOUNG: Duration = Duration::from_secs(20);
/// An older job gets this long in case its page goes back to it.
pub(super) const SETTLE: Duration = Duration::from_secs(8);

/// Which jobs sit in which namespace, and which of them are about to be released.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    /// Unfinished jobs by slot, the newest last. Shared namespaces are not listed.
    held: HashMap<Hold, Vec<JobId>>,
    /// Older jobs that a newer one replaced, by the time they are released at.
    settling: BTreeSet<(Time, JobId, Hold)>,
}

impl Slots {
    /// Notes that `id` is now the newest in `hold`, and returns the others there.
    pub(super) fn enter(&mut self, hold: &Hold, id: &JobId) -> Vec<JobId> {
        if hold.namespace.is_shared() {
            return Vec::new();
        }
        self.settling.retain(|(_, settling, slot)| settling != id || slot != hold);
        let jobs = self.held.entry(hold.clone()).or_default();
        jobs.retain(|other| other != id);
        let others = jobs.clone();
        jobs.push(id.clone());
        others
    }

    /// Lets `id` stay in `hold` until `due`; a second call does not prolong it.
    pub(super) fn settle(&mut self, hold: &Hold, id: &JobId, due: Time) {
        if !self.settling.iter().any(|(_, settling, slot)| settling == id && slot == hold) {
            self.settling.insert((due, id.clone(), hold.clone()));
        }
    }

    /// Forgets that `id` is in `hold`.
    pub(super) fn leave(&mut self, hold: &Hold, id: &JobId) {
        self.settling.retain(|(_, settling, slot)| settling != id || slot != hold);
        if let Some(jobs) = self.held.get_mut(hold) {
            jobs.retain(|other| other != id);
            if jobs.is_empty() {
                self.held.remove(hold);
            }
        }
    }

    /// Takes out those whose time is up. One that is further away than the rule allows was put there when the clock
    /// was ahead, and gets the whole time once more.
    pub(super) fn due(&mut self, now: Time) -> Vec<(JobId, Hold)> {
        let latest = now.plus(SETTLE);
        while self.settling.last().is_some_and(|(time, ..)| *time > latest)
            && let Some((_, id, hold)) = self.settling.pop_last()
        {
            self.settling.insert((latest, id, hold));
        }
        let mut due = Vec::new();
        while self.settling.first().is_some_and(|(time, ..)| *time <= now) {
            due.extend(self.settling.pop_first().map(|(_, id, hold)| (id, hold)));
        }
        due
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.settling.first().map(|(time, ..)| *time)
    }
}
