//! The stream of events that the command line program reads from a server, which need not be ours.
#![no_main]

use deskgrid_wire::sse::{Event, Parser};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = Parser::default().push(bytes);
    let size = usize::from(bytes.first().copied().unwrap_or(0)) % 16 + 1;
    assert_eq!(in_pieces(bytes, size), whole, "pieces of {size} bytes");
    // One byte that is no UTF-8 is told by three.
    let length: usize = whole.iter().map(|event| event.data.len()).sum();
    assert!(length <= bytes.len() * 3);
});

fn in_pieces(bytes: &[u8], size: usize) -> Vec<Event> {
    let mut parser = Parser::default();
    bytes.chunks(size).flat_map(|piece| parser.push(piece)).collect()
}
