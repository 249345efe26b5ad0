//! Which program holds a port of this computer, as far as the system tells. Nobody is ended for it: the person is told.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, target_os = "macos"))]
mod macos;
#[cfg(any(test, target_os = "windows"))]
mod windows;

#[cfg(target_os = "linux")]
use linux::look;
#[cfg(target_os = "macos")]
use macos::look;
#[cfg(target_os = "windows")]
use windows::look;

/// What answers of every Deskgrid carry as their `Server`.
pub const SERVER: &str = "Deskgrid";

/// Who listens on a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortHolder {
    /// The process; none where the system tells only its own user or the administrator.
    pub process: Option<HolderProcess>,
    /// Whether it is the process of another user.
    pub is_of_another_user: bool,
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderProcess {
    /// Its number.
    pub id: u32,
    /// The name of its program; empty where it is not told.
    pub name: String,
}

/// Who listens on `port`; nobody known where the system does not tell. This blocks: it looks through all processes.
pub fn port_holder(port: u16) -> PortHolder {
    look(port)
}

/// Systems that nobody has looked at.
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn look(_port: u16) -> PortHolder {
    PortHolder::default()
}

/// What a program of the system writes; none when it is not there or fails.
#[cfg(any(target_os = "macos", target_os = "windows"))]
fn output_of(program: &str, words: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(words).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
