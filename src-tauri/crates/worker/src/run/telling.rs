//! How much of a log is told as it comes: more than anybody reads, and little enough for hundreds of pages that look at
//! a job which writes without end. The log itself has every line.

use std::time::Duration;

use deskgrid_job::LogLine;
use tokio::time::Instant;

/// So many lines are told at once, and then as many again as were earned by waiting.
const MOST_LINES: u64 = 5000;
/// Waiting is counted in pieces of so long.
const TICK: Duration = Duration::from_millis(100);
/// What each of them earns.
const LINES_PER_TICK: u64 = 200;
/// Long lines count for several: one for each of so many bytes.
const BYTES_OF_LINE: usize = 256;
/// Of lines that come in one piece so many are told at most.
const MOST_OF_PIECE: usize = 500;
/// And no more of them once they have so many bytes.
const MOST_BYTES_OF_PIECE: usize = 32 * 1024;

/// What one log may still tell, and what it did not.
#[derive(Debug)]
pub(super) struct Telling {
    lines: u64,
    /// Waiting counts from here.
    since: Instant,
    left_out: u64,
}

impl Telling {
    pub(super) fn new(now: Instant) -> Self {
        Self { lines: MOST_LINES, since: now, left_out: 0 }
    }

    /// The first of `lines`, as far as they are told. What is left is counted.
    pub(super) fn begin(&mut self, lines: &[LogLine], now: Instant) -> Vec<LogLine> {
        self.earn(now);
        let told = if self.lines > 0 { first(lines) } else { &[] };
        let cost: usize = told.iter().map(|line| 1 + line.text.len() / BYTES_OF_LINE).sum();
        self.lines = self.lines.saturating_sub(cost as u64);
        self.left_out += (lines.len() - told.len()) as u64;
        told.to_vec()
    }

    /// Whether lines were left out of which nobody was told.
    pub(super) fn owes(&self) -> bool {
        self.left_out > 0
    }

    /// How many lines were left out since this was asked.
    pub(super) fn left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    fn earn(&mut self, now: Instant) {
        let ticks = now.saturating_duration_since(self.since).as_nanos() / TICK.as_nanos();
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.since += TICK * ticks;
        self.lines = MOST_LINES.min(self.lines.saturating_add(u64::from(ticks) * LINES_PER_TICK));
    }
}

fn first(lines: &[LogLine]) -> &[LogLine] {
    let mut bytes = 0;
    let fits = |line: &&LogLine| {
        let fits = bytes < MOST_BYTES_OF_PIECE;
        bytes += line.text.len();
        fits
    };
    let count = lines.iter().take(MOST_OF_PIECE).take_while(fits).count();
    &lines[..count]
}

#[cfg(test)]
mod tests {
    use deskgrid_job::Time;

    use super::*;

    fn lines(count: u64, length: usize) -> Vec<LogLine> {
        let line = LogLine { text: "x".repeat(length), time: Time(1), is_stderr: false };
        vec![line; usize::try_from(count).unwrap()]
    }

    /// How many lines are told of so many that come in pieces of 500.
    fn told(telling: &mut Telling, count: u64, now: Instant) -> usize {
        let all = lines(count, 1);
        all.chunks(MOST_OF_PIECE).map(|piece| telling.begin(piece, now).len()).sum()
    }

    #[test]
    fn many_lines_are_told_at_once_and_of_a_job_that_writes_without_end_the_rest_is_counted() {
        let now = Instant::now();
        let mut telling = Telling::new(now);
        assert_eq!(told(&mut telling, MOST_LINES, now), 5000);
        assert!(!telling.owes());
        assert_eq!(told(&mut telling, 900, now), 0);
        assert!(telling.owes());
        assert_eq!((telling.left_out(), telling.left_out()), (900, 0));
        assert_eq!(told(&mut telling, LINES_PER_TICK, now + TICK), 200);
        assert_eq!(told(&mut telling, 1, now + TICK), 0);
    }

    #[test]
    fn who_waited_for_an_hour_is_told_no_more_at_once_than_at_first() {
        let now = Instant::now();
        let mut telling = Telling::new(now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(told(&mut telling, 1, now), 1);
        assert_eq!(told(&mut telling, MOST_LINES + 500, later), 5000);
    }

    #[test]
    fn of_what_comes_in_one_piece_a_bounded_part_is_told() {
        let now = Instant::now();
        let told = |count, length| Telling::new(now).begin(&lines(count, length), now).len();
        assert_eq!(told(3, 10), 3);
        assert_eq!(told(100_000, 2), MOST_OF_PIECE);
        assert_eq!(told(100, 1000), 33);
        assert_eq!(told(2, 1 << 20), 1, "a long line alone is told");
    }

    #[test]
    fn long_lines_count_for_several() {
        let now = Instant::now();
        let mut telling = Telling::new(now);
        assert_eq!(
            telling.begin(&lines(1, 2 * usize::try_from(MOST_LINES).unwrap() * BYTES_OF_LINE), now).len(),
            1
        );
        assert_eq!(told(&mut telling, 1, now), 0);
    }
}
