//! What the administration needs of the parts around this crate: who keeps the settings, who opens the port, and the
//! desktop app, where there is one. They are traits, since those parts know us and not the other way round.

use std::path::{Path, PathBuf};

use deskgrid_sites::{Change, Entry};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::watch;

/// A stable code, and words for a person.
pub type Complaint = (&'static str, String);

/// The settings and their file, which another part of the program keeps.
pub trait Books: Send + Sync {
    /// All settings in force.
    fn settings(&self) -> Value;

    /// Every setting with its value, where that comes from, and what the file says. Blocks on the disk.
    fn sheet(&self) -> Value;

    /// Writes chosen values into the file, none of them when one is wrong; null goes back to the default. Returns
    /// what the file said before. Blocks on the disk.
    ///
    /// # Errors
    /// The setting that is wrong, as far as it is one's fault, and what is wrong.
    fn choose(&self, values: &Map<String, Value>) -> Result<Value, (Option<&'static str>, Complaint)>;

    /// Told whenever settings changed.
    fn changed(&self) -> watch::Receiver<()>;

    /// Writes a decision down and returns all decisions that hold then. Blocks on the disk.
    ///
    /// # Errors
    /// Code and words when nothing was written.
    fn write(&self, change: &Change) -> Result<Vec<Entry>, Complaint>;
}

/// Whether web pages and programs can reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorState {
    /// The port is open.
    Open,
    /// The person stopped us.
    Closed,
    /// The port could not be opened; it is tried again.
    Blocked(Complaint),
}

/// The data folder on its way to another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where it goes.
    pub to: PathBuf,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Why it did not get there.
    pub problem: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Fine,
    /// It works, with a disadvantage.
    Warning,
    /// Something will not work.
    Problem,
}

impl Verdict {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what to do about it.
    pub message: String,
}

impl Check {
    /// The finding `message` about `name`.
    pub fn new(name: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name, verdict, message: message.into() }
    }
}

/// An engine that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEngine {
    /// Its address, as the setting takes it.
    pub address: String,
    /// How we came to that address.
    pub found_by: String,
    /// The stable name of its state.
    pub state: &'static str,
    /// Its version, when it answers.
    pub version: Option<String>,
}

/// The place that this site is served from: its port, its data folder, the computer.
pub trait Premises: Send + Sync {
    /// Whether the port is open.
    fn doors(&self) -> DoorState;

    /// Told whenever the doors changed.
    fn changed(&self) -> watch::Receiver<DoorState>;

    /// Opens the port and lets jobs start.
    fn open(&self) -> BoxFuture<'_, Result<(), Complaint>>;

    /// Closes the port and starts no further job.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Where everything is kept.
    fn data_directory(&self) -> &Path;

    /// Where the settings are.
    fn settings_file(&self) -> Option<&Path>;

    /// The engines of this computer.
    fn engines(&self) -> BoxFuture<'_, Vec<FoundEngine>>;

    /// Looks at everything that Deskgrid needs.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>>;

    /// Begins to move the data folder, after which the port is opened again if `was_open`.
    fn move_data(&self, to: String, was_open: bool) -> BoxFuture<'_, Result<(), Complaint>>;

    /// The move under way, or the last one when it failed.
    fn moving(&self) -> Option<Move>;
}

/// What becomes of running jobs when the desktop app ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsAtQuit {
    /// The app waits for their end.
    Finish,
    /// They are cancelled.
    Cancel,
    /// Their containers go on, and the next start takes them over.
    Keep,
}

/// The desktop app around the server.
pub trait Shell: Send + Sync + 'static {
    /// Whether an icon is in the tray.
    fn has_tray(&self) -> bool;

    /// Whether the app starts when the person logs in; none when nobody can tell.
    fn starts_at_login(&self) -> Option<bool>;

    /// Has the app started at login from now on, or no longer. Blocks on the disk.
    ///
    /// # Errors
    /// Code and words when it stays as it was.
    fn start_at_login(&self, on: bool) -> Result<(), Complaint>;

    /// Opens the window, or brings it to the front, at `link`.
    ///
    /// # Errors
    /// Code and words when the app is leaving already.
    fn open_window(&self, link: Option<String>) -> Result<(), Complaint>;

    /// Ends the app.
    fn quit(&self, jobs: JobsAtQuit);

    /// Whether the app waits for running jobs to end, and leaves then.
    fn quitting(&self) -> watch::Receiver<bool>;

    /// The person wants the app to stay after all, with the port as it was before.
    fn stay(&self);
}
