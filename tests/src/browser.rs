//! A real headless Chromium, driven over its debugging socket as far as the tests need it.

use std::process::Stdio;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::PATIENCE;

/// A running browser with one tab and an empty profile. It ends when dropped.
pub struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The tab, once one is open.
    session: Value,
    sent: u64,
    // Dropped in this order: the program first, then what it writes to.
    _process: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser and opens `url`.
    pub async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--no-proxy-server", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is installed");
        let address = debugging_address(&mut process).await;
        let (socket, _) = connect_async(address).await.expect("the browser takes commands");
        let mut browser =
            Self { socket, session: Value::Null, sent: 0, _process: process, _profile: profile };
        let target = browser.command("Target.createTarget", json!({"url": url})).await.expect("a tab");
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let mut attached = browser.command("Target.attachToTarget", attach).await.expect("a session");
        browser.session = attached["sessionId"].take();
        browser
    }

    /// The value of a script in the tab, awaited when it is a promise. An error of the script is the test's.
    pub async fn run(&mut self, script: &str) -> Value {
        self.try_to_run(script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    async fn try_to_run(&mut self, script: &str) -> Result<Value, Value> {
        let asked = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.command("Runtime.evaluate", asked).await?;
        match answer["exceptionDetails"].take() {
            Value::Null => Ok(answer["result"]["value"].take()),
            thrown => Err(thrown),
        }
    }

    /// Waits until a script's value is true. The page may still be loading.
    pub async fn until(&mut self, script: &str) {
        let wait = async {
            while self.try_to_run(script).await != Ok(json!(true)) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let text = self.text().await;
            panic!("this never came true: {script}\n{text}");
        }
    }

    /// All text that the tab shows.
    pub async fn text(&mut self) -> String {
        self.run("document.body ? document.body.innerText : ''").await.as_str().expect("text").to_owned()
    }

    async fn command(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(command.to_string())).await.expect("the browser is there");
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("it answers in time");
            let text = frame.expect("the browser stays").expect("a frame").into_text().expect("text");
            let mut answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == self.sent {
                let error = answer["error"].take();
                return if error.is_null() { Ok(answer["result"].take()) } else { Err(error) };
            }
        }
    }
}

/// The browser chooses its port and says so.
async fn debugging_address(process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let said = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some(address) = line.strip_prefix("DevTools listening on ") {
                return address.to_owned();
            }
        }
        panic!("the browser ended");
    };
    let address = tokio::time::timeout(PATIENCE, said).await.expect("the browser starts in time");
    // A browser whose words nobody reads any more would be stopped by the full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    address
}
