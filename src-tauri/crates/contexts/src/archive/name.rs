//! Names in archives: the one place that says which of them are refused.

use deskgrid_job::FilePath;

use crate::ContextError;

/// What a name in an archive comes to.
pub(super) enum Name {
    /// A path below the root.
    Path(FilePath),
    /// The root itself, which needs no mention.
    Root,
    /// Bytes that are no text.
    NotText(String),
}

/// Reads a name in which `/` divides the folders. `./` and doubled slashes mean nothing.
///
/// # Errors
/// [`ContextError::Unsafe`] for every name that could lead out of a folder, on any system.
pub(super) fn read(bytes: &[u8]) -> Result<Name, ContextError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(Name::NotText(String::from_utf8_lossy(bytes).into_owned()));
    };
    if let Some(why) = problem(text) {
        return Err(ContextError::unsafe_name(text, why));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !["", "."].contains(part)).collect();
    if parts.is_empty() {
        return Ok(Name::Root);
    }
    FilePath::new(&parts.join("/"))
        .map(Name::Path)
        .map_err(|error| ContextError::unsafe_name(text, error.problem))
}

fn problem(text: &str) -> Option<&'static str> {
    let drive = text.as_bytes();
    if text.starts_with(['/', '\\']) {
        Some("is an absolute name")
    } else if drive.len() > 1 && drive[0].is_ascii_alphabetic() && drive[1] == b':' {
        Some("begins with the letter of a drive")
    } else if text.split(['/', '\\']).any(|part| part == "..") {
        Some("has a part '..'")
    } else {
        None
    }
}
