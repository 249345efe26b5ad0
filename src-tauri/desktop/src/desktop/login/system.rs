//! The lists of macOS (a launch agent) and Windows (the registry of the person).

use auto_launch::{AutoLaunch, AutoLaunchBuilder};

use super::{FLAG, LoginError, program};

/// Whether it starts at login; none when the system does not tell. Blocks on the disk.
pub(crate) fn is_on() -> Option<bool> {
    entry().ok()?.is_enabled().ok()
}

/// Makes it start at login, or not. Blocks on the disk.
///
/// # Errors
/// [`LoginError`] says what stands in the way.
pub(crate) fn set(on: bool) -> Result<(), LoginError> {
    let entry = entry()?;
    let is_on = entry.is_enabled().map_err(list)?;
    match (on, is_on) {
        (true, _) => entry.enable().map_err(list),
        (false, true) => entry.disable().map_err(list),
        (false, false) => Ok(()),
    }
}

fn list(error: auto_launch::Error) -> LoginError {
    LoginError::List(error.to_string())
}

fn entry() -> Result<AutoLaunch, LoginError> {
    let mut builder = AutoLaunchBuilder::new();
    builder.set_app_name(deskgrid_desktop::text::NAME).set_app_path(&program()?).set_args(&[FLAG]);
    #[cfg(target_os = "macos")]
    builder.set_macos_launch_mode(auto_launch::MacOSLaunchMode::LaunchAgent);
    builder.build().map_err(list)
}
