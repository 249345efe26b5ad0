//! From the bytes that a container writes to lines: whole characters, whole lines, in order of arrival.
//!
//! Not the storing or sending of lines.

use std::time::Duration;

use deskgrid_job::{LogLine, Time};
use tokio::time::Instant;

/// A line longer than this is passed on in pieces, so that memory stays bounded.
const LONGEST_PIECE: usize = 64 * 1024;
/// Text without a newline that is drawn anew in its place, such as a progress bar, is passed on after this long.
pub(super) const PATIENCE: Duration = Duration::from_millis(150);
/// Other text so many times later: on a busy computer the rest of a line may take a while, and is to stay with it.
const PLAIN: u32 = 8;

/// Cuts two streams of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    stdout: Partial,
    stderr: Partial,
}

/// What has arrived of a line.
#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    /// When its first byte came, by the engine's clock.
    since: Time,
    /// The same by ours.
    waits_since: Option<Instant>,
}

impl LineCutter {
    /// Takes a piece of a stream; appends the lines it completes to `lines`.
    pub(super) fn push(&mut self, bytes: &[u8], is_stderr: bool, time: Time, lines: &mut Vec<LogLine>) {
        let partial = if is_stderr { &mut self.stderr } else { &mut self.stdout };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if partial.bytes.is_empty() {
                partial.since = time;
                partial.waits_since = Some(Instant::now());
            }
            partial.bytes.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                lines.push(partial.take_all(is_stderr));
            } else if partial.bytes.len() >= LONGEST_PIECE {
                lines.extend(partial.take_whole_characters(is_stderr));
            }
        }
    }

    /// Passes on unfinished lines that wait for at least `patience`, or [`PLAIN`] times that; a character of which only a
    /// part has arrived waits for the rest.
    pub(super) fn pass_on(&mut self, patience: Duration, lines: &mut Vec<LogLine>) {
        for (partial, is_stderr) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            let patience = if partial.is_drawn_anew() { patience } else { patience * PLAIN };
            if partial.waits_since.is_some_and(|since| since.elapsed() >= patience) {
                lines.extend(partial.take_whole_characters(is_stderr));
                partial.waits_since = (!partial.bytes.is_empty()).then(Instant::now);
            }
        }
    }

    /// The streams are over: passes on all that is left.
    pub(super) fn finish(&mut self, lines: &mut Vec<LogLine>) {
        for (partial, is_stderr) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            if !partial.bytes.is_empty() {
                lines.push(partial.take_all(is_stderr));
            }
        }
    }

    /// Whether some text waits for its newline.
    pub(super) fn is_waiting(&self) -> bool {
        !(self.stdout.bytes.is_empty() && self.stderr.bytes.is_empty())
    }
}

impl Partial {
    fn is_drawn_anew(&self) -> bool {
        self.bytes.contains(&b'\r')
    }

    fn take_all(&mut self, is_stderr: bool) -> LogLine {
        let bytes = std::mem::take(&mut self.bytes);
        LogLine { text: text(bytes), time: self.since, is_stderr }
    }

    fn take_whole_characters(&mut self, is_stderr: bool) -> Option<LogLine> {
        let whole = self.bytes.len() - unfinished_character(&self.bytes);
        let rest = self.bytes.split_off(whole);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        (!bytes.is_empty()).then(|| LogLine { text: text(bytes), time: self.since, is_stderr })
    }
}

/// Bytes that are no UTF-8 become U+FFFD, as the protocol's JSON cannot carry them.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How many bytes at the end are the beginning of a character whose rest may still come.
fn unfinished_character(bytes: &[u8]) -> usize {
    let tail = bytes.iter().rev().take(4);
    let Some(back) = tail.clone().position(|byte| *byte & 0xC0 != 0x80) else { return 0 };
    let length = match bytes[bytes.len() - 1 - back] {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => 1,
    };
    if length > back + 1 { back + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_keep_their_newline_and_the_order_of_arrival() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        cutter.push(b"one\ntw", false, Time(1), &mut lines);
        cutter.push(b"err\n", true, Time(2), &mut lines);
        cutter.push(b"o\n", false, Time(3), &mut lines);
        assert_eq!(texts(&lines), ["one\n", "err\n", "two\n"]);
        assert_eq!(lines.iter().map(|line| line.is_stderr).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn the_beginning_of_a_line_that_has_just_come_is_not_passed_on() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        cutter.push(b"one\ntw", false, Time(1), &mut lines);
        cutter.pass_on(Duration::from_secs(3600), &mut lines);
        cutter.push(b"o\n", false, Time(2), &mut lines);
        assert_eq!(texts(&lines), ["one\n", "two\n"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_progress_bar_is_passed_on_before_a_line_whose_rest_may_come_yet() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        cutter.push(b"one\ntw", false, Time(1), &mut lines);
        cutter.push(b"50%\r", true, Time(1), &mut lines);
        tokio::time::advance(PATIENCE).await;
        cutter.pass_on(PATIENCE, &mut lines);
        assert_eq!(texts(&lines), ["one\n", "50%\r"]);
        tokio::time::advance(PATIENCE * PLAIN).await;
        cutter.pass_on(PATIENCE, &mut lines);
        assert_eq!(texts(&lines), ["one\n", "50%\r", "tw"]);
    }

    #[test]
    fn a_character_split_over_two_writes_is_not_torn() {
        let whole = "grüße 😀\n".as_bytes();
        for cut in 1..whole.len() {
            let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
            cutter.push(&whole[..cut], false, Time(1), &mut lines);
            cutter.pass_on(Duration::ZERO, &mut lines);
            cutter.push(&whole[cut..], false, Time(2), &mut lines);
            cutter.finish(&mut lines);
            assert_eq!(texts(&lines).concat(), "grüße 😀\n", "cut at {cut}");
        }
    }

    #[test]
    fn text_without_a_newline_is_passed_on_when_asked() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        cutter.push(b"50%\r", false, Time(1), &mut lines);
        assert!(cutter.is_waiting() && lines.is_empty());
        cutter.pass_on(Duration::ZERO, &mut lines);
        assert_eq!(texts(&lines), ["50%\r"]);
        assert!(!cutter.is_waiting());
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_nothing_is_lost() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        cutter.push(b"a\xff\xfeb\nc\xe2\x82", false, Time(1), &mut lines);
        cutter.finish(&mut lines);
        assert_eq!(texts(&lines), ["a\u{fffd}\u{fffd}b\n", "c\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_passed_on_in_pieces() {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        for _ in 0..10 {
            cutter.push(&vec![b'x'; 50_000], false, Time(1), &mut lines);
        }
        cutter.finish(&mut lines);
        assert!(lines.iter().all(|line| line.text.len() <= LONGEST_PIECE + 50_000));
        assert_eq!(lines.iter().map(|line| line.text.len()).sum::<usize>(), 500_000);
    }
}
