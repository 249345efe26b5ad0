//! Sizes, times and counts as people read them.

use std::time::Duration;

/// `1.5 MB`: a size on a disk, in thousands as disks are sold.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `350 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`: a time with as much detail as one cares for.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The first letters of a job's id, enough to name it on the command line.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(
            [size(0), size(1500), size(999_999), size(5_000_000_000)],
            ["0 B", "1.5 KB", "1.0 MB", "5.0 GB"]
        );
        let times = [350, 4200, 200_000, 7_500_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(times, ["350 ms", "4.2 s", "3 min 20 s", "2 h 5 min"]);
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([count(1, "file"), count(0, "file")], ["1 file", "0 files"]);
    }
}
