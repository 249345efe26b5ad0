//! What discovery may look at: environment, home folder, files. A struct of its own so that the search for an
//! engine is a pure function that tests feed with made-up computers.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The operating system we run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, and other Unix systems, which are laid out alike.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one this program was built for.
    pub const fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// Reads a text file; none when it is missing or unreadable.
pub(crate) type Read = Box<dyn Fn(&Path) -> Option<String> + Send + Sync>;
/// Whether a path exists.
pub(crate) type Exists = Box<dyn Fn(&Path) -> bool + Send + Sync>;

/// A computer, as far as finding an engine depends on it.
pub struct Surroundings {
    /// The operating system.
    pub platform: Platform,
    /// Environment variables.
    pub env: HashMap<String, String>,
    /// The person's home folder.
    pub home: Option<PathBuf>,
    /// The effective user id, where there is such a thing.
    pub uid: Option<u32>,
    /// Reads a file.
    pub read: Read,
    /// Tests for a path.
    pub exists: Exists,
}

impl Surroundings {
    /// The real computer. Its closures block on the disk, so keep them off async threads.
    pub fn of_this_computer() -> Self {
        let text = |part: std::ffi::OsString| part.into_string().ok();
        Self {
            platform: Platform::here(),
            env: std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            uid: effective_uid(),
            read: Box::new(|path| std::fs::read_to_string(path).ok()),
            exists: Box::new(Path::exists),
        }
    }

    /// An environment variable, when set to something.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment is left out: it may hold secrets.
        f.debug_struct("Surroundings")
            .field("platform", &self.platform)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

/// The effective user id of this process; none on Windows.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "its Windows counterpart has no answer")]
pub(crate) fn effective_uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// The effective user id of this process; none on Windows.
#[cfg(windows)]
pub(crate) fn effective_uid() -> Option<u32> {
    None
}
