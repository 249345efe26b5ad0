//! Durations as people write them: `90s`, `1h30m`, `1 hour 5 minutes` (protocol section 2, `maxDuration`).
//!
//! The reading is as lenient as the deployed clients': words that are no unit are passed over. Whether a duration
//! makes sense for a job is not decided here.

use std::time::Duration;

use crate::ecmascript::is_white_space;
use crate::json;

/// Names and milliseconds of each unit, longest unit first. Case and one `s` at the end make no difference.
const UNITS: [(&[&str], f64); 10] = [
    (&["year", "yr", "y"], 31_557_600_000.0),
    (&["month", "mo", "mth"], 2_629_800_000.0),
    (&["week", "wk", "w"], 604_800_000.0),
    (&["day", "d"], 86_400_000.0),
    (&["hour", "hr", "h"], 3_600_000.0),
    (&["minute", "min", "m"], 60_000.0),
    (&["second", "sec", "s"], 1000.0),
    (&["millisecond", "millisec", "ms"], 1.0),
    (&["microsecond", "microsec", "us", "µs"], 0.001),
    (&["nanosecond", "nanosec", "ns"], 0.000_001),
];

/// The milliseconds that `text` stands for, negative when it begins with `-`; none when it has no duration in it.
///
/// A number without a unit counts milliseconds, or the next smaller unit where it follows one: `1h30` is `1h30m`.
pub fn parse(text: &str) -> Option<f64> {
    let grouped = without_grouping(text);
    let mut rest = grouped.as_str();
    let mut total = None;
    let mut unit_before = None;
    while let Some((number, after)) = next_number(rest) {
        let after = after.trim_start_matches(is_white_space);
        let word_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (word, after) = after.split_at(word_end);
        let unit = match (word, unit_before) {
            ("", None) => Some(1.0),
            ("", Some(before)) => next_smaller(before),
            (word, _) => unit(&word.to_lowercase()),
        };
        if let Some(factor) = unit {
            total = Some(total.unwrap_or(0.0) + number * factor);
        }
        unit_before = unit;
        rest = after;
    }
    let sign = if text.trim_start_matches(is_white_space).starts_with('-') { -1.0 } else { 1.0 };
    total.map(|total| total * sign)
}

/// `duration` in the form that [`parse`] reads: `1h30m`. Parts of a millisecond are dropped.
pub fn text(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= millis {
            json::push(&mut text, format_args!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `text` without the space, comma or underscore between two digits. A digit serves one such pair only.
fn without_grouping(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        out.push(chars[at]);
        at += 1;
        if let [before, ' ' | ',' | '_', after] = chars[at - 1..(at + 2).min(chars.len())]
            && before.is_ascii_digit()
            && after.is_ascii_digit()
        {
            out.push(after);
            at += 2;
        }
    }
    out
}

/// The first number in `text`, and what follows it.
fn next_number(text: &str) -> Option<(f64, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut start = text.find(is_digit)?;
    if text[..start].ends_with('.') {
        start -= 1;
    }
    let number = &text[start..];
    let mut length = number.find(|c| !is_digit(c)).unwrap_or(number.len());
    if let Some(fraction) = number[length..].strip_prefix('.') {
        let digits = leading_digits(fraction);
        length += if digits > 0 { digits + 1 } else { 0 };
    }
    length += exponent_length(&number[length..]);
    Some((number[..length].parse().ok()?, &number[length..]))
}

/// Bytes of an exponent such as `e3` or `E-3` at the start of `rest`.
fn exponent_length(rest: &str) -> usize {
    let Some(after) = rest.strip_prefix(['e', 'E']) else { return 0 };
    let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
    match leading_digits(digits) {
        0 => 0,
        count => rest.len() - digits.len() + count,
    }
}

fn leading_digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

fn unit(word: &str) -> Option<f64> {
    let named = |name: &str| UNITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, factor)| *factor);
    named(word).or_else(|| named(word.strip_suffix('s')?))
}

fn next_smaller(before: f64) -> Option<f64> {
    UNITS.iter().map(|(_, factor)| *factor).find(|factor| *factor < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        text: String,
        ms: Option<f64>,
    }

    fn check(vectors: &str) {
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() > 10);
        for Vector { text, ms } in vectors {
            assert_eq!(parse(&text), ms, "{text:?}");
        }
    }

    #[test]
    fn every_duration_of_the_vectors_is_read_as_the_clients_do() {
        check(include_str!("../vectors/durations.json"));
        check(include_str!("../vectors/more-durations.json"));
    }

    #[test]
    fn a_bare_number_after_a_unit_counts_the_next_smaller_one() {
        for (text, ms) in [("1h30", 5_400_000.0), ("1d12", 129_600_000.0), ("1h30m15", 5_415_000.0)] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        assert_eq!(parse("1ns5"), Some(0.000_001));
    }

    #[test]
    fn a_duration_reads_back_from_its_text() {
        for (ms, wanted) in [(5_400_000, "1h30m"), (90_000, "1m30s"), (0, "0s"), (1500, "1s500ms")] {
            assert_eq!(text(Duration::from_millis(ms)), wanted);
            #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
            let read = ms as f64;
            assert_eq!(parse(wanted), Some(read));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).*", close in "[0-9., _eEhms+µ-]*") {
            parse(&text);
            parse(&close);
        }
    }
}
