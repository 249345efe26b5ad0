//! Which bytes of a file a request wants (RFC 9110, section 14).

/// The answer to a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range was asked for, or one that we need not understand.
    Whole,
    /// `length` bytes from `start`; at least one.
    Part {
        /// The first byte.
        start: u64,
        /// How many.
        length: u64,
    },
    /// A range that begins behind the end.
    Nothing,
}

/// Reads the value of a `Range` header for a file of `size` bytes. Several ranges at once get the whole file, as a
/// server is free to answer.
pub(super) fn wanted(header: &str, size: u64) -> Wanted {
    let Some(range) = header.trim().strip_prefix("bytes=") else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(start), None) if last.is_empty() => part(start, u64::MAX, size),
        (Some(start), Some(last)) if start <= last => part(start, last, size),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(suffix)) if first.is_empty() => part(size.saturating_sub(suffix), u64::MAX, size),
        _ => Wanted::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    // More digits than fit mean a byte behind any end.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn part(start: u64, last: u64, size: u64) -> Wanted {
    if start >= size {
        return Wanted::Nothing;
    }
    Wanted::Part { start, length: last.min(size - 1) - start + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(start: u64, length: u64) -> Wanted {
        Wanted::Part { start, length }
    }

    #[test]
    fn a_range_is_cut_to_the_file() {
        assert_eq!(wanted("bytes=0-9", 100), bytes(0, 10));
        assert_eq!(wanted("bytes=90-", 100), bytes(90, 10));
        assert_eq!(wanted("bytes=-10", 100), bytes(90, 10));
        assert_eq!(wanted("bytes=-1000", 100), bytes(0, 100));
        assert_eq!(wanted("bytes=50-1000", 100), bytes(50, 50));
        assert_eq!(wanted("bytes=99-99", 100), bytes(99, 1));
        assert_eq!(wanted("bytes=0-99999999999999999999999", 100), bytes(0, 100));
    }

    #[test]
    fn a_range_behind_the_end_cannot_be_answered() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(range, 100), Wanted::Nothing, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_range_gets_the_whole_file() {
        for odd in
            ["", "lines=1-2", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=+1-2"]
        {
            assert_eq!(wanted(odd, 100), Wanted::Whole, "{odd}");
        }
    }
}
