//! What can be wrong with the settings, told so that a person can put it right.

use std::path::PathBuf;

use super::Key;

/// Why there are no usable settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The operating system names no home folder, so there is no place for data.
    #[error(
        "This account has no home folder to keep data in. \
         Name a folder with --data-directory or DESKGRID_DATA_DIRECTORY."
    )]
    NoHome,
    /// The file could not be read.
    #[error(
        "The settings file {} could not be read ({source}). \
         Check that it exists, that you may read it and that it is UTF-8 text, or name another with --config.",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error(
        "The settings file {}, line {line}, is not valid TOML: {problem}. Write lines such as: port = 8000",
        path.display()
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser stumbled over.
        problem: String,
    },
    /// The file sets something that does not exist.
    #[error(
        "The settings file {}, line {line}, sets {name:?}, which is not a setting. {suggestion}",
        path.display()
    )]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The unknown name.
        name: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// A value does not fit its setting.
    #[error("{place}: {shown:?} {problem}. Allowed: {}.", key.allowed())]
    BadValue {
        /// Where it was written, in words.
        place: String,
        /// The setting.
        key: Key,
        /// The value as written, cut to a length that fits a message.
        shown: String,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
    /// A site in the file is not as it should be.
    #[error(
        "The settings file {}, line {line}, has a site that {problem}. Write sites as: [[sites]], then the lines \
         origin = \"https://example.org\" and decision = \"allow\" or \"block\".",
        path.display()
    )]
    BadSite {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, as the end of a sentence.
        problem: String,
    },
    /// The settings file could not be written.
    #[error(
        "The settings file {} could not be written ({source}), so nothing was changed. \
         Check that you may write it and its folder.",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no settings file to write to.
    #[error("There is no settings file to write to. Name one with --config or DESKGRID_CONFIG.")]
    NoFile,
    /// A change would not fit what is there.
    #[error("{0}")]
    Impossible(String),
    /// The settings file's folder cannot be watched for changes.
    #[error(
        "The folder {} cannot be watched for changes of the settings ({problem}). \
         Changes of the settings file take effect at the next start.",
        path.display()
    )]
    Unwatchable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        problem: String,
    },
}

impl SettingsError {
    /// The setting whose value is wrong.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::BadValue { key, .. } => Some(*key),
            _ => None,
        }
    }

    /// The stable word for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHome => "settings-no-home",
            Self::Unreadable { .. } => "settings-unreadable",
            Self::Syntax { .. } => "settings-syntax",
            Self::UnknownKey { .. } => "settings-unknown-key",
            Self::BadValue { .. } => "settings-bad-value",
            Self::BadSite { .. } => "settings-bad-site",
            Self::Unwritable { .. } => "settings-unwritable",
            Self::NoFile => "settings-no-file",
            Self::Impossible(_) => "settings-impossible",
            Self::Unwatchable { .. } => "settings-unwatchable",
        }
    }
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The settings file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The environment variable of the setting.
    Environment,
    /// The flag of the setting.
    Flag,
    /// A window in which the person chose it.
    Window,
}

impl Written {
    /// The error for the value `shown` of `key` at this place.
    pub(super) fn refuse(&self, key: Key, shown: &str, problem: impl Into<String>) -> SettingsError {
        let shown = shown.chars().take(80).collect();
        SettingsError::BadValue { place: self.place(key), key, shown, problem: problem.into() }
    }

    fn place(&self, key: Key) -> String {
        match self {
            Self::File { path, line } => {
                format!("The settings file {}, line {line}, {}", path.display(), key.in_file())
            }
            Self::Environment => format!("The environment variable {}", key.variable()),
            Self::Flag => format!("The flag {}", key.flag()),
            Self::Window => format!("The setting {}", key.in_file()),
        }
    }
}
