//! Sizes in bytes as people write them: `512m`, `1.5GiB`, `1024` (protocol section 2, *Sizes*). Powers of 1024 only.

/// The largest size the engine's numbers hold.
const MOST: f64 = 9_223_372_036_854_774_784.0;

/// The bytes that `text` stands for, rounded down; none when it is no size.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    from_number(number.parse::<f64>().ok()? * factor(unit.trim_start())?)
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

fn factor(unit: &str) -> Option<f64> {
    let power = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    Some(1024_f64.powi(power))
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
    fn anything_else_is_no_size() {
        for text in ["", "g", "abc", "-1g", "1x", "1gg", "1.2.3m", ".", "1e3", "9999999999t", "1 g b", "ⅷ"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(from_number(f64::NAN), None);
    }
}
