//! What the app remembers from one start to the next, beside the settings because the person did not choose it: a
//! small file in the data folder. Losing it costs a hint that is shown once more.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "desktop.json";

/// What has been shown already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    /// The window was opened by itself at the first start.
    pub(crate) welcomed: bool,
    /// It was said that closing the window leaves the tray.
    pub(crate) told_of_tray: bool,
}

/// The file of a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Notebook(PathBuf);

impl Notebook {
    pub(crate) fn of(data_directory: &Path) -> Self {
        Self(data_directory.join(FILE))
    }

    /// What was written last; nothing where there is nothing to read. Blocks on the disk.
    pub(crate) fn read(&self) -> Remembered {
        std::fs::read(&self.0).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Writes it down, or says in the log why not. Blocks on the disk.
    pub(crate) fn write(&self, remembered: Remembered) {
        let written = serde_json::to_vec(&remembered)
            .map_err(std::io::Error::other)
            .and_then(|json| std::fs::write(&self.0, json));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.0.display(), "what was shown already could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_damaged_file_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let notebook = Notebook::of(folder.path());
        assert_eq!(notebook.read(), Remembered::default());
        notebook.write(Remembered { welcomed: true, told_of_tray: false });
        assert!(notebook.read().welcomed);
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(notebook.read(), Remembered::default());
    }
}
