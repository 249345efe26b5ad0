//! Which jobs a client hears of, and how changes are put into frames.

use std::collections::HashMap;
use std::sync::Arc;

use deskgrid_job::{Job, JobId, Phase};

/// Whether clients are told of a job in this phase (protocol section 3).
pub(super) fn is_shown(phase: Phase) -> bool {
    match phase {
        Phase::Queued | Phase::Running => true,
        Phase::Finished(reason) => reason.is_kept(),
        Phase::Removed => false,
    }
}

/// Puts changes into as few frames as possible, in order. A client sees a job once a frame, so that a job that went
/// through several states goes into as many frames; several changes within one state need just one.
pub(super) fn frames(changes: Vec<Arc<Job>>) -> Vec<Vec<Arc<Job>>> {
    let mut frames: Vec<Vec<Arc<Job>>> = Vec::new();
    // Where the newest change of each job is: its frame, and its place there.
    let mut newest: HashMap<JobId, (usize, usize)> = HashMap::new();
    for job in changes.into_iter().filter(|job| is_shown(job.phase)) {
        let known = newest.get(&job.id).copied();
        if let Some((frame, place)) = known
            && is_same_state(&frames[frame][place], &job)
        {
            frames[frame][place] = job;
            continue;
        }
        let frame = known.map_or(0, |(frame, _)| frame + 1);
        if frame == frames.len() {
            frames.push(Vec::new());
        }
        newest.insert(job.id.clone(), (frame, frames[frame].len()));
        frames[frame].push(job);
    }
    frames
}

fn is_same_state(one: &Job, other: &Job) -> bool {
    one.phase == other.phase && one.run == other.run
}

#[cfg(test)]
pub(super) mod tests {
    use deskgrid_job::{Needs, Reason, Time};

    use super::*;
    use Phase::{Finished, Queued, Running};

    pub(crate) fn job(id: &str, phase: Phase) -> Arc<Job> {
        Arc::new(Job {
            id: JobId::new(id).unwrap(),
            phase,
            queued_at: Time(1),
            changed_at: Time(1),
            turn: 1,
            run: 0,
            losses: 0,
            holds: vec![],
            needs: Needs::default(),
            carried: None,
            runs_again: false,
        })
    }

    fn shown(changes: &[(&str, Phase)]) -> Vec<Vec<(String, Phase)>> {
        let frames = frames(changes.iter().map(|(id, phase)| job(id, *phase)).collect());
        frames.iter().map(|frame| frame.iter().map(|job| (job.id.to_string(), job.phase)).collect()).collect()
    }

    #[test]
    fn a_job_that_ran_within_a_tick_is_seen_in_every_state() {
        let done = Finished(Reason::Success);
        let frames = shown(&[("a", Queued), ("b", Queued), ("a", Running), ("a", done)]);
        let frame =
            |jobs: &[(&str, Phase)]| jobs.iter().map(|(id, phase)| ((*id).to_owned(), *phase)).collect();
        let wanted: Vec<Vec<_>> =
            vec![frame(&[("a", Queued), ("b", Queued)]), frame(&[("a", Running)]), frame(&[("a", done)])];
        assert_eq!(frames, wanted);
    }

    #[test]
    fn changes_within_one_state_are_one() {
        assert_eq!(shown(&[("a", Queued), ("a", Queued), ("a", Queued)]).concat().len(), 1);
    }

    #[test]
    fn ends_that_clients_are_not_told_of_are_left_out() {
        let hidden = [Reason::Cancelled, Reason::JobReplacedByClient, Reason::Deleted];
        for reason in hidden {
            assert!(shown(&[("a", Finished(reason))]).is_empty());
        }
        assert!(shown(&[("a", Phase::Removed)]).is_empty());
        assert_eq!(shown(&[("a", Finished(Reason::TimedOut))]).len(), 1);
    }
}
