//! A wall clock that a test sets while a program goes by it.
//!
//! The library libfaketime answers the program's questions for the time of day. All other clocks are the real ones.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::server::Options;

/// Debian has it there; the linker knows which folder stands for `$LIB`.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";
/// An hour, in seconds.
pub const HOUR: i64 = 3600;

/// The clock of the programs that are started with its [`Self::options`].
pub struct WallClock {
    folder: TempDir,
}

impl WallClock {
    /// A clock that is right.
    pub fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(0);
        clock
    }

    /// Sets it to the right time and so many `seconds` more or, below zero, less.
    pub fn set(&self, seconds: i64) {
        let fresh = self.folder.path().join("new");
        std::fs::write(&fresh, format!("{seconds:+}")).expect("a temporary file");
        // Programs ask all the time, and shall never read half of it.
        std::fs::rename(fresh, self.file()).expect("a temporary file");
    }

    /// How a server is started that goes by it and runs up to `cpus` ordinary jobs at once.
    pub fn options(&self, cpus: u32) -> Options {
        let variables = [
            format!("LD_PRELOAD={LIBRARY}"),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file().display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            // Times of files are those that the program gave them.
            "NO_FAKE_STAT=1".to_owned(),
        ];
        let launcher = std::iter::once("env".to_owned()).chain(variables).collect();
        Options { launcher, args: vec!["--cpus".to_owned(), cpus.to_string()], ..Options::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
