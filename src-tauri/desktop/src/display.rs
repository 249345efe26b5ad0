//! Whether there is a display to show anything on. Asked before a graphics library is: that one would end the program
//! without a word.

use std::ffi::OsString;

/// What a person without a display is told.
pub const NO_DISPLAY: &str = "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so the Deskgrid \
                              app cannot show itself. Start it on a desktop, or run `deskgrid serve`, which needs none.";
/// The exit code for it, and for a display that does not answer.
pub const NO_DISPLAY_CODE: u8 = 3;

/// The exit code of a window that said what went wrong when the person wants it tried again.
pub const TRY_AGAIN_CODE: u8 = 4;

/// What a person is told when the display of this session does not answer. A graphics library finds that out.
pub fn no_answer() -> String {
    let named = variables().map(|(name, value)| format!("{name}={}", value.display()));
    format!(
        "The display does not answer ({}), so the Deskgrid app cannot show itself. Start it on a desktop where you \
         are logged in, or run `deskgrid serve`, which needs no display.",
        named.collect::<Vec<_>>().join(", ")
    )
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
