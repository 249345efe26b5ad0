//! What ends a run whose result nobody wants any more. Such a job is over for everyone else at once; whoever ends the
//! program can still wait until the run has ended and removed its container.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Held by the run, to its very end, and by whoever may stop it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    asked: CancellationToken,
    /// Counts the run among those that clear up, from when it is asked on.
    clearing: Arc<OnceLock<TaskTrackerToken>>,
}

impl Stop {
    /// Asks the run to end.
    pub(crate) fn ask(&self, clearing: &TaskTracker) {
        self.clearing.get_or_init(|| clearing.token());
        self.asked.cancel();
    }

    /// Whether it was asked to end.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Waits until it is asked to end.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_is_asked_to_end_counts_until_it_is_gone() {
        let clearing = TaskTracker::new();
        let run = Stop::default();
        let owner = run.clone();
        assert!(!run.is_asked() && clearing.is_empty());
        owner.ask(&clearing);
        owner.ask(&clearing);
        run.asked().await;
        drop(owner);
        assert_eq!(clearing.len(), 1);
        drop(run);
        assert!(clearing.is_empty());
    }
}
