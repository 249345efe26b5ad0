//! Runs the built program as a person does in a terminal.

use std::process::Stdio;

use tokio::process::Command;

use crate::server::{PATIENCE, program};

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its output.
    pub stdout: String,
    /// Its errors.
    pub stderr: String,
}

/// `deskgrid` with `args`, to be started.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    without_settings(&mut command).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `deskgrid` with `args` to its end.
pub async fn deskgrid(args: &[&str]) -> Outcome {
    finish(command(args)).await
}

/// Runs a command to its end.
pub async fn finish(mut command: Command) -> Outcome {
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time");
    let output = output.expect("the program starts");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Keeps the settings of whoever runs the tests out of the program.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    let ours = |name: &String| name.starts_with("DESKGRID_") && name != "DESKGRID_LOG";
    for name in std::env::vars().map(|(name, _)| name).filter(ours) {
        command.env_remove(name);
    }
    command.env_remove("DOCKER_HOST")
}
