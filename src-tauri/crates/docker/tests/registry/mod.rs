//! A real registry on this computer, which the set-up installed. It ends with the test.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A running registry without passwords.
pub(crate) struct Registry {
    /// Where it listens, as images are named there: `localhost:port`.
    pub(crate) address: String,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts one on a free port and waits until it listens.
    pub(crate) async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: 127.0.0.1:{port}}}\n",
            folder.path().display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&settings).stderr(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        // `setup/packages test` installs it.
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("listening on") {
                break;
            }
        }
        // It would end at its next log line if nobody read them.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address: format!("localhost:{port}"), _process: process, _folder: folder }
    }
}
