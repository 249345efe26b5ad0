//! What runs do at this moment, for those who watch: the stage, how far it is, the last line, CPUs and memory.
//!
//! Nothing here is on disk before a run ends, and nothing here decides anything. A reader keeps a version number, so
//! that a slow one costs nothing: it reads what has changed since, however often that was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deskgrid_docker::Usage;
use deskgrid_job::{Course, JobId, LogLine, StageName, Time, Trace};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lists::Step;

/// Characters of a log line that are shown.
const LONGEST_TAIL: usize = 200;

/// A run as it is now.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Its stages so far, and what it used.
    pub course: Course,
    /// The last thing said about the present stage.
    pub line: Option<String>,
    /// How far the present stage is: bytes, or files where bytes are not known.
    pub done: Option<u64>,
    /// How far it has to go, as far as is known.
    pub total: Option<u64>,
    /// Layers of the image that are in place, and all that are known; while it is pulled.
    pub layers: Option<(u64, u64)>,
    /// What the container uses.
    pub usage: Option<Usage>,
    /// Bytes of memory that the container may have.
    pub memory_limit: Option<u64>,
    /// The last line that the container wrote.
    pub tail: Option<String>,
    /// Lines of its log.
    pub lines: u64,
    /// Lines of the log of its image.
    pub build_lines: u64,
    /// The version at which it last changed.
    version: u64,
}

/// The runs of this moment; a cheap handle.
#[derive(Clone)]
pub(crate) struct Board(Arc<Shared>);

struct Shared {
    runs: Mutex<HashMap<(JobId, u32), Live>>,
    version: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self(Arc::new(Shared { runs: Mutex::default(), version: watch::Sender::new(1) }))
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<(JobId, u32), Live>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to show a run.
    pub(crate) fn begin(&self, id: &JobId, run: u32) -> Pulse {
        let pulse = Pulse { board: self.clone(), key: (id.clone(), run), clock: Clock::start() };
        self.lock().insert(pulse.key.clone(), Live::default());
        pulse
    }

    /// The latest run of a job, if it goes on.
    pub(crate) fn of(&self, id: &JobId) -> Option<Live> {
        let runs = self.lock();
        let newest = runs.iter().filter(|((job, _), _)| job == id).max_by_key(|((_, run), _)| *run);
        newest.map(|(_, live)| live.clone())
    }

    /// All runs that changed after version `seen`, and the version that this is.
    pub(crate) fn since(&self, seen: u64) -> (Vec<(JobId, Live)>, u64) {
        let runs = self.lock();
        let changed = runs.iter().filter(|(_, live)| live.version > seen && live.course.current().is_some());
        let changed = changed.map(|((id, _), live)| (id.clone(), live.clone())).collect();
        (changed, *self.0.version.borrow())
    }

    /// Tells of new versions.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }
}

/// One run's hand on the board. When it is dropped the run is no longer shown.
pub(crate) struct Pulse {
    board: Board,
    key: (JobId, u32),
    clock: Clock,
}

/// The time of day at the beginning of a run, and what has passed since by a clock that nobody sets and that leaves
/// out sleep: stages and trace show how long things took, whatever is done to the wall clock meanwhile.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began: Time,
    at: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { began: Time::now(), at: Instant::now() }
    }

    fn now(self) -> Time {
        self.began.plus(self.at.elapsed())
    }
}

impl Pulse {
    fn change(&self, change: impl FnOnce(&mut Live)) {
        let mut runs = self.board.lock();
        let Some(live) = runs.get_mut(&self.key) else { return };
        change(live);
        // Under the lock, so that nobody reads a version without what belongs to it.
        self.board.0.version.send_modify(|version| {
            *version += 1;
            live.version = *version;
        });
    }

    /// A stage begins.
    pub(crate) fn enter(&self, stage: StageName) {
        self.change(|live| {
            live.course.enter(stage, self.clock.now());
            live.forget_progress();
        });
    }

    /// A stage is over.
    pub(crate) fn leave(&self, stage: StageName) {
        self.change(|live| {
            live.course.leave(stage, self.clock.now());
            live.forget_progress();
        });
    }

    /// Says something about a stage that goes on.
    pub(crate) fn note(&self, name: StageName, words: &str) {
        self.change(|live| {
            let stage = live.course.stages.iter_mut().find(|stage| stage.name == name && stage.end.is_none());
            if let Some(stage) = stage {
                stage.note = Some(words.to_owned());
            }
        });
    }

    /// The image is made for `platform`, which is not the engine's.
    pub(crate) fn emulate(&self, platform: &str) {
        self.change(|live| live.course.emulated = Some(platform.to_owned()));
    }

    /// Takes up a container that has run for so long, by a run of which no more is known.
    pub(crate) fn take_up(&self, ran: Duration) {
        self.change(|live| live.course.enter(StageName::Run, self.clock.now().minus(ran)));
    }

    /// How far `stage` is; told only while it is the one that a person waits for.
    pub(crate) fn progress(&self, stage: StageName, line: Option<&str>, done: u64, total: Option<u64>) {
        self.change(|live| {
            if live.course.current().is_some_and(|current| current.name == stage) {
                live.line = line.map(shortened);
                live.done = Some(done);
                live.total = total;
            }
        });
    }

    /// How many layers of the image are in place, of those that are known.
    pub(crate) fn layers(&self, here: u64, known: u64) {
        self.change(|live| {
            if live.course.current().is_some_and(|current| current.name == StageName::Image) {
                live.layers = Some((here, known));
            }
        });
    }

    /// Lines were written; `count` is how many the log has now.
    pub(crate) fn wrote(&self, step: Step, lines: &[LogLine], count: u64) {
        self.change(|live| match step {
            Step::Pull | Step::Context | Step::Build => live.build_lines = count,
            Step::Run => {
                live.lines = count;
                let said = lines.iter().rev().find(|line| !line.text.trim().is_empty());
                live.tail = said.map(|line| shortened(&line.text)).or_else(|| live.tail.take());
            }
        });
    }

    /// The limit of the container's memory.
    pub(crate) fn limit(&self, memory: Option<u64>) {
        self.change(|live| live.memory_limit = memory);
    }

    /// The container was measured.
    pub(crate) fn measured(&self, usage: Usage) {
        let now = self.clock.now();
        self.change(|live| {
            live.usage = Some(usage);
            live.memory_limit = live.memory_limit.or(usage.memory_limit);
            let trace = live.course.trace.get_or_insert_with(|| Trace::new(now));
            trace.add(now, usage.cpus, usage.memory);
        });
    }

    /// Ends all stages and returns how the run went.
    pub(crate) fn finish(&self) -> Course {
        let mut runs = self.board.lock();
        let mut course =
            runs.get_mut(&self.key).map(|live| std::mem::take(&mut live.course)).unwrap_or_default();
        course.close(self.clock.now());
        course
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.board.lock().remove(&self.key);
    }
}

impl Live {
    fn forget_progress(&mut self) {
        (self.line, self.done, self.total, self.layers) = (None, None, None, None);
    }
}

/// A line as it fits beside others: what a progress bar wrote over is left out.
fn shortened(text: &str) -> String {
    let text = text.trim_end();
    let shown = text.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or(text);
    shown.chars().take(LONGEST_TAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> JobId {
        JobId::new("a").unwrap()
    }

    fn line(text: &str) -> LogLine {
        LogLine { text: text.to_owned(), time: Time(1), is_stderr: false }
    }

    #[test]
    fn a_reader_hears_of_what_changed_since_it_last_looked() {
        let board = Board::default();
        let pulse = board.begin(&id(), 1);
        pulse.enter(StageName::Image);
        let (changed, seen) = board.since(0);
        assert_eq!(changed.len(), 1);
        assert!(board.since(seen).0.is_empty());
        pulse.progress(StageName::Image, Some("Downloading"), 5, Some(9));
        let (changed, _) = board.since(seen);
        assert_eq!((changed[0].1.done, changed[0].1.total), (Some(5), Some(9)));
    }

    #[test]
    fn progress_of_a_stage_that_nobody_waits_for_is_not_shown() {
        let board = Board::default();
        let pulse = board.begin(&id(), 1);
        pulse.enter(StageName::Image);
        pulse.enter(StageName::Inputs);
        pulse.progress(StageName::Inputs, None, 5, None);
        assert_eq!(board.of(&id()).unwrap().done, None);
        pulse.leave(StageName::Image);
        pulse.progress(StageName::Inputs, None, 6, None);
        assert_eq!(board.of(&id()).unwrap().done, Some(6));
    }

    #[test]
    fn the_tail_is_the_last_line_that_says_something_and_short() {
        let board = Board::default();
        let pulse = board.begin(&id(), 1);
        pulse.wrote(Step::Run, &[line("10 %\r20 %\r\n"), line("\n")], 2);
        let live = board.of(&id()).unwrap();
        assert_eq!((live.tail.as_deref(), live.lines), (Some("20 %"), 2));
        pulse.wrote(Step::Run, &[line(&"é".repeat(900))], 3);
        assert_eq!(board.of(&id()).unwrap().tail.unwrap().chars().count(), LONGEST_TAIL);
    }

    #[tokio::test(start_paused = true)]
    async fn stages_take_as_long_as_they_took_by_the_steady_clock() {
        let board = Board::default();
        let pulse = board.begin(&id(), 1);
        pulse.take_up(Duration::from_secs(5));
        // Paused, the steady clock goes ahead by an hour while the wall clock stands nearly still.
        tokio::time::advance(Duration::from_secs(3600)).await;
        let stage = pulse.finish().stages.remove(0);
        assert_eq!(stage.end.unwrap().since(stage.start), Duration::from_secs(3605));
    }

    #[test]
    fn a_run_that_is_over_is_no_longer_shown() {
        let board = Board::default();
        let pulse = board.begin(&id(), 1);
        pulse.enter(StageName::Run);
        let course = pulse.finish();
        assert!(course.stages[0].end.is_some());
        drop(pulse);
        assert!(board.of(&id()).is_none());
    }
}
