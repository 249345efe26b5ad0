//! A desktop session of its own: a display, a session bus and a home, so that apps under test neither see nor disturb
//! the ones of whoever runs the tests.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zbus::Connection;
use zbus::connection::Builder;

/// What a dialog or a window gets to act on a stroke.
const BETWEEN_STROKES: Duration = Duration::from_secs(2);

/// A session with nothing in it: no panel, no window manager. Everything in it ends when it is dropped.
pub struct Session {
    display: String,
    bus: String,
    folder: TempDir,
    programs: Vec<Child>,
    is_dark: bool,
}

impl Session {
    /// Starts one. Blocks until it is there.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["home", "run", "bin"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        }
        // A display that nobody uses for a moment would start anew, and turn away whoever comes just then.
        let (screen, number) = said(Command::new("Xvfb").args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1280x800x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ]));
        let address = format!("--address=unix:path={}", folder.path().join("run/bus").display());
        let (daemon, bus) = said(Command::new("dbus-daemon").args([
            "--session",
            "--nofork",
            "--nopidfile",
            "--print-address=1",
            &address,
        ]));
        Self { display: format!(":{number}"), bus, folder, programs: vec![daemon, screen], is_dark: false }
    }

    /// Has a window manager in it, which lets windows be closed, minimised and put in front.
    #[must_use]
    pub fn with_window_manager(mut self) -> Self {
        let mut manager = Command::new("openbox");
        self.enter(&mut manager);
        let manager = manager.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.programs.insert(0, manager.expect("openbox is installed"));
        self
    }

    /// Has a dark theme, as a desktop has it whose person likes that.
    #[must_use]
    pub fn in_the_dark(mut self) -> Self {
        self.is_dark = true;
        self
    }

    /// The variables that let a program take part in it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let path_variable = std::env::var("PATH").unwrap_or_default();
        vec![
            ("PATH", format!("{}:{path_variable}", path("bin"))),
            ("DISPLAY", self.display.clone()),
            ("DBUS_SESSION_BUS_ADDRESS", self.bus.clone()),
            // The services of the real system are none of its business.
            ("DBUS_SYSTEM_BUS_ADDRESS", self.bus.clone()),
            ("HOME", path("home")),
            ("XDG_RUNTIME_DIR", path("run")),
            // Without a graphics card the web view draws by itself, and must not look for one.
            ("LIBGL_ALWAYS_SOFTWARE", "1".to_owned()),
            ("GTK_THEME", if self.is_dark { "Adwaita:dark" } else { "Adwaita" }.to_owned()),
        ]
    }

    /// Variables of the session that the tests run in, which must not get into this one.
    pub const FOREIGN: [&str; 5] =
        ["WAYLAND_DISPLAY", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CURRENT_DESKTOP"];

    /// Lets `command` take part in it.
    pub fn enter(&self, command: &mut Command) {
        command.envs(self.variables());
        for name in Self::FOREIGN {
            command.env_remove(name);
        }
    }

    /// Its person's home.
    pub fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("home")
    }

    /// Has the system's way of opening addresses write them down from now on.
    pub fn notes_what_is_opened(&self) {
        let script =
            "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/opening\" && mv \"$HOME/opening\" \"$HOME/opened\"\n";
        let program = self.folder.path().join("bin/xdg-open");
        std::fs::write(&program, script).expect("a temporary file");
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    }

    /// Waits for the address that is opened.
    pub async fn opened(&self) -> String {
        let opened = self.home().join("opened");
        crate::eventually("an address is opened", async || opened.exists()).await;
        std::fs::read_to_string(opened).expect("it is ours")
    }

    /// A connection to its bus.
    pub async fn connect(&self) -> Connection {
        self.bus().build().await.expect("the bus answers")
    }

    /// A connection to its bus that something is still to be put on.
    pub fn bus(&self) -> Builder<'static> {
        Builder::address(self.bus.as_str()).expect("an address")
    }

    /// What `xdotool` says to these words.
    pub async fn xdotool(&self, words: &[&str]) -> String {
        let mut command = tokio::process::Command::new("xdotool");
        command.envs(self.variables()).args(words).kill_on_drop(true);
        let output = command.output().await.expect("xdotool is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What a program that pastes a text gets from the clipboard.
    pub async fn pasted(&self) -> String {
        let mut command = tokio::process::Command::new("xclip");
        command.envs(self.variables()).args(["-selection", "clipboard", "-out"]).kill_on_drop(true);
        let output = command.output().await.expect("xclip is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The visible windows of the app.
    pub async fn windows(&self) -> Vec<String> {
        let found = self.xdotool(&["search", "--onlyvisible", "--name", "^Deskgrid$"]).await;
        found.lines().map(str::to_owned).collect()
    }

    /// Closes the window of the app as a person does, who presses the keys once more where nothing comes of it: the
    /// window manager misses them while it is still at giving the window the focus.
    pub async fn close_window(&self) {
        let mut next = Instant::now();
        crate::eventually("the window is closed", async || {
            let Some(window) = self.windows().await.pop() else { return true };
            if Instant::now() >= next {
                let strokes = ["windowactivate", "--sync", &window, "key", "--clearmodifiers", "alt+F4"];
                self.xdotool(&strokes).await;
                next = Instant::now() + BETWEEN_STROKES;
            }
            false
        })
        .await;
    }

    /// Gives `place` to the dialog for files that is open or opens now, as a person types it. Wants a window manager.
    pub async fn chooses(&self, title: &str, place: &Path) {
        let search = ["search", "--onlyvisible", "--name", title];
        crate::eventually("a dialog opens", async || !self.xdotool(&search).await.is_empty()).await;
        let dialog = self.xdotool(&search).await;
        let place = place.to_string_lossy();
        // The stroke has a dialog for folders open its line for typing.
        self.xdotool(&["windowactivate", "--sync", &dialog, "key", "slash"]).await;
        self.xdotool(&["key", "ctrl+a", "type", "--delay", "5", &place]).await;
        self.confirms(title).await;
    }

    /// Gives the dialog with this title what it asks for by the return key, until it is closed. A stroke may come before
    /// the dialog is ready for it; one too many would go to the window behind it. Wants a window manager.
    pub async fn confirms(&self, title: &str) {
        let search = ["search", "--onlyvisible", "--name", title];
        let mut next = Instant::now();
        crate::eventually("the dialog is closed", async || {
            let dialog = self.xdotool(&search).await;
            let active = self.xdotool(&["getactivewindow"]).await;
            if Instant::now() >= next && dialog.lines().any(|window| window == active) {
                self.xdotool(&["key", "Return"]).await;
                next = Instant::now() + BETWEEN_STROKES;
            }
            dialog.is_empty()
        })
        .await;
    }

    /// Saves what is on the display.
    pub async fn picture(&self, file: &Path) {
        let mut command = tokio::process::Command::new("import");
        command.envs(self.variables()).args(["-window", "root"]).arg(file);
        assert!(command.status().await.is_ok_and(|status| status.success()), "imagemagick is installed");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // It may have ended by itself.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// Starts a program that says one line when it is ready.
fn said(command: &mut Command) -> (Child, String) {
    let named = format!("{command:?}");
    let mut program = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{named}: {error}"));
    let mut line = String::new();
    let mut output = BufReader::new(program.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("readable");
    assert!(!line.trim().is_empty(), "{named} ended");
    (program, line.trim().to_owned())
}
