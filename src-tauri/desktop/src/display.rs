//! Whether there is a display to show anything on. Asked before a graphics library is: that one would end the program
//! without a word.

use std::ffi::OsString;

use crate::text;

/// The exit code where there is no display, and for a display that does not answer.
pub const NO_DISPLAY_CODE: u8 = 3;

/// The exit code of a window that said what went wrong when the person wants it tried again.
pub const TRY_AGAIN_CODE: u8 = 4;

/// What a person is told when the display of this session does not answer. A graphics library finds that out.
pub fn no_answer() -> String {
    let named = variables().map(|(name, value)| format!("{name}={}", value.display()));
    text::no_answer(&named.collect::<Vec<_>>().join(", "))
}

/// Whether this session claims to show windows.
pub fn is_there() -> bool {
    !cfg!(target_os = "linux") || variables().next().is_some()
}

/// The variables that name a display, with what they say.
fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
    ["WAYLAND_DISPLAY", "DISPLAY"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .filter(|(_, value)| !value.is_empty())
}
