//! One line of a log as it is on disk.

use deskgrid_job::{LogLine, Time};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row(String, u64, #[serde(default)] bool);

/// Appends the line and its newline to `to`. JSON escapes any newline in the text, so there is just this one.
pub(super) fn encode(line: &LogLine, to: &mut Vec<u8>) -> serde_json::Result<()> {
    if line.is_stderr {
        serde_json::to_writer(&mut *to, &(&line.text, line.time.0, true))?;
    } else {
        serde_json::to_writer(&mut *to, &(&line.text, line.time.0))?;
    }
    to.push(b'\n');
    Ok(())
}

/// Reads one line. What is damaged is shown as it is: one bad line must not hide all others.
pub(super) fn decode(bytes: &[u8]) -> LogLine {
    match serde_json::from_slice(bytes) {
        Ok(Row(text, time, is_stderr)) => LogLine { text, time: Time(time), is_stderr },
        Err(_) => {
            LogLine { text: String::from_utf8_lossy(bytes).into_owned(), time: Time(0), is_stderr: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, is_stderr: bool) -> LogLine {
        LogLine { text: text.into(), time: Time(1_700_000_000_123), is_stderr }
    }

    #[test]
    fn a_line_takes_one_line_on_disk_and_reads_back() {
        for line in [line("plain\n", false), line("\r\u{1b}[1m \"ü\" \\ \u{fffd}\n\n", true), line("", false)]
        {
            let mut bytes = Vec::new();
            encode(&line, &mut bytes).unwrap();
            assert_eq!(bytes.iter().position(|byte| *byte == b'\n'), Some(bytes.len() - 1));
            assert_eq!(decode(&bytes), line);
        }
    }

    #[test]
    fn the_form_on_disk_is_compact() {
        let mut bytes = Vec::new();
        encode(&line("a\n", false), &mut bytes).unwrap();
        encode(&line("b", true), &mut bytes).unwrap();
        assert_eq!(bytes, b"[\"a\\n\",1700000000123]\n[\"b\",1700000000123,true]\n");
    }

    #[test]
    fn a_damaged_line_is_shown_as_it_is() {
        assert_eq!(decode(b"[\"half").text, "[\"half");
    }
}
