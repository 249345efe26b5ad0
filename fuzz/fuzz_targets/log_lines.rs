//! What a container writes, cut into lines. The first bytes say where the pieces end in which it arrives.
#![no_main]

// Nothing outside its crate needs the cutter, which stands alone in this file.
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../src-tauri/crates/worker/src/run/logs.rs"]
mod logs;

use std::time::Duration;

use deskgrid_job::{LogLine, Time};
use logs::LineCutter;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((sizes, written)) = bytes.split_at_checked(8) else { return };
    let lines = cut(written, sizes);
    assert!(lines.iter().all(|line| !line.text.is_empty()));
    for line in &lines {
        let inside = line.text.strip_suffix('\n').unwrap_or(&line.text);
        assert!(!inside.contains('\n'), "two lines in one: {inside:?}");
    }
    if let Ok(text) = std::str::from_utf8(written) {
        let together: String = lines.into_iter().map(|line| line.text).collect();
        assert_eq!(together, text, "nothing is lost, doubled or torn");
    }
});

/// The lines of one stream, of which what is there is passed on now and then without waiting for its newline.
fn cut(mut rest: &[u8], sizes: &[u8]) -> Vec<LogLine> {
    let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(usize::from(size % 32 + 1).min(rest.len()));
        cutter.push(piece, false, Time(1), &mut lines);
        if size % 3 == 0 {
            cutter.pass_on(Duration::ZERO, &mut lines);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    cutter.finish(&mut lines);
    lines
}
