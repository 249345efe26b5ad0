//! A real headless Chromium, driven over its debugging socket as far as the tests need it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::PATIENCE;

/// A host name of somebody else that leads the browser to this computer.
pub const REBOUND: &str = "evil.example";

/// A tab with an empty profile of its own. It is closed when dropped.
pub struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What keeps its cookies and the like apart from those of other tabs.
    profile: Value,
    /// The tab, once one is open.
    session: Value,
    sent: u64,
    _program: Arc<Program>,
}

/// The running browser, which all tabs of the moment share, since its start takes far longer than a tab.
struct Program {
    process: Child,
    /// Where it takes commands.
    address: String,
    _profile: TempDir,
}

impl Program {
    /// The one that runs, or a new one. Blocks until it is there.
    fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Program>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *running = Arc::downgrade(&started);
            started
        })
    }

    fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--no-proxy-server", "--remote-debugging-port=0"])
            .arg(format!("--host-resolver-rules=MAP {REBOUND} 127.0.0.1"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed");
        let address = debugging_address(&mut process);
        Self { process, address, _profile: profile }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Opens `url` in a new tab.
    pub async fn open(url: &str) -> Self {
        let program = tokio::task::spawn_blocking(Program::shared).await.expect("the browser starts");
        let (socket, _) = connect_async(&program.address).await.expect("the browser takes commands");
        let (profile, session) = (Value::Null, Value::Null);
        let mut browser = Self { socket, profile, session, sent: 0, _program: program };
        let apart = json!({"disposeOnDetach": true});
        let mut profile = browser.command("Target.createBrowserContext", apart).await.expect("a profile");
        browser.profile = profile["browserContextId"].take();
        let tab = json!({"url": url, "browserContextId": browser.profile});
        let target = browser.command("Target.createTarget", tab).await.expect("a tab");
        browser.session = browser.attach(&target).await;
        browser
    }

    /// Where the frames of other sites in the tab are. One whose content was refused is at an error of the browser's.
    pub async fn foreign_frames(&mut self) -> Vec<String> {
        let tab = std::mem::take(&mut self.session);
        let frames = json!({"filter": [{"type": "iframe"}]});
        let mut frames = self.command("Target.getTargets", frames).await.expect("a list");
        let mut frames = frames["targetInfos"].as_array_mut().map(std::mem::take).expect("a list");
        frames.retain(|frame| frame["browserContextId"] == self.profile);
        let mut places = Vec::new();
        for frame in &frames {
            self.session = self.attach(frame).await;
            places.push(self.run("location.href").await.as_str().expect("an address").to_owned());
            self.session = Value::Null;
        }
        self.session = tab;
        places
    }

    /// A session with a tab or a frame.
    async fn attach(&mut self, target: &Value) -> Value {
        let target = json!({"targetId": target["targetId"], "flatten": true});
        self.command("Target.attachToTarget", target).await.expect("a session")["sessionId"].take()
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

    /// Presses a key and lets it go, as a keyboard does: a letter, or a key by its name in the DOM. `Ctrl+` may stand
    /// before it.
    pub async fn presses(&mut self, key: &str) {
        let (modifiers, key) = key.strip_prefix("Ctrl+").map_or((0, key), |key| (CTRL, key));
        let text = match key {
            "Enter" => Some("\r"),
            letter if letter.chars().count() == 1 && modifiers == 0 => Some(letter),
            _ => None,
        };
        // Else a tab behind another one has no focus.
        self.command("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await.expect("a focus");
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({"type": kind, "key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code(key)});
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = json!(text);
            }
            self.command("Input.dispatchKeyEvent", event).await.expect("a key");
        }
    }

    /// Clicks on the middle of a part of the page as a mouse does, after which the page takes the person for one who
    /// uses the mouse.
    pub async fn clicks_with_the_mouse(&mut self, part: &str) {
        let middle = format!(
            "(() => {{ const {{x, y, width, height}} = document.querySelector('[data-testid=\"{part}\"]')\
             .getBoundingClientRect(); return {{x: x + width / 2, y: y + height / 2}}; }})()"
        );
        let middle = self.run(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": middle["x"], "y": middle["y"], "button": "left", "clickCount": 1});
            self.command("Input.dispatchMouseEvent", event).await.expect("a mouse");
        }
    }

    /// Lets the page copy and paste, as a person's click does.
    pub async fn may_copy(&mut self) {
        let granted = json!({"permissions": ["clipboardReadWrite"], "browserContextId": self.profile});
        self.command("Browser.grantPermissions", granted).await.expect("a permission");
        self.command("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await.expect("a focus");
    }

    /// What was copied last, in whatever tab. The page has to be one that may copy.
    pub async fn pasted(&mut self) -> String {
        self.run("navigator.clipboard.readText()").await.as_str().expect("text").to_owned()
    }

    /// Shows the tab by day or by night, in a view of this size.
    pub async fn looks(&mut self, is_dark: bool, width: u32, height: u32) {
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.command("Emulation.setEmulatedMedia", media).await.expect("a scheme");
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size).await.expect("a size");
    }

    /// What the tab shows, as a PNG.
    pub async fn picture(&mut self) -> Vec<u8> {
        let taken =
            self.command("Page.captureScreenshot", json!({"format": "png"})).await.expect("a picture");
        let data = taken["data"].as_str().expect("bytes");
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).expect("base64")
    }

    /// What the page offers to act on without saying what it is, as screen readers hear it.
    pub async fn nameless(&mut self) -> Vec<String> {
        const ROLES: [&str; 12] = [
            "button",
            "checkbox",
            "combobox",
            "link",
            "listbox",
            "menuitem",
            "radio",
            "searchbox",
            "slider",
            "switch",
            "tab",
            "textbox",
        ];
        let mut tree = self.command("Accessibility.getFullAXTree", json!({})).await.expect("a tree");
        let nodes = tree["nodes"].as_array_mut().map(std::mem::take).expect("a list");
        let is_nameless = |node: &Value| {
            let (role, name) = (node["role"]["value"].as_str(), node["name"]["value"].as_str());
            node["ignored"] != true
                && role.is_some_and(|role| ROLES.contains(&role))
                && name.is_none_or(str::is_empty)
        };
        let mut found = Vec::new();
        for node in nodes.iter().filter(|node| is_nameless(node)) {
            let which = json!({"backendNodeId": node["backendDOMNodeId"]});
            let described = self.command("DOM.describeNode", which).await.expect("a node");
            found.push(format!("{} {}", node["role"]["value"], described["node"]["attributes"]));
        }
        found
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

/// How the debugging protocol says that Ctrl is held.
const CTRL: u8 = 2;

/// The number of a key, by which browsers know what it does.
fn code(key: &str) -> u32 {
    match key {
        "Tab" => 9,
        "Enter" => 13,
        "Escape" => 27,
        "PageUp" => 33,
        "PageDown" => 34,
        "End" => 35,
        "Home" => 36,
        "ArrowLeft" => 37,
        "ArrowUp" => 38,
        "ArrowRight" => 39,
        "ArrowDown" => 40,
        "Delete" => 46,
        letter => letter.to_uppercase().chars().next().map_or(0, u32::from),
    }
}

/// The browser chooses its port and says so.
fn debugging_address(process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let said = lines.find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned));
    // A browser whose words nobody reads any more would be stopped by the full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    said.expect("the browser says where it takes commands")
}
