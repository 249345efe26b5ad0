//! Live lines on their way to one client: gathered, and held until the client knows that their job runs.
//!
//! The same lines go to every client of a queue, so that all hold the same, and their text is made once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deskgrid_job::{JobId, LogLine, Time};
use deskgrid_wire::{Step, server_message};
use deskgrid_worker::LiveLines;

/// Lines are sent to one client at most this often.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The lines that one client has not been sent yet.
#[derive(Default)]
pub(super) struct Live(HashMap<JobId, Recent>);

/// What came of one job lately.
#[derive(Default)]
struct Recent {
    /// Lines that wait, by the step that wrote them.
    waiting: Vec<(Step, Vec<Arc<LiveLines>>)>,
    left_out: LeftOut,
}

/// What the client will not see live.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum LeftOut {
    #[default]
    Nothing,
    Lines(u64),
    /// Lines that never reached us, since the client was too slow.
    Some,
}

impl Live {
    /// Takes in what a job wrote.
    pub(super) fn take(&mut self, written: &Arc<LiveLines>) {
        self.0.entry(written.id.clone()).or_default().take(written);
    }

    /// Notes that news were lost on the way here. It is not known whose: those who wrote lately are the ones.
    pub(super) fn missed_some(&mut self) {
        for recent in self.0.values_mut() {
            recent.left_out = LeftOut::Some;
        }
    }

    /// Drops what is known of a job that is over.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.0.remove(job);
    }

    /// Drops what is known of all jobs but `listed`: nobody will tell of the end of another.
    pub(super) fn retain(&mut self, listed: &HashSet<&JobId>) {
        self.0.retain(|id, _| listed.contains(id));
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.values().any(Recent::is_waiting)
    }

    /// The frames with all that waits of jobs that the client knows as running, each in pieces.
    pub(super) fn frames(&mut self, running: &HashSet<JobId>) -> Vec<Vec<Bytes>> {
        let known = self.0.iter_mut().filter(|(id, _)| running.contains(*id));
        known.flat_map(|(id, recent)| recent.frames(id)).collect()
    }
}

impl Recent {
    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.left_out != LeftOut::Nothing
    }

    fn take(&mut self, written: &Arc<LiveLines>) {
        self.leave_out(written.left_out);
        if !written.lines.is_empty() {
            self.add(step(written.step), written.clone());
        }
    }

    fn add(&mut self, step: Step, lines: Arc<LiveLines>) {
        match self.waiting.last_mut() {
            Some((last, waiting)) if *last == step => waiting.push(lines),
            _ => self.waiting.push((step, vec![lines])),
        }
    }

    fn leave_out(&mut self, lines: u64) {
        self.left_out = match self.left_out {
            _ if lines == 0 => return,
            LeftOut::Nothing => LeftOut::Lines(lines),
            LeftOut::Lines(before) => LeftOut::Lines(before + lines),
            LeftOut::Some => LeftOut::Some,
        };
    }

    fn frames(&mut self, id: &JobId) -> Vec<Vec<Bytes>> {
        if let Some(text) = std::mem::replace(&mut self.left_out, LeftOut::Nothing).note() {
            let note = LogLine { text, time: Time::now(), is_stderr: true };
            let step = self.waiting.last().map_or(Step::Run, |(step, _)| *step);
            let note = LiveLines::new(id.clone(), deskgrid_worker::Step::Run, vec![note], 0);
            self.add(step, Arc::new(note));
        }
        std::mem::take(&mut self.waiting).iter().map(|(step, lines)| frame(id, *step, lines)).collect()
    }
}

impl LeftOut {
    fn note(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Lines(1) => Some("… 1 line not shown live; the full log is kept\n".to_owned()),
            Self::Lines(count) => Some(format!("… {count} lines not shown live; the full log is kept\n")),
            Self::Some => Some("… some lines not shown live; the full log is kept\n".to_owned()),
        }
    }
}

fn frame(id: &JobId, step: Step, lines: &[Arc<LiveLines>]) -> Vec<Bytes> {
    let mut pieces = vec![Bytes::from(server_message::job_status_begin(id, step))];
    for (place, lines) in lines.iter().enumerate() {
        if place > 0 {
            pieces.push(Bytes::from_static(b","));
        }
        pieces.push(lines.text(|lines| server_message::live_lines(lines)));
    }
    pieces.push(Bytes::from_static(server_message::JOB_STATUS_END.as_bytes()));
    pieces
}

fn step(step: deskgrid_worker::Step) -> Step {
    match step {
        deskgrid_worker::Step::Pull => Step::Pull,
        deskgrid_worker::Step::Context => Step::Clone,
        deskgrid_worker::Step::Build => Step::Build,
        deskgrid_worker::Step::Run => Step::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> JobId {
        JobId::new("a").unwrap()
    }

    fn written(step: deskgrid_worker::Step, count: u64, length: usize) -> Arc<LiveLines> {
        let line = LogLine { text: "x".repeat(length), time: Time(1), is_stderr: false };
        Arc::new(LiveLines::new(id(), step, vec![line; usize::try_from(count).unwrap()], 0))
    }

    /// The frames that are there, each as the client reads it.
    fn sent(live: &mut Live) -> Vec<String> {
        let frames = live.frames(&[id()].into());
        frames.iter().map(|pieces| String::from_utf8(pieces.concat()).unwrap()).collect()
    }

    const RUN: deskgrid_worker::Step = deskgrid_worker::Step::Run;

    #[test]
    fn lines_wait_until_the_client_knows_that_the_job_runs() {
        let mut live = Live::default();
        live.take(&written(deskgrid_worker::Step::Pull, 1, 1));
        live.take(&written(RUN, 2, 1));
        assert!(live.frames(&HashSet::new()).is_empty() && live.is_waiting());
        let frames = sent(&mut live);
        assert!(frames[0].contains("docker image pull") && frames[1].contains("Running"), "{frames:?}");
        assert!(!live.is_waiting());
    }

    #[test]
    fn what_came_at_several_times_goes_in_one_frame_with_every_line_in_its_place() {
        let mut live = Live::default();
        live.take(&written(RUN, 2, 1));
        live.take(&written(RUN, 1, 3));
        let frame: serde_json::Value = serde_json::from_str(&sent(&mut live)[0]).unwrap();
        assert_eq!(frame["payload"]["logs"], serde_json::json!([["x", 1], ["x", 1], ["xxx", 1]]));
    }

    #[test]
    fn lines_of_jobs_that_are_not_listed_any_more_wait_for_nobody() {
        let mut live = Live::default();
        live.take(&written(RUN, 1, 1));
        live.retain(&[&id()].into());
        assert!(live.is_waiting());
        live.retain(&HashSet::new());
        assert!(!live.is_waiting());
    }

    #[test]
    fn lines_that_were_left_out_on_the_way_here_are_counted() {
        let mut live = Live::default();
        live.take(&Arc::new(LiveLines::new(id(), RUN, Vec::new(), 7)));
        live.take(&written(RUN, 1, 1));
        live.take(&Arc::new(LiveLines::new(id(), RUN, Vec::new(), 1)));
        let frames = sent(&mut live);
        let frame: serde_json::Value = serde_json::from_str(&frames[0]).unwrap();
        assert_eq!(frame["payload"]["logs"][0][0], "x");
        assert_eq!(frame["payload"]["logs"][1][0], "… 8 lines not shown live; the full log is kept\n");
        assert_eq!(frames.len(), 1);
    }

    #[test]
    fn lost_news_are_told_to_those_who_wrote_lately() {
        let mut live = Live::default();
        live.missed_some();
        assert!(!live.is_waiting());
        live.take(&written(RUN, 1, 1));
        sent(&mut live);
        live.missed_some();
        assert!(sent(&mut live)[0].contains("… some lines not shown live"));
        live.forget(&id());
        live.missed_some();
        assert!(!live.is_waiting());
    }
}
