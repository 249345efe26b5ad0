//! Sizes in bytes as people write them: `512m`, `1.5GiB`, `1024`. In definitions, and wherever memory is meant, all
//! units are powers of 1024 (protocol section 2, *Sizes*); of a disk `GB` is what it says on it.

/// The largest size the engine's numbers hold.
const MOST: f64 = 9_223_372_036_854_774_784.0;

/// The bytes that `text` stands for, rounded down; none when it is no size.
pub fn parse(text: &str) -> Option<u64> {
    read(text, 1024.0)
}

/// The bytes on a disk that `text` stands for: the same, but for units without an `i`, which are powers of 1000.
pub fn parse_on_disk(text: &str) -> Option<u64> {
    read(text, 1000.0)
}

fn read(text: &str, step: f64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    from_number(number.parse::<f64>().ok()? * factor(unit.trim_start(), step)?)
}

/// The bytes of a plain number, rounded down; none when it is negative or too large for any computer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and a fraction of a byte means nothing"
)]
pub fn from_number(bytes: f64) -> Option<u64> {
    (0.0..=MOST).contains(&bytes).then_some(bytes as u64)
}

fn factor(unit: &str, step: f64) -> Option<f64> {
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" if unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let step = if unit.ends_with("ib") { 1024.0 } else { step };
    Some(step.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024_in_any_case() {
        for (text, bytes) in [
            ("2g", 2 << 30),
            ("512m", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("1024", 1024),
            ("64 MB", 64 << 20),
            ("10b", 10),
            (" 1K ", 1024),
            ("1TiB", 1 << 40),
            (".5k", 512),
            ("0", 0),
            ("1.0001k", 1024),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn on_a_disk_units_are_powers_of_1000_unless_they_say_otherwise() {
        for (text, bytes) in [
            ("20 GB", 20_000_000_000),
            ("20g", 20_000_000_000),
            ("1.5t", 1_500_000_000_000),
            ("2GiB", 2 << 30),
            ("7", 7),
        ] {
            assert_eq!(parse_on_disk(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_size() {
        for text in [
            "",
            "g",
            "1ib",
            "1bb",
            "abc",
            "-1g",
            "1x",
            "1gg",
            "1.2.3m",
            ".",
            "1e3",
            "9999999999t",
            "1 g b",
            "ⅷ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(from_number(f64::NAN), None);
    }
}
