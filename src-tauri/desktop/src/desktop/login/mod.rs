//! Whether the app starts with the person's session: an entry in the system's own list of such programs, which the
//! person can see and change there as well. Off until somebody chooses it.

#[cfg(not(target_os = "linux"))]
mod system;
#[cfg(target_os = "linux")]
mod xdg;

#[cfg(not(target_os = "linux"))]
pub(crate) use system::{is_on, set};
#[cfg(target_os = "linux")]
pub(crate) use xdg::{is_on, set};

use std::path::PathBuf;

/// Makes the app go to the tray without a window.
const FLAG: &str = "--hidden";

/// Why it could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The system's list could not be read or written.
    #[error("Whether Deskgrid starts at login could not be changed: {0}.")]
    List(String),
    /// Nobody knows where this program or the list is.
    #[error("Whether Deskgrid starts at login could not be changed: the system does not tell where {0} is.")]
    Unknown(&'static str),
}

impl LoginError {
    /// Stable across versions.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::List(_) => "login-list",
            Self::Unknown(_) => "login-unknown",
        }
    }
}

/// An `AppImage` is started by its own file; what runs is a mounted copy that is gone tomorrow.
fn program() -> Result<String, LoginError> {
    let image = std::env::var_os("APPIMAGE").map(PathBuf::from);
    let program = image.or_else(|| std::env::current_exe().ok()).filter(|program| program.is_absolute());
    program
        .and_then(|program| program.into_os_string().into_string().ok())
        .ok_or(LoginError::Unknown("the program"))
}
