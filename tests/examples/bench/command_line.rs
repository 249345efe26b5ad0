//! What people compare with: `docker run`, `cp`, `sha256sum` and other programs, timed from start to end.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::bare::{Bare, Folders, LABEL, NETWORK, VOLUME};
use deskgrid_tests::BUSYBOX;

/// `docker run` of the same container; it goes when it has ended.
pub(crate) async fn docker_run(engine: &Bare, script: &str, folders: &Folders) -> Duration {
    let folder = folders.path().display();
    let mut command = docker(engine);
    command
        .args(["run", "--rm", "--cpus", "1", "--network", NETWORK])
        .args(["--label", &format!("{LABEL}={}", engine.mark())])
        .args(["--volume", &format!("{folder}/inputs:/inputs")])
        .args(["--volume", &format!("{folder}/outputs:/outputs")])
        .args(["--volume", &format!("{VOLUME}:/job-cache")])
        .args([BUSYBOX, "/bin/sh", "-c", script]);
    finished(command).await
}

fn docker(engine: &Bare) -> Command {
    let mut command = Command::new("docker");
    command.args(["--host", engine.host()]);
    command
}

/// Copies a file and waits until the copy is on the disk.
pub(crate) async fn copy(from: &Path, to: &Path) -> Duration {
    let mut command = Command::new("sh");
    command.args(["-c", "cp \"$1\" \"$2\" && sync \"$2\"", "sh"]).arg(from).arg(to);
    finished(command).await
}

/// Copies a file as far as the system's memory.
pub(crate) async fn copy_in_memory(from: &Path, to: &Path) -> Duration {
    let mut command = Command::new("cp");
    command.arg(from).arg(to);
    finished(command).await
}

/// Hashes a file; returns the hash too.
pub(crate) async fn sha256sum(file: &Path) -> (Duration, String) {
    let began = Instant::now();
    let output = Command::new("sha256sum").arg(file).output().await.expect("sha256sum is installed");
    let took = began.elapsed();
    (took, String::from_utf8_lossy(&output.stdout).chars().take(64).collect())
}

/// Waits until all files on the disk of `place` are as they are in memory.
pub(crate) async fn settle(place: &Path) {
    let mut command = Command::new("sync");
    command.arg("--file-system").arg(place);
    finished(command).await;
}

/// How long a program runs that ends well.
pub(crate) async fn finished(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let began = Instant::now();
    let status = command.status().await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
    began.elapsed()
}
