//! The program `git` as a process: what it may see, how it is ended, what it said.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::secret::Secret;

/// How often it is looked at how much came.
pub(super) const WATCH: Duration = Duration::from_millis(500);
/// Most bytes that git may answer, and that are kept of what it says beside.
const MOST_WORDS: u64 = 64 << 10;
/// What stands for nothing where git wants a file.
const NOTHING: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// What git may see of the environment: where programs, certificates and proxies are.
const KEPT: [&str; 16] = [
    "PATH",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SystemRoot",
    "PATHEXT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// What is said on each command line. Nothing secret: others on this computer can read it there.
const SETTINGS: [&str; 9] = [
    "core.askPass=",
    "core.fsmonitor=false",
    "credential.helper=",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "http.lowSpeedLimit=1",
    // Seconds for which a server may send nothing.
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "submodule.recurse=false",
];

/// Why git did not do it.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is not installed.
    NoProgram,
    /// What it said.
    Said(String),
}

impl Failed {
    pub(super) fn says(&self, word: &str) -> bool {
        matches!(self, Self::Said(words) if words.contains(word))
    }
}

/// How git is called for one repository.
pub(super) struct Git {
    folder: PathBuf,
    /// A header, for the process's eyes only.
    secret: Option<String>,
}

impl Git {
    pub(super) fn new(folder: &Path, secret: Option<&Secret>) -> Self {
        let header = secret.and_then(Secret::basic);
        let header =
            header.and_then(|header| header.to_str().map(|value| format!("Authorization: {value}")).ok());
        Self { folder: folder.to_owned(), secret: header }
    }

    /// Runs git to its end and returns what it printed.
    pub(super) async fn run(&self, order: &[&str]) -> Result<String, Failed> {
        let (running, printed) = self.start(order)?;
        let mut output = Vec::new();
        let read = printed.take(MOST_WORDS + 1).read_to_end(&mut output).await;
        read.map_err(|error| Failed::Said(error.to_string()))?;
        if output.len() as u64 > MOST_WORDS {
            // Dropped, it is ended: a server may have names without end.
            return Err(Failed::Said(format!("more than {MOST_WORDS} bytes, which is no answer")));
        }
        running.end().await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Starts git; dropping what comes back ends it and all that it started.
    pub(super) fn start(
        &self,
        order: &[&str],
    ) -> Result<(Running, impl AsyncRead + Unpin + Send + use<>), Failed> {
        let mut command = Command::new("git");
        command.current_dir(&self.folder).env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.environment());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(order).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failed::NoProgram,
            _ => Failed::Said(error.to_string()),
        })?;
        let output = child.stdout.take().ok_or_else(|| Failed::Said("it has no output".to_owned()))?;
        Ok((Running::new(child), output))
    }

    fn environment(&self) -> Vec<(&'static str, &OsStr)> {
        let mut all: Vec<(&str, &OsStr)> = [
            ("GIT_ALLOW_PROTOCOL", "http:https"),
            ("GIT_ASKPASS", ""),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", NOTHING),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ]
        .map(|(name, value)| (name, OsStr::new(value)))
        .to_vec();
        all.push(("HOME", self.folder.as_os_str()));
        if let Some(header) = &self.secret {
            // A secret is for the one server, so git must not follow it elsewhere.
            all.extend([
                ("GIT_CONFIG_COUNT", OsStr::new("2")),
                ("GIT_CONFIG_KEY_0", OsStr::new("http.followRedirects")),
                ("GIT_CONFIG_VALUE_0", OsStr::new("false")),
                ("GIT_CONFIG_KEY_1", OsStr::new("http.extraHeader")),
                ("GIT_CONFIG_VALUE_1", OsStr::new(header)),
            ]);
        }
        all
    }
}

/// A running git.
pub(super) struct Running {
    child: Child,
    words: tokio::task::JoinHandle<String>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let said = child.stderr.take();
        // Ends with the process, whose end of the pipe it reads.
        let words = tokio::spawn(async move {
            let mut words = Vec::new();
            if let Some(mut said) = said {
                let _ = read(&mut said, &mut words).await;
            }
            String::from_utf8_lossy(&words).into_owned()
        });
        Self { child, words }
    }

    /// Waits for the end.
    pub(super) async fn end(mut self) -> Result<(), Failed> {
        let status = self.child.wait().await.map_err(|error| Failed::Said(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let words = (&mut self.words).await.unwrap_or_default();
        Err(Failed::Said(last_words(&words).unwrap_or_else(|| status.to_string())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.words.abort();
        // Programs that it started for the transport would live on without it.
        #[cfg(unix)]
        if let Some(pid) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?))
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Reads all, and keeps a bounded part of it.
async fn read(from: &mut (impl AsyncRead + Unpin), kept: &mut Vec<u8>) -> io::Result<()> {
    from.take(MOST_WORDS).read_to_end(kept).await?;
    tokio::io::copy(from, &mut tokio::io::sink()).await.map(drop)
}

/// The line that says why, without its beginning.
fn last_words(words: &str) -> Option<String> {
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines().find_map(|line| line.strip_prefix("fatal: "));
    fatal.or_else(|| lines().next_back()).map(str::to_owned)
}

/// A folder for one repository, removed when dropped.
pub(super) async fn folder(scratch: &Path) -> io::Result<Folder> {
    let scratch = scratch.to_owned();
    let made =
        tokio::task::spawn_blocking(move || tempfile::Builder::new().prefix("git-").tempdir_in(scratch));
    made.await.map_err(io::Error::other)?.map(|folder| Folder(Some(folder)))
}

/// A folder that is removed on a thread that may wait for the disk.
pub(super) struct Folder(Option<TempDir>);

impl Folder {
    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let (Some(folder), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(folder));
        }
    }
}

/// Bytes of all files below `folder`, of which git has few.
pub(super) async fn bytes_below(folder: &Path) -> u64 {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || measure(&folder)).await.unwrap_or_default()
}

fn measure(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => measure(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Waits until nothing is left in `scratch`, which another thread removes.
#[cfg(test)]
pub(super) async fn removed(scratch: &Path) {
    while std::fs::read_dir(scratch).unwrap().next().is_some() {
        tokio::task::yield_now().await;
    }
}
