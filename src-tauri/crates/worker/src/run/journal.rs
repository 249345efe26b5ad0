//! Writes the lines of one log to disk and then tells the readers of the job's queues.

use std::sync::Arc;

use deskgrid_job::{LogLine, Time};
use deskgrid_store::{LogKind, LogWriter, Opening, StoreError, Texts};
use futures_util::{Stream, StreamExt as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::logs::{LineCutter, PATIENCE};
use super::telling::Telling;
use super::{Interruption, Run, disk};
use crate::lists::{LiveLines, News, Step};
use deskgrid_docker::{Chunk, EngineError};

/// Lines are written as soon as this many bytes have come.
const MOST_PENDING: usize = 256 * 1024;
/// Or this many lines, each of which costs memory beyond its bytes.
const MOST_PENDING_LINES: usize = 8192;

/// Among so many of the last lines, one that says something is looked for.
const LOOKED_AT: usize = 3;

/// The log of one run keeps this many bytes of text; the disk belongs to all jobs.
const LONGEST: u64 = 4_000_000_000;

/// Removes the logs of an earlier run, so that a run that writes nothing does not show them as its own. The first run of a
/// job may find some too: those of an erased job of the same name, where this program died before it had removed them.
pub(super) async fn clear(run: &Run) -> Result<(), Interruption> {
    let (logs, id) = (run.kit.store.logs(), run.id.clone());
    let cleared = tokio::task::spawn_blocking(move || logs.remove(&id));
    cleared.await.map_err(disk)?.map_err(disk)
}

/// One log of one run.
pub(super) struct Journal<'a> {
    run: &'a Run,
    step: Step,
    /// Opened at the first line, so that a log without lines costs nothing.
    writer: Option<LogWriter>,
    /// It goes on whether somebody waits for it or not.
    writing: Option<Writing>,
    opening: Opening,
    /// The text that it has of the container, whoever wrote it.
    texts: Texts,
    room: Room,
    telling: Telling,
}

/// Lines on their way to the disk.
struct Writing {
    done: JoinHandle<Result<LogWriter, StoreError>>,
    step: Step,
    /// Those of them that readers are told of.
    told: Vec<LogLine>,
    last: Vec<LogLine>,
}

impl<'a> Journal<'a> {
    /// A journal that replaces what an earlier run wrote.
    pub(super) fn new(run: &'a Run, step: Step) -> Self {
        let room = Room { left: LONGEST, is_cut: false };
        Self {
            run,
            step,
            writer: None,
            writing: None,
            opening: Opening::Truncate,
            texts: Texts::default(),
            room,
            telling: Telling::new(Instant::now()),
        }
    }

    /// A journal that goes on where another one of this run has ended.
    pub(super) fn going_on(run: &'a Run, step: Step) -> Self {
        Self { opening: Opening::Append, ..Self::new(run, step) }
    }

    /// A journal that goes on after what an earlier life of this program wrote of the same run, so that no reader who
    /// knows that already is told of it again.
    pub(super) async fn resume(run: &'a Run, step: Step) -> Result<Self, Interruption> {
        let (logs, id) = (run.kit.store.logs(), run.id.clone());
        let opened = tokio::task::spawn_blocking(move || logs.writer(&id, kind(step), Opening::Append));
        let writer = opened.await.map_err(disk)?.map_err(disk)?;
        let texts = writer.texts();
        let since = writer.count().saturating_sub(LOOKED_AT as u64);
        let last = run.kit.store.logs().read(&run.id, kind(step), since, LOOKED_AT).await.map_err(disk)?;
        run.pulse.wrote(step, &last.lines, writer.count());
        let room = Room { left: LONGEST.saturating_sub(texts.output + texts.errors), is_cut: false };
        Ok(Self { writer: Some(writer), texts, room, ..Self::going_on(run, step) })
    }

    /// The step that what is written belongs to.
    pub(super) fn step(&self) -> Step {
        self.step
    }

    /// What is written from now on belongs to `step`, in the same log.
    pub(super) fn go_on_as(&mut self, step: Step) {
        self.step = step;
    }

    /// Stores `lines` and tells of them, or of the first and how many more there are.
    pub(super) async fn write(&mut self, lines: Vec<LogLine>) -> Result<(), Interruption> {
        self.store(lines).await?;
        if self.telling.owes() {
            self.tell(self.step, Vec::new());
        }
        Ok(())
    }

    /// The same while more are coming: what was left out is told together with the next that readers see.
    async fn store(&mut self, lines: Vec<LogLine>) -> Result<(), Interruption> {
        let lines = self.room.keep(lines);
        if lines.is_empty() {
            return Ok(());
        }
        let last: Vec<_> = lines.iter().rev().take(LOOKED_AT).rev().cloned().collect();
        let told = self.telling.begin(&lines, Instant::now());
        self.settle().await?;
        let (store, id, kind, writer) =
            (self.run.kit.store.clone(), self.run.id.clone(), kind(self.step), self.writer.take());
        let opening = self.opening;
        let done = tokio::task::spawn_blocking(move || {
            let mut writer = match writer {
                Some(writer) => writer,
                None => store.logs().writer(&id, kind, opening)?,
            };
            writer.append(&lines)?;
            writer.flush()?;
            Ok::<_, StoreError>(writer)
        });
        self.writing = Some(Writing { done, step: self.step, told, last });
        self.settle().await
    }

    fn tell(&mut self, step: Step, told: Vec<LogLine>) {
        let left_out = self.telling.left_out();
        let news = LiveLines::new(self.run.id.clone(), step, told, left_out);
        self.run.kit.lists.tell(&self.run.id, &News::Lines(Arc::new(news)));
    }

    /// Waits for what is being written, and tells of it. Whoever drops this leaves it to the next one: an engine that
    /// goes away ends the waiting at any moment.
    async fn settle(&mut self) -> Result<(), Interruption> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = (&mut writing.done).await;
        let Some(Writing { step, told, last, .. }) = self.writing.take() else { return Ok(()) };
        let writer = written.map_err(disk)?.map_err(disk)?;
        self.run.pulse.wrote(step, &last, writer.count());
        self.texts = writer.texts();
        self.writer = Some(writer);
        if !told.is_empty() {
            self.tell(step, told);
        }
        Ok(())
    }

    /// What there is to say when the log was too long to keep.
    pub(super) fn cut(&self) -> Option<String> {
        self.room.is_cut.then(|| {
            format!(
                "Deskgrid kept the first {} GB of what the job wrote and left out the rest. Let jobs write long \
                 outputs to files in /outputs.",
                LONGEST / 1_000_000_000
            )
        })
    }

    /// Empties the log again.
    pub(super) async fn discard(mut self) -> Result<(), Interruption> {
        self.settle().await?;
        if self.writer.is_none() {
            return Ok(());
        }
        let (logs, id, kind) = (self.run.kit.store.logs(), self.run.id.clone(), kind(self.step));
        let emptied =
            tokio::task::spawn_blocking(move || logs.writer(&id, kind, Opening::Truncate).map(drop));
        emptied.await.map_err(disk)?.map_err(disk)
    }

    /// Brings the log onto the disk, so that a result that is told never has a shorter log after a power cut.
    pub(super) async fn sync(mut self) -> Result<(), Interruption> {
        self.settle().await?;
        let Some(mut writer) = self.writer else { return Ok(()) };
        tokio::task::spawn_blocking(move || writer.sync()).await.map_err(disk)?.map_err(disk)
    }

    /// Writes everything that comes out of a container, until its streams end. They begin where the container did: the
    /// text that the journal has already is passed over.
    pub(super) async fn follow(
        &mut self,
        mut chunks: impl Stream<Item = Result<Chunk, EngineError>> + Unpin,
    ) -> Result<(), Interruption> {
        self.settle().await?;
        let mut cutter = LineCutter::default();
        let mut known = Known(self.texts);
        let mut pending = Vec::new();
        let mut bytes = 0;
        let mut due = None;
        loop {
            let chunk = tokio::select! {
                // The rest of a line that is here already comes before the line is given up as unfinished.
                biased;
                chunk = chunks.next() => chunk,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    cutter.pass_on(PATIENCE, &mut pending);
                    bytes = 0;
                    self.write(known.pass_over(std::mem::take(&mut pending))).await?;
                    due = cutter.is_waiting().then(|| Instant::now() + PATIENCE);
                    continue;
                }
            };
            let Some(chunk) = chunk else { break };
            let chunk = chunk?;
            bytes += chunk.bytes.len();
            cutter.push(&chunk.bytes, chunk.is_stderr, chunk.time.unwrap_or_else(Time::now), &mut pending);
            if bytes >= MOST_PENDING || pending.len() >= MOST_PENDING_LINES {
                bytes = 0;
                self.store(known.pass_over(std::mem::take(&mut pending))).await?;
            }
            due = due.or_else(|| Some(Instant::now() + PATIENCE));
        }
        cutter.finish(&mut pending);
        self.write(known.pass_over(pending)).await
    }
}

/// How much of what comes is in the log already.
#[derive(Debug)]
struct Known(Texts);

impl Known {
    /// What is new of these lines. Text counts and not lines: where a line paused, an earlier life may have cut it.
    fn pass_over(&mut self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        if self.0 != Texts::default() {
            lines.retain_mut(|line| self.is_new(line));
        }
        lines
    }

    /// Takes the known beginning off a line; false when nothing is left of it.
    fn is_new(&mut self, line: &mut LogLine) -> bool {
        let known = if line.is_stderr { &mut self.0.errors } else { &mut self.0.output };
        if *known == 0 {
            return true;
        }
        let length = line.text.len() as u64;
        let cut = usize::try_from((*known).min(length)).unwrap_or(line.text.len());
        *known = known.saturating_sub(length);
        // Only bytes that are no UTF-8 can lead into the middle of a character.
        let cut = (cut..=line.text.len()).find(|place| line.text.is_char_boundary(*place));
        line.text.drain(..cut.unwrap_or_default());
        !line.text.is_empty()
    }
}

/// How much of a log is still kept.
#[derive(Debug)]
struct Room {
    left: u64,
    is_cut: bool,
}

impl Room {
    /// The lines that are kept: whole ones, and none after the first that does not fit.
    fn keep(&mut self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        let kept = lines.iter().take_while(|line| !self.is_cut && self.takes(line.text.len())).count();
        self.is_cut |= kept < lines.len();
        lines.truncate(kept);
        lines
    }

    fn takes(&mut self, bytes: usize) -> bool {
        let left = u64::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

fn kind(step: Step) -> LogKind {
    match step {
        Step::Pull | Step::Context | Step::Build => LogKind::Build,
        Step::Run => LogKind::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<LogLine> {
        let line = |text: &&str| LogLine { text: (*text).to_owned(), time: Time(1), is_stderr: false };
        texts.iter().map(line).collect()
    }

    #[test]
    fn a_log_keeps_its_beginning_and_nothing_after_the_first_line_that_is_too_much() {
        let mut room = Room { left: 5, is_cut: false };
        assert_eq!(room.keep(lines(&["ab\n"])).len(), 1);
        assert!(!room.is_cut);
        assert_eq!(room.keep(lines(&["c\n", "d\n", ""])), lines(&["c\n"]));
        assert!(room.is_cut);
        assert!(room.keep(lines(&[""])).is_empty());
    }

    #[test]
    fn what_the_log_has_already_is_passed_over_wherever_lines_were_cut() {
        let mut known = Known(Texts { output: 7, errors: 2 });
        let mut error = lines(&["e\n"]);
        error[0].is_stderr = true;
        assert_eq!(known.pass_over(lines(&["ab\n", "c"])), []);
        assert_eq!(known.pass_over(error.clone()), []);
        assert_eq!(known.pass_over(lines(&["de ü\n", "f\n"])), lines(&["ü\n", "f\n"]));
        assert_eq!(known.pass_over(error.clone()), error);
        assert_eq!(known.pass_over(lines(&[""])), lines(&[""]), "nothing is known any more");
    }
}
