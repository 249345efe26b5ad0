//! A day of the calendar, by universal time: as fine as anyone needs to know when a site was last used.

use std::fmt;

use deskgrid_job::Time;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// A day, in the order of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year of the common calendar.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// The day in which `time` lies.
    pub fn of(time: Time) -> Self {
        let mut days = time.0 / DAY;
        let mut year = 1970;
        while days >= length_of_year(year) && year < u16::MAX {
            days -= length_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days >= u64::from(length_of_month(year, month)) {
            days -= u64::from(length_of_month(year, month));
            month += 1;
        }
        // Beyond the last year that can be told, the last day stands for all.
        let day = u8::try_from(days + 1).unwrap_or(u8::MAX).min(length_of_month(year, month));
        Self { year, month, day }
    }

    /// The day that `text` names as `2026-11-22`; none when there is no such day.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// The day of these numbers; none when there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_day = (1..=12).contains(&month) && (1..=length_of_month(year, month)).contains(&day);
        is_day.then_some(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn length_of_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn length_of_month(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_the_day_that_the_calendar_says() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_795_305_600, "2026-11-22"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Date::of(Time(seconds * 1000)).to_string(), day);
        }
        assert_eq!(Date::of(Time(u64::MAX)).year, u16::MAX);
    }

    #[test]
    fn only_days_that_exist_are_read() {
        assert_eq!(Date::parse("2024-02-29").map(|day| day.to_string()).as_deref(), Some("2024-02-29"));
        for bad in ["2023-02-29", "2024-13-01", "2024-00-01", "2024-1-1", "24-01-01", "2024-01-01-1", "", "x"]
        {
            assert_eq!(Date::parse(bad), None, "{bad}");
        }
    }
}
