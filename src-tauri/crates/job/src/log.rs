//! Lines that a container or a build wrote.

use crate::Time;

/// One line as the container wrote it, with the newline it ended in (protocol section 3, `logs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The text; bytes that are no UTF-8 have become U+FFFD.
    pub text: String,
    /// When it arrived.
    pub time: Time,
    /// Whether it came by the error stream.
    pub is_stderr: bool,
}
