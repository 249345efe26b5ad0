//! How long a container has run: what its time limit counts, and what its result says.
//!
//! Nobody sets the clock that this goes by, and it stands still while the computer sleeps. The wall clock, which may
//! be set by hours at any moment, is asked only where no other is left: when this program was not there, on systems
//! whose steady clock tells a new process nothing.

use std::time::Duration;

use deskgrid_job::Time;
use deskgrid_store::{Scratch, StoreError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::steady::{self, Reading};

/// Between looks at the clock. Sleep that the clock does not leave out is noticed by a much longer one.
const TICK: Duration = Duration::from_secs(10);
/// The computer was asleep between looks that are so far apart, where the clock goes on meanwhile.
const ASLEEP: Duration = Duration::from_secs(60);
/// Whether the clock of [`Instant`] goes on while the computer sleeps, as that of Windows does.
const GOES_ON_ASLEEP: bool = cfg!(windows);
/// Of the time without us, as the wall clock has it, so much is believed. A clock that was set must not end a job
/// that hardly ran; one that really ran on meanwhile is stopped so much later.
const MOST_UNSEEN: Duration = Duration::from_secs(600);

/// A note is waited for so long: a disk that hangs must not hold up the end of a container.
const NOTE_PATIENCE: Duration = Duration::from_secs(2);

/// Counts while a container runs.
#[derive(Debug)]
pub(super) struct RunTime {
    ran: Duration,
    seen: Instant,
    /// None for a container that is over: nothing is left to be stopped.
    limit: Option<Duration>,
    /// Where the next start finds how far it was.
    scratch: Option<Scratch>,
    is_noted: bool,
    /// A note on its way to the disk.
    noting: Option<JoinHandle<Result<(), StoreError>>>,
}

impl RunTime {
    /// From `ran` on.
    pub(super) fn from(ran: Duration, limit: Option<Duration>, scratch: Option<Scratch>) -> Self {
        Self { ran, seen: Instant::now(), limit, scratch, is_noted: false, noting: None }
    }

    /// How long it has run until now.
    pub(super) fn read(&mut self) -> Duration {
        let now = Instant::now();
        self.ran += counted(now.saturating_duration_since(self.seen), GOES_ON_ASLEEP);
        self.seen = now;
        self.ran
    }

    /// Whether its time is up.
    pub(super) fn is_up(&mut self) -> bool {
        let ran = self.read();
        self.limit.is_some_and(|limit| ran >= limit)
    }

    /// Waits until its time is up, and sees to it that the next start knows how long it has run. It may be dropped
    /// and called again.
    pub(super) async fn until_up(&mut self) {
        let Some(limit) = self.limit else { return std::future::pending().await };
        loop {
            let ran = self.read();
            if ran >= limit {
                // Whoever finds the container after us, killed, shall know by whom.
                self.is_noted = false;
                return self.note(ran).await;
            }
            self.note(ran).await;
            tokio::time::sleep(TICK.min(limit.saturating_sub(ran))).await;
        }
    }

    /// One note is enough where the clock tells the next process how long ago that was.
    async fn note(&mut self, ran: Duration) {
        if self.is_noted && steady::OUTLIVES_US {
            return;
        }
        // What takes longer is waited for by the next one.
        let _ = tokio::time::timeout(NOTE_PATIENCE, self.write(ran)).await;
    }

    async fn write(&mut self, ran: Duration) {
        self.settle().await;
        let Some(scratch) = self.scratch.clone() else { return };
        // It may take a moment until there is a thread for it, and the container runs on.
        let read_at = self.seen;
        let write = move || Note::now(ran + read_at.elapsed()).keep_in(&scratch);
        self.noting = Some(tokio::task::spawn_blocking(write));
        self.settle().await;
    }

    async fn settle(&mut self) {
        let Some(noting) = &mut self.noting else { return };
        let noted = noting.await;
        self.noting = None;
        match noted {
            Ok(Ok(())) => self.is_noted = true,
            // The next start then goes by the wall clock.
            Ok(Err(error)) => tracing::debug!(%error, "could not note how long a container has run"),
            Err(_) => {}
        }
    }
}

/// What counts of the time between two looks.
fn counted(gap: Duration, goes_on_asleep: bool) -> Duration {
    if goes_on_asleep && gap > ASLEEP { TICK } else { gap }
}

/// How long a container had run at a moment; or that it was about to be started then, and cannot have run longer
/// than since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    ran: Option<Duration>,
    wall: Time,
    steady: Option<Reading>,
}

/// In place of a number of milliseconds.
const NOT_STARTED: &str = "start";

/// What is known of the time that a container had run when an earlier life of this program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// It ran so long at least.
    pub(super) noted: Duration,
    /// It has run so long, if it still does.
    pub(super) until_now: Duration,
}

impl Note {
    fn now(ran: Duration) -> Self {
        Self { ran: Some(ran), ..Self::before_start() }
    }

    /// Of a container that is started next. The start takes time that is not the job's.
    pub(super) fn before_start() -> Self {
        Self { ran: None, wall: Time::now(), steady: steady::read() }
    }

    /// Writes it down for the next start. This blocks.
    pub(super) fn keep_in(&self, scratch: &Scratch) -> Result<(), StoreError> {
        scratch.note(&self.to_string())
    }

    /// The note of an earlier life. This blocks.
    pub(super) fn of(scratch: &Scratch) -> Option<Self> {
        Self::parse(&scratch.noted()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let ran = match words.next()? {
            NOT_STARTED => None,
            millis => Some(Duration::from_millis(millis.parse().ok()?)),
        };
        let wall = Time(words.next()?.parse().ok()?);
        let steady = words.next().zip(words.next());
        let steady = steady
            .and_then(|(millis, boot)| Some(Reading { millis: millis.parse().ok()?, boot: boot.to_owned() }));
        Some(Self { ran, wall, steady })
    }

    /// What this tells of a container that the engine says started at `started`. This blocks.
    pub(super) fn known(&self, started: Time) -> Known {
        self.known_at(started, &Self::before_start())
    }

    fn known_at(&self, started: Time, now: &Self) -> Known {
        let since = self.since(now);
        match self.ran {
            Some(ran) => Known { noted: ran, until_now: ran + since },
            None => Known { noted: Duration::ZERO, until_now: now.wall.since(started).min(since) },
        }
    }

    /// The time from this note until `now`.
    fn since(&self, now: &Self) -> Duration {
        match (&self.steady, &now.steady) {
            (Some(then), Some(now)) if then.boot == now.boot => {
                Duration::from_millis(now.millis.saturating_sub(then.millis))
            }
            _ => now.wall.since(self.wall).min(MOST_UNSEEN),
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ran {
            Some(ran) => write!(to, "{} {}", ran.as_millis(), self.wall.0)?,
            None => write!(to, "{NOT_STARTED} {}", self.wall.0)?,
        }
        self.steady.as_ref().map_or(Ok(()), |steady| write!(to, " {} {}", steady.millis, steady.boot))
    }
}

impl Known {
    /// Of a container that was started at `started` and of which nothing is noted.
    pub(super) fn by_wall(started: Time) -> Self {
        let until_now = Time::now().since(started).min(MOST_UNSEEN);
        Self { noted: Duration::ZERO, until_now }
    }
}

/// How long a container ran that ended while we were away: by the engine's wall clock as far as that is possible.
pub(super) fn of_ended(by_wall: Option<Duration>, known: Known) -> Duration {
    let Known { noted, until_now } = known;
    by_wall.unwrap_or(noted).clamp(noted, until_now.max(noted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn note(ran: u64, wall: u64, steady: Option<(u64, &str)>) -> Note {
        let steady = steady.map(|(millis, boot)| Reading { millis, boot: boot.to_owned() });
        Note { ran: Some(Duration::from_millis(ran)), wall: Time(wall), steady }
    }

    fn ran_until(note: &Note, now: &Note) -> Duration {
        note.known_at(note.wall, now).until_now
    }

    #[test]
    fn a_container_of_which_only_the_start_was_noted_ran_no_longer_than_since_wherever_the_wall_clock_was_set_to()
     {
        let before = Note { ran: None, ..note(0, 9 * HOUR, Some((50_000, "boot"))) };
        let started = Time(9 * HOUR + 400);
        for (wall, ran) in [(9 * HOUR + 7000, 6600), (0, 0), (99 * HOUR, 7000)] {
            let known = before.known_at(started, &note(0, wall, Some((57_000, "boot"))));
            assert_eq!(
                known,
                Known { noted: Duration::ZERO, until_now: Duration::from_millis(ran) },
                "{wall}"
            );
        }
    }

    #[test]
    fn a_note_reads_back_as_it_was_written() {
        let first = note(5, 9 * HOUR, Some((77, "boot")));
        for note in [first, note(0, 1, None), Note::now(Duration::ZERO), Note::before_start()] {
            assert_eq!(Note::parse(&note.to_string()), Some(note));
        }
        for damaged in ["", "x", "5", "5 y", "-1 2"] {
            assert_eq!(Note::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn the_time_without_us_goes_by_the_steady_clock_wherever_the_wall_clock_was_set_to() {
        let then = note(1000, 9 * HOUR, Some((50_000, "boot")));
        for wall in [0, 9 * HOUR, 99 * HOUR] {
            let now = note(0, wall, Some((57_000, "boot")));
            assert_eq!(ran_until(&then, &now), Duration::from_secs(8), "{wall}");
        }
    }

    #[test]
    fn where_only_the_wall_clock_is_left_it_is_believed_within_bounds() {
        let then = note(1000, 9 * HOUR, Some((50_000, "boot")));
        for (wall, ran) in [(9 * HOUR + 7000, 8), (0, 1), (99 * HOUR, 601)] {
            for steady in [None, Some((60_000, "another boot"))] {
                assert_eq!(ran_until(&then, &note(0, wall, steady)), Duration::from_secs(ran), "{wall}");
            }
        }
    }

    #[test]
    fn sleep_does_not_count_where_the_clock_goes_on_meanwhile() {
        let night = Duration::from_secs(8 * 3600);
        assert_eq!(counted(night, true), TICK);
        assert_eq!(counted(night, false), night, "what such a clock shows has really passed");
        assert_eq!(counted(TICK * 2, true), TICK * 2, "a busy computer is not asleep");
    }

    #[test]
    fn a_container_that_ended_without_us_ran_no_longer_than_was_possible() {
        let seconds = Duration::from_secs;
        let known = |noted, until_now| Known { noted: seconds(noted), until_now: seconds(until_now) };
        let ran = |by_wall| of_ended(by_wall, known(10, 60));
        assert_eq!(ran(Some(seconds(30))), seconds(30));
        assert_eq!(ran(Some(seconds(7200))), seconds(60), "the clock was set forward");
        assert_eq!(ran(Some(seconds(0))), seconds(10), "the clock was set back");
        assert_eq!(ran(None), seconds(10));
        assert_eq!(of_ended(None, known(10, 5)), seconds(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_up_when_it_has_run_so_long_and_not_before() {
        let mut time = RunTime::from(Duration::from_secs(50), Some(Duration::from_secs(95)), None);
        let began = Instant::now();
        time.until_up().await;
        assert_eq!(began.elapsed(), Duration::from_secs(45));
        assert_eq!(time.read(), Duration::from_secs(95));
        time.until_up().await;
        assert_eq!(began.elapsed(), Duration::from_secs(45), "and it stays up");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_time_is_up_also_while_the_disk_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let store = deskgrid_store::Store::open(dir.path()).unwrap();
        let scratch = store.scratch(&deskgrid_job::JobId::new("a").unwrap(), 1).unwrap();
        // Writing to a pipe that nobody reads from hangs as a disk does.
        let pipe = scratch.outputs().with_file_name("note.new");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut time = RunTime::from(Duration::ZERO, Some(Duration::ZERO), Some(scratch));
        let hangs = tokio::time::timeout(Duration::from_secs(300), time.until_up()).await;
        // Lets the thread end, whatever came of it.
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        assert!(hangs.is_ok());
        drop(reader);
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_is_over_is_never_out_of_time() {
        let mut time = RunTime::from(Duration::from_secs(5000), None, None);
        assert!(tokio::time::timeout(TICK * 100, time.until_up()).await.is_err());
    }
}
