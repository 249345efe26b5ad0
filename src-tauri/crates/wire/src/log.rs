//! Log lines as clients read them: `[text, time]`, and a third member for the error stream (protocol section 3).

use std::borrow::Borrow;

use deskgrid_job::LogLine;

use crate::json::{push, push_each, push_text};

/// Appends one line.
pub fn append(out: &mut String, line: &LogLine) {
    append_as(out, line, line.is_stderr);
}

/// Appends the lines as one list, brackets included.
pub fn append_list<L: Borrow<LogLine>>(out: &mut String, lines: impl IntoIterator<Item = L>) {
    out.push('[');
    push_each(out, lines, |out, line: L| append(out, line.borrow()));
    out.push(']');
}

/// Appends one line by a stream of the caller's choice.
pub(crate) fn append_as(out: &mut String, line: &LogLine, is_stderr: bool) {
    out.push('[');
    push_text(out, &line.text);
    push(out, format_args!(",{}", line.time.0));
    out.push_str(if is_stderr { ",true]" } else { "]" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use deskgrid_job::Time;

    #[test]
    fn only_lines_of_the_error_stream_say_so() {
        let line = |text: &str, is_stderr| LogLine { text: text.into(), time: Time(12), is_stderr };
        let mut out = String::new();
        append_list(&mut out, [line("a\n", false), line("\"b\"", true)]);
        assert_eq!(out, r#"[["a\n",12],["\"b\"",12,true]]"#);
    }
}
