//! What the engine tells of a container: whether it runs, how it ended and when.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerSummary, ContainerSummaryStateEnum,
};
use deskgrid_job::Time;

use super::{ContainerId, Exit};
use crate::output::time_of;

/// A container as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurContainer {
    /// Its id.
    pub id: ContainerId,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// The image it was created from, as it was named then.
    pub image: String,
    /// The id of that image.
    pub image_id: Option<String>,
    /// Whether it runs now.
    pub running: bool,
    /// How it ended; none while it runs and when it never ran.
    pub exit: Option<Exit>,
    /// When it was started last, as the engine noted it: for a very short run that may be after its end.
    pub started_at: Option<Time>,
    /// When it ended last.
    pub finished_at: Option<Time>,
}

/// Exit codes from here on tell of a signal.
const BY_SIGNAL: i64 = 128;
/// An engine that starts after a crash says of the containers that it finds dead that they ended just now, with the
/// code 0. So soon before its start no other end is likely.
const CLEANING: Duration = Duration::from_secs(30);

impl OurContainer {
    /// Whether it ended before this life of the engine, which began at `began`.
    pub fn ended_before(&self, began: Time) -> bool {
        !self.running && self.finished_at.is_none_or(|finished| finished <= began)
    }

    /// Whether an earlier life of the engine took it down, as far as its end tells when nobody watched. Ends that
    /// are a job's own would otherwise be thrown away whenever the computer is switched off after them.
    pub fn was_taken_down(&self, began: Option<Time>) -> bool {
        let Some(began) = began.filter(|began| self.ended_before(*began)) else { return false };
        let (Some(exit), Some(finished)) = (&self.exit, self.finished_at) else { return true };
        exit.code >= BY_SIGNAL || (exit.code == 0 && began.since(finished) < CLEANING)
    }
}

pub(super) fn our_container(id: ContainerId, answer: ContainerInspectResponse) -> OurContainer {
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let started_at = state.started_at.as_deref().and_then(time_of);
    let running = state.running.unwrap_or(false);
    OurContainer {
        id,
        labels: config.labels.unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        image_id: answer.image,
        running,
        exit: (started_at.is_some() && !running).then(|| exit(&state)),
        started_at,
        finished_at: state.finished_at.as_deref().and_then(time_of).filter(|_| !running),
    }
}

/// What the engine's list tells of a container. Ours are started right after they were made.
pub(super) fn listed_container(id: ContainerId, listed: ContainerSummary) -> OurContainer {
    use ContainerSummaryStateEnum::{CREATED, PAUSED, RESTARTING, RUNNING, STOPPING};
    let created = listed.created.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    OurContainer {
        id,
        labels: listed.labels.unwrap_or_default(),
        image: listed.image.unwrap_or_default(),
        image_id: listed.image_id,
        running: matches!(listed.state, Some(RUNNING | PAUSED | RESTARTING | STOPPING)),
        exit: None,
        started_at: (listed.state != Some(CREATED)).then_some(Time(created * 1000)),
        finished_at: None,
    }
}

fn exit(state: &ContainerState) -> Exit {
    Exit {
        code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or(false),
        error: state.error.clone().filter(|text| !text.is_empty()),
        never_began: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: ContainerState) -> OurContainer {
        let answer = ContainerInspectResponse { state: Some(state), ..ContainerInspectResponse::default() };
        our_container(ContainerId::new("abc").unwrap(), answer)
    }

    #[test]
    fn a_container_that_never_ran_has_no_exit() {
        let zero = Some("0001-01-01T00:00:00Z".to_owned());
        let state = ContainerState {
            exit_code: Some(0),
            started_at: zero.clone(),
            finished_at: zero,
            ..ContainerState::default()
        };
        let container = seen(state);
        assert_eq!((container.exit, container.started_at, container.finished_at), (None, None, None));
    }

    #[test]
    fn a_container_that_ended_tells_code_and_times() {
        let state = ContainerState {
            exit_code: Some(3),
            started_at: Some("2026-01-01T00:00:00.5Z".to_owned()),
            finished_at: Some("2026-01-01T00:00:01Z".to_owned()),
            ..ContainerState::default()
        };
        let container = seen(state);
        assert_eq!(container.exit, Some(Exit { code: 3, oom_killed: false, error: None, never_began: None }));
        let took = container.finished_at.unwrap().since(container.started_at.unwrap());
        assert_eq!(took.as_millis(), 500);
    }

    #[test]
    fn a_running_container_has_no_end_even_after_a_restart() {
        let state = ContainerState {
            running: Some(true),
            exit_code: Some(0),
            started_at: Some("2026-01-01T00:00:02Z".to_owned()),
            finished_at: Some("2026-01-01T00:00:01Z".to_owned()),
            ..ContainerState::default()
        };
        let container = seen(state);
        assert!(container.running && container.exit.is_none() && container.finished_at.is_none());
    }

    #[test]
    fn an_end_in_an_earlier_life_of_the_engine_is_a_jobs_own_unless_it_looks_like_a_crash_or_a_signal() {
        let container = |code: i64, finished: Option<u64>| OurContainer {
            id: ContainerId::new("a").unwrap(),
            labels: HashMap::new(),
            image: String::new(),
            image_id: None,
            running: false,
            exit: Some(Exit { code, oom_killed: false, error: None, never_began: None }),
            started_at: Some(Time(1)),
            finished_at: finished.map(Time),
        };
        let began = Some(Time(100_000));
        for (code, finished, taken_down) in [
            (0, Some(100_001), false),
            (137, Some(100_001), false),
            (0, Some(60_000), false),
            (0, Some(99_000), true),
            (3, Some(99_000), false),
            (143, Some(60_000), true),
            (255, None, true),
        ] {
            assert_eq!(container(code, finished).was_taken_down(began), taken_down, "{code} {finished:?}");
        }
        assert!(!container(137, Some(1)).was_taken_down(None), "nobody knows");
    }
}
