//! A real registry on this computer, which the set-up installed. It ends when dropped.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{BUSYBOX, EngineClient, unique};

/// A running registry without passwords.
pub struct Registry {
    /// Where it listens, as images are named there: `localhost:port`.
    address: String,
    _process: Child,
    _folder: TempDir,
}

impl Registry {
    /// Starts one on a free port and waits until it listens.
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a port").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = folder.path().join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: 127.0.0.1:{port}}}\n",
            folder.path().display()
        );
        std::fs::write(&settings, text).expect("a temporary file");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&settings).stderr(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("`setup/packages test` installs it");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        while let Some(line) = lines.next_line().await.expect("readable") {
            if line.contains("listening on") {
                break;
            }
        }
        // It would end at its next log line if nobody read them.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address: format!("localhost:{port}"), _process: process, _folder: folder }
    }

    /// Puts busybox into it under a name of its own, which the engine does not know afterwards.
    pub async fn busybox(&self, engine: &EngineClient) -> String {
        let (repository, tag) = (format!("{}/busybox", self.address), unique());
        let image = format!("{repository}:{tag}");
        let (status, answer) =
            engine.post(&format!("/images/{BUSYBOX}/tag?repo={repository}&tag={tag}"), &Value::Null).await;
        assert_eq!(status, 201, "{answer}");
        engine.push(&repository, &tag).await;
        engine.remove_image(&image).await;
        image
    }
}
