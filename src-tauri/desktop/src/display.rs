//! Whether there is a display to show anything on. Asked before a graphics library is: that one would end the program
//! without a word.

/// What a person without a display is told.
pub const NO_DISPLAY: &str = "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so the Deskgrid \
                              app cannot show itself. Start it on a desktop, or run `deskgrid serve`, which needs none.";
/// The exit code for it.
pub const NO_DISPLAY_CODE: u8 = 3;

/// Whether this session can show windows.
pub fn is_there() -> bool {
    !cfg!(target_os = "linux")
        || ["WAYLAND_DISPLAY", "DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
