//! Paths of a job's files: relative ones below `/inputs` and `/outputs`, absolute ones for `configFiles`.
//!
//! A path that passes here has no way out of its folder in a container, or on a system of the Unix kind. Windows reads
//! more into a name than others do: before a path is used there, [`FilePath::is_fit_for_windows`] is asked too.

use std::fmt;

/// Longest file or folder name that common file systems take, in bytes.
const LONGEST_SEGMENT: usize = 255;
/// Longest path that Linux takes, in bytes, less room for the folder it lands in.
const LONGEST_PATH: usize = 3800;

/// Why a text is no usable path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file name {shown:?} {problem}")]
pub struct PathError {
    /// The refused text, cut to a length that fits a message.
    pub shown: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
}

fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > LONGEST_PATH {
        return Some("is longer than 3800 bytes");
    }
    if text.contains('\0') {
        return Some("contains a NUL character");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("has an empty part (two slashes in a row, or one at an end)"),
        "." | ".." => Some("has a part '.' or '..', which could lead out of its folder"),
        long if long.len() > LONGEST_SEGMENT => Some("has a part longer than 255 bytes"),
        _ => None,
    })
}

fn checked(text: &str) -> Result<(), PathError> {
    problem(text).map_or(Ok(()), |problem| Err(PathError { shown: text.chars().take(80).collect(), problem }))
}

/// A relative path of one or more segments, joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

impl FilePath {
    /// Checks `text`; one leading `./` is dropped.
    ///
    /// # Errors
    /// [`PathError`] for absolute paths and for anything that could leave the folder.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            let shown = text.chars().take(80).collect();
            return Err(PathError { shown, problem: "is absolute; name it relative to its folder" });
        }
        let text = text.strip_prefix("./").unwrap_or(text);
        checked(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The path as text, segments joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments in order; there is at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether Windows takes every segment as the name of one file, and not as a path, a drive, a stream or a device.
    pub fn is_fit_for_windows(&self) -> bool {
        self.segments().all(is_windows_name)
    }

    /// Whether this system takes every segment as the name of one file.
    pub fn is_fit_for_this_system(&self) -> bool {
        !cfg!(windows) || self.is_fit_for_windows()
    }

    /// Whether `self` is a folder on the way to `other`.
    pub fn is_above(&self, other: &FilePath) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn is_windows_name(segment: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = segment.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_numbered =
        |device| stem.strip_prefix(device).is_some_and(|rest: &str| rest.chars().count() == 1 && rest != "0");
    let is_device = DEVICES.contains(&stem.as_str()) || is_numbered("COM") || is_numbered("LPT");
    let has_bad_letter = segment.chars().any(|c| c.is_control() || r#"\:*?"<>|"#.contains(c));
    !is_device && !has_bad_letter && !segment.ends_with(['.', ' '])
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a config file lands (protocol section 2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigPath {
    /// Below `/inputs`.
    Input(FilePath),
    /// At `/` plus this path in the container.
    Absolute(FilePath),
}

impl ConfigPath {
    /// Checks `text`, relative or absolute.
    ///
    /// # Errors
    /// [`PathError`] as for [`FilePath::new`].
    pub fn new(text: &str) -> Result<Self, PathError> {
        match text.strip_prefix('/') {
            Some(rest) => {
                checked(rest)?;
                Ok(Self::Absolute(FilePath(rest.to_owned())))
            }
            None => FilePath::new(text).map(Self::Input),
        }
    }
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(path) => path.fmt(f),
            Self::Absolute(path) => write!(f, "/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_leave_their_folder_are_refused() {
        let long = "x".repeat(300);
        for bad in
            ["", "..", "../a", "a/../b", "a/..", "/etc/passwd", "a//b", "a/", "a\0b", ".", long.as_str()]
        {
            assert!(FilePath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_windows_reads_as_more_than_a_name_is_not_fit_for_it() {
        let fit = |text| FilePath::new(text).unwrap().is_fit_for_windows();
        let ways_out = [r"..\..\x", r"a/..\b", "C:", "C:/x", r"\\host\share"];
        let other_meanings = ["a:stream", "nul", "a/COM1.txt", "lpt9", "x.", "x ", "a*"];
        for bad in ways_out.into_iter().chain(other_meanings) {
            assert!(!fit(bad), "{bad}");
        }
        for good in ["a.txt", "COM", "command.txt", "com10", "a/ü #%"] {
            assert!(fit(good), "{good}");
        }
    }

    #[test]
    fn ordinary_names_of_several_segments_are_kept() {
        for good in ["a", "a/b/c.txt", "ü #%?.csv", "...", "a..b", "outputs/x"] {
            assert_eq!(FilePath::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_config_file_may_name_a_place_in_the_container() {
        assert!(matches!(ConfigPath::new("/etc/app.conf"), Ok(ConfigPath::Absolute(_))));
        assert!(matches!(ConfigPath::new("run.py"), Ok(ConfigPath::Input(_))));
        assert!(ConfigPath::new("/etc/../root").is_err());
        assert!(ConfigPath::new("/").is_err());
    }

    #[test]
    fn a_file_above_another_is_noticed() {
        let path = |text| FilePath::new(text).unwrap();
        assert!(path("a").is_above(&path("a/b")));
        assert!(!path("a").is_above(&path("ab")));
    }
}
