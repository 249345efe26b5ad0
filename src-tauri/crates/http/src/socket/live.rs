//! Live lines on their way to one client: gathered, limited, and held until the client knows that their job runs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deskgrid_job::{JobId, LogLine, Time};
use deskgrid_wire::{Step, server_message};
use deskgrid_worker::LiveLines;
use tokio::time::Instant;

/// Lines are sent to one client at most this often; the limits below count within this.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Lines of one job within a tick.
const MOST_LINES: usize = 1000;
/// Their bytes.
const MOST_BYTES: usize = 256 * 1024;

/// The lines that one client has not been sent yet.
#[derive(Default)]
pub(super) struct Live(HashMap<JobId, Recent>);

/// What came of one job lately.
struct Recent {
    /// Lines that wait, by the step that wrote them.
    waiting: Vec<(Step, Vec<LogLine>)>,
    left_out: LeftOut,
    /// When the present tick began, and what it let through.
    since: Instant,
    lines: usize,
    bytes: usize,
}

/// What the client will not see live.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    Lines(u64),
    /// Lines that never reached us, since the client was too slow.
    Some,
}

impl Live {
    /// Takes in what a job wrote.
    pub(super) fn take(&mut self, written: &LiveLines, now: Instant) {
        let recent = self.0.entry(written.id.clone()).or_insert_with(|| Recent::new(now));
        recent.take(step(written.step), &written.lines, now);
        recent.leave_out(written.left_out);
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

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.values().any(Recent::is_waiting)
    }

    /// The frames with all that waits of jobs that the client knows as running.
    pub(super) fn frames(&mut self, running: &HashSet<JobId>) -> Vec<String> {
        let known = self.0.iter_mut().filter(|(id, _)| running.contains(*id));
        known.flat_map(|(id, recent)| recent.frames(id)).collect()
    }
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self { waiting: Vec::new(), left_out: LeftOut::Nothing, since: now, lines: 0, bytes: 0 }
    }

    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.left_out != LeftOut::Nothing
    }

    fn take(&mut self, step: Step, lines: &[LogLine], now: Instant) {
        if now >= self.since + TICK {
            (self.since, self.lines, self.bytes) = (now, 0, 0);
        }
        let fit = lines.iter().take_while(|line| {
            self.lines += 1;
            self.bytes += line.text.len();
            self.lines <= MOST_LINES && self.bytes <= MOST_BYTES
        });
        let fit: Vec<_> = fit.cloned().collect();
        self.leave_out((lines.len() - fit.len()) as u64);
        match self.waiting.last_mut() {
            _ if fit.is_empty() => {}
            Some((last, waiting)) if *last == step => waiting.extend(fit),
            _ => self.waiting.push((step, fit)),
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

    fn frames(&mut self, id: &JobId) -> Vec<String> {
        let note = match std::mem::replace(&mut self.left_out, LeftOut::Nothing) {
            LeftOut::Nothing => None,
            LeftOut::Lines(1) => Some("… 1 line not shown live; the full log is kept\n".to_owned()),
            LeftOut::Lines(count) => Some(format!("… {count} lines not shown live; the full log is kept\n")),
            LeftOut::Some => Some("… some lines not shown live; the full log is kept\n".to_owned()),
        };
        if let Some(text) = note {
            let line = LogLine { text, time: Time::now(), is_stderr: true };
            match self.waiting.last_mut() {
                Some((_, lines)) => lines.push(line),
                None => self.waiting.push((Step::Run, vec![line])),
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(step, lines)| server_message::job_status(id, step, &lines)).collect()
    }
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

    fn written(step: deskgrid_worker::Step, count: usize, length: usize) -> LiveLines {
        let line = LogLine { text: "x".repeat(length), time: Time(1), is_stderr: false };
        LiveLines { id: id(), step, lines: vec![line; count], left_out: 0 }
    }

    fn running() -> HashSet<JobId> {
        [id()].into()
    }

    const RUN: deskgrid_worker::Step = deskgrid_worker::Step::Run;

    #[test]
    fn lines_wait_until_the_client_knows_that_the_job_runs() {
        let mut live = Live::default();
        live.take(&written(deskgrid_worker::Step::Pull, 1, 1), Instant::now());
        live.take(&written(RUN, 2, 1), Instant::now());
        assert!(live.frames(&HashSet::new()).is_empty() && live.is_waiting());
        let frames = live.frames(&running());
        assert!(frames[0].contains("docker image pull") && frames[1].contains("Running"), "{frames:?}");
        assert!(!live.is_waiting());
    }

    #[test]
    fn too_many_lines_in_a_tick_are_counted_in_one_line() {
        let mut live = Live::default();
        let now = Instant::now();
        live.take(&written(RUN, 900, 1), now);
        live.take(&written(RUN, 900, 1), now);
        let frames = live.frames(&running());
        assert!(frames.len() == 1 && frames[0].contains("… 800 lines not shown live"), "{}", frames.len());
        live.take(&written(RUN, 5, 1), now);
        assert!(live.frames(&running())[0].contains("… 5 lines not shown live"));
        live.take(&written(RUN, 5, 1), now + TICK);
        assert!(!live.frames(&running())[0].contains("not shown"));
    }

    #[test]
    fn lines_that_were_left_out_on_the_way_here_are_counted() {
        let mut live = Live::default();
        live.take(&LiveLines { left_out: 7, ..written(RUN, 5, 1) }, Instant::now());
        assert!(live.frames(&running())[0].contains("… 7 lines not shown live"));
    }

    #[test]
    fn bytes_are_limited_too() {
        let mut live = Live::default();
        live.take(&written(RUN, 10, 100_000), Instant::now());
        assert!(live.frames(&running())[0].contains("… 8 lines not shown live"));
    }

    #[test]
    fn lost_news_are_told_to_those_who_wrote_lately() {
        let mut live = Live::default();
        live.missed_some();
        assert!(!live.is_waiting());
        live.take(&written(RUN, 1, 1), Instant::now());
        live.frames(&running());
        live.missed_some();
        assert!(live.frames(&running())[0].contains("… some lines not shown live"));
        live.forget(&id());
        live.missed_some();
        assert!(!live.is_waiting());
    }
}
