//! The real window of the app, driven through `WebDriver`: the same program and the same web view that a person has.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::desktop::{desktop, desktop_program, window_program};
use crate::server::PATIENCE;
use crate::session::Session;
use crate::ui::Ui;

/// A window onto the app that keeps its data in a folder. It is closed when dropped.
pub struct Window {
    driver: Child,
    http: reqwest::Client,
    /// Where this window takes commands.
    address: String,
}

impl Window {
    /// Opens it in `session` onto the Deskgrid that keeps its data in `data`.
    pub async fn open(session: &Session, data: &Path) -> Self {
        let args = ["--door".into(), data.join("deskgrid.sock").into()];
        Self::of(session, &window_program(), &args).await
    }

    /// Starts the app itself in `session` over `folder`, with these arguments, and takes the window that it opens. The
    /// app ends with it.
    pub async fn of_app(session: &Session, folder: &Path, args: &[&str]) -> Self {
        let app = desktop(session, folder, args);
        let args: Vec<OsString> = app.as_std().get_args().map(OsStr::to_owned).collect();
        Self::of(session, &desktop_program(), &args).await
    }

    async fn of(session: &Session, program: &Path, args: &[OsString]) -> Self {
        let port = free_port();
        let mut command = Command::new("WebKitWebDriver");
        session.enter(&mut command);
        let driver = command
            .arg(format!("--port={port}"))
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("webkit2gtk-driver is installed");
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let base = format!("http://127.0.0.1:{port}");
        crate::eventually("the driver listens", async || {
            http.get(format!("{base}/status")).send().await.is_ok()
        })
        .await;
        let mut window = Self { driver, http, address: base };
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let browser = json!({"binary": program, "args": args});
        let wanted = json!({"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": browser}}});
        let answer = window.command("session", &wanted).await;
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no window: {answer}"));
        window.address = format!("{}/session/{id}", window.address);
        window.sees("sidebar").await;
        window
    }

    async fn command(&self, path: &str, body: &Value) -> Value {
        let answer = self.http.post(format!("{}/{path}", self.address)).json(body).send().await;
        let answer: Value = answer.expect("the driver answers").json().await.expect("JSON");
        answer["value"].clone()
    }

    /// Closes the window as its own button does.
    pub async fn close(self) {
        let closed = self.http.delete(&self.address).send().await;
        assert!(closed.is_ok_and(|answer| answer.status().is_success()));
    }
}

impl Ui for Window {
    async fn value(&mut self, expression: &str) -> Value {
        // Our page runs no text as a script; the driver does.
        let statements: Vec<_> = expression.rsplitn(2, "; ").collect();
        let script = match statements[..] {
            [last, before] if !expression.starts_with('(') => format!("{before}; return {last}"),
            _ => format!("return {expression}"),
        };
        self.command("execute/sync", &json!({"script": script, "args": []})).await
    }

    async fn until(&mut self, expression: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.value(expression).await != json!(true) {
            if tokio::time::Instant::now() > deadline {
                let text = self.value("document.body.innerText").await;
                panic!("this never came true: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// A real click, which something that lies over the part would catch.
    async fn clicks(&mut self, part: &str) {
        let selector = format!("[data-testid=\"{part}\"]:not(:disabled)");
        let found = format!("document.querySelector({})", json!(selector));
        self.until(&format!("{found} !== null")).await;
        let element = self.command("element", &json!({"using": "css selector", "value": selector})).await;
        let id = element.as_object().and_then(|fields| fields.values().next()).and_then(Value::as_str);
        let id = id.unwrap_or_else(|| panic!("{part}: {element}"));
        let clicked = self.command(&format!("element/{id}/click"), &json!({})).await;
        assert_eq!(clicked, Value::Null, "{part}");
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A window ends with its driver, but an app would not.
        let children = ["-KILL", "-P", &self.driver.id().to_string()];
        let _ = Command::new("pkill").args(children).status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A port that nobody listens on. The driver does not say which one it chose by itself.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it listens").port()
}
