//! Sizes and durations as people write them.
#![no_main]

use std::time::Duration;

use deskgrid_wire::{duration, size};

/// Up to here a number of milliseconds or bytes is exact in the numbers of the protocol.
const EXACT: u64 = 1 << 53;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some(bytes) = size::parse(text) {
        assert!(i64::try_from(bytes).is_ok(), "more bytes than the engine can count");
        if bytes < EXACT {
            assert_eq!(size::parse(&bytes.to_string()), Some(bytes));
        }
    }
    let Some(millis) = duration::parse(text) else { return };
    assert!(!millis.is_nan(), "no number of milliseconds");
    if let Ok(read) = Duration::try_from_secs_f64(millis / 1000.0)
        && read.as_millis() < u128::from(EXACT)
    {
        let written = duration::text(read);
        assert_eq!(duration::parse(&written), Some(read.as_millis() as f64), "{written}");
    }
});
