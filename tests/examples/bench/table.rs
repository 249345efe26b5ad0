//! The table: one line for each figure, with its limit beside it.

use std::time::Duration;

use crate::samples::Samples;

/// One figure and its limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    what: String,
    ours: String,
    limit: String,
    /// What the limit is.
    against: String,
    apart: String,
    aim: String,
}

impl Row {
    /// Any two figures, already in words.
    pub(crate) fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), ..Self::default() }
    }

    pub(crate) fn against(mut self, limit: impl Into<String>, name: impl Into<String>) -> Self {
        self.limit = limit.into();
        self.against = name.into();
        self
    }

    pub(crate) fn apart(mut self, words: impl Into<String>) -> Self {
        self.apart = words.into();
        self
    }

    /// Two times of the same thing.
    pub(crate) fn times(what: impl Into<String>, ours: Duration, limit: Duration, name: &str) -> Self {
        let difference = ours.as_secs_f64() - limit.as_secs_f64();
        Self::new(what, time(ours)).against(time(limit), name).apart(format!(
            "{}, {}",
            signed(difference),
            ratio(ours.as_secs_f64(), limit.as_secs_f64())
        ))
    }

    /// Medians of two things measured in turn; the difference is that of the rounds.
    pub(crate) fn medians(what: impl Into<String>, ours: &Samples, limit: &Samples, name: &str) -> Self {
        let (one, two) = (ours.median(), limit.median());
        let words = format!("{}, {}", signed(ours.above(limit)), ratio(one.as_secs_f64(), two.as_secs_f64()));
        Self::times(what, one, two, name).apart(words)
    }

    /// Says whether `value` (in the unit of `shown`) is at most `most`.
    fn aim(mut self, value: f64, most: f64, shown: impl Fn(f64) -> String) -> Self {
        let met = if value <= most { "met".to_owned() } else { format!("missed by {}", shown(value - most)) };
        self.aim = format!("<= {}: {met}", shown(most));
        self
    }

    /// An aim for the time itself.
    pub(crate) fn aim_time(self, took: Duration, most: Duration) -> Self {
        self.aim(took.as_secs_f64(), most.as_secs_f64(), seconds)
    }

    /// An aim for the time that is added to the limit.
    pub(crate) fn aim_added(self, added: f64, most: Duration) -> Self {
        let mut row = self.aim(added, most.as_secs_f64(), seconds);
        row.aim = row.aim.replacen("<= ", "<= +", 1);
        row
    }

    /// An aim for a number of events.
    pub(crate) fn aim_count(self, count: u64, most: u64) -> Self {
        self.aim(count as f64, most as f64, |count| format!("{count:.0}"))
    }

    pub(crate) fn aim_bytes(self, bytes: f64, most: f64) -> Self {
        self.aim(bytes, most, megabytes)
    }

    fn cells(&self) -> [&str; 6] {
        [&self.what, &self.ours, &self.limit, &self.against, &self.apart, &self.aim]
    }
}

const HEADS: [&str; 6] = ["what", "Deskgrid", "limit", "which is", "apart", "aim"];
/// Wide enough for all rows, since each is printed as soon as it is known.
const WIDTHS: [usize; 6] = [50, 10, 10, 38, 18, 26];

/// Prints the head of the table.
pub(crate) fn begin() {
    println!();
    print_line(HEADS);
    print_rule();
}

/// Prints the rows of one theme.
pub(crate) fn add(rows: &[Row]) {
    for row in rows {
        print_line(row.cells());
    }
    print_rule();
}

/// Prints what is to be known about all rows.
pub(crate) fn end() {
    println!(
        "Times are medians unless a row says otherwise; \"apart\" is then the median difference within a round."
    );
}

fn print_rule() {
    println!("{}", "-".repeat(WIDTHS.iter().sum::<usize>() + 3 * (WIDTHS.len() - 1)));
}

fn print_line(cells: [&str; 6]) {
    let padded: Vec<_> = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("{}", padded.join(" | ").trim_end());
}

pub(crate) fn time(time: Duration) -> String {
    seconds(time.as_secs_f64())
}

pub(crate) fn seconds(seconds: f64) -> String {
    match seconds.abs() {
        size if size >= 1.0 => format!("{seconds:.2} s"),
        size if size >= 0.1 => format!("{:.0} ms", seconds * 1e3),
        size if size >= 0.01 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.2} ms", seconds * 1e3),
    }
}

pub(crate) fn signed(difference: f64) -> String {
    if difference < 0.0 { seconds(difference) } else { format!("+{}", seconds(difference)) }
}

pub(crate) fn ratio(ours: f64, limit: f64) -> String {
    format!("x{:.2}", ours / limit)
}

pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

/// So many bytes or things in that time.
pub(crate) fn speed(bytes: u64, took: Duration) -> String {
    format!("{:.0} MB/s", bytes as f64 / 1e6 / took.as_secs_f64())
}
