//! The `Range` header of a request for a file.
#![no_main]

// The crate around it is a web server with all that belongs to one; the reader stands alone in this file.
#[path = "../../src-tauri/crates/http/src/files/range.rs"]
mod range;

use range::{Wanted, wanted};

libfuzzer_sys::fuzz_target!(|input: (u64, &str)| {
    let (size, header) = input;
    if let Wanted::Part { start, length } = wanted(header, size) {
        let end = start.checked_add(length).expect("no overflow");
        assert!(length > 0 && end <= size, "{start} and {length} more of {size}");
    }
});
