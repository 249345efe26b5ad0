//! Finds the local files that a person wants below `/inputs`. Sends nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use deskgrid_job::FilePath;

use crate::error::CliError;

/// The files of `--input PATH[:NAME]` texts by their names below `/inputs`. This blocks on the disk.
pub(crate) fn collect(texts: &[String]) -> Result<BTreeMap<FilePath, PathBuf>, CliError> {
    let mut files = BTreeMap::new();
    for text in texts {
        let (path, name) = split(text);
        let name = match name {
            Some(name) => name.to_owned(),
            None => own_name(&path)?,
        };
        add(&mut files, &path, &name)?;
    }
    Ok(files)
}

/// Path and name of `PATH[:NAME]`. A path that exists as a whole has no name behind it: colons are part of file names
/// on some systems and of drives on others.
fn split(text: &str) -> (PathBuf, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, name)) if !Path::new(text).exists() && Path::new(path).exists() => {
            (path.into(), Some(name))
        }
        _ => (text.into(), None),
    }
}

/// The name of a file or folder where it lies, also for `.` and `..`.
fn own_name(path: &Path) -> Result<String, CliError> {
    let full = path.canonicalize().map_err(|error| CliError::file("Reading", path, error))?;
    match path.file_name().or(full.file_name()) {
        Some(name) => utf8(name, path).map(str::to_owned),
        None => Err(CliError::Usage(format!(
            "The input {} has no name. Give it one: {}:NAME.",
            path.display(),
            path.display()
        ))),
    }
}

/// Adds a file, or the files of a folder. The name `.` puts a folder's files directly into `/inputs`.
fn add(files: &mut BTreeMap<FilePath, PathBuf>, path: &Path, name: &str) -> Result<(), CliError> {
    let kind = std::fs::metadata(path).map_err(|error| CliError::file("Reading", path, error))?;
    if kind.is_dir() {
        return add_folder(files, path, name);
    }
    if !kind.is_file() {
        return Err(CliError::Usage(format!(
            "The input {} is neither a file nor a folder. Leave it out, or copy what it holds to a file.",
            path.display()
        )));
    }
    let place = FilePath::new(name)
        .map_err(|error| CliError::Usage(format!("The input {}: {error}.", path.display())))?;
    match files.insert(place, path.to_owned()) {
        None => Ok(()),
        Some(other) => Err(CliError::Usage(format!(
            "Two inputs want to be {name}: {} and {}. Name one of them differently: PATH:NAME.",
            other.display(),
            path.display()
        ))),
    }
}

fn add_folder(files: &mut BTreeMap<FilePath, PathBuf>, folder: &Path, name: &str) -> Result<(), CliError> {
    let entries = std::fs::read_dir(folder).map_err(|error| CliError::file("Reading", folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| CliError::file("Reading", folder, error))?;
        let path = entry.path();
        // A link to a folder could lead round in circles.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link && path.is_dir() {
            eprintln!("deskgrid: The link to a folder {} is left out.", path.display());
            continue;
        }
        let own = entry.file_name();
        let own = utf8(&own, &path)?;
        let below = if matches!(name, "." | "") { own.to_owned() } else { format!("{name}/{own}") };
        add(files, &path, &below)?;
    }
    Ok(())
}

fn utf8<'a>(name: &'a OsStr, path: &Path) -> Result<&'a str, CliError> {
    name.to_str().ok_or_else(|| {
        CliError::Usage(format!("The name of the input {} is not UTF-8. Rename the file.", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[String]) -> Result<Vec<String>, String> {
        let files = collect(texts).map_err(|error| error.to_string())?;
        Ok(files.keys().map(ToString::to_string).collect())
    }

    fn folder() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data/deep")).unwrap();
        for name in ["data/a.csv", "data/deep/b.csv", "c.txt"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let root = folder.path().to_str().unwrap().to_owned();
        (folder, root)
    }

    #[test]
    fn a_file_keeps_its_name_or_takes_the_given_one() {
        let (_folder, root) = folder();
        assert_eq!(names(&[format!("{root}/c.txt")]).unwrap(), ["c.txt"]);
        assert_eq!(names(&[format!("{root}/c.txt:x/y.txt")]).unwrap(), ["x/y.txt"]);
    }

    #[test]
    fn a_folder_brings_all_its_files() {
        let (_folder, root) = folder();
        assert_eq!(names(&[format!("{root}/data")]).unwrap(), ["data/a.csv", "data/deep/b.csv"]);
        assert_eq!(names(&[format!("{root}/data:set")]).unwrap(), ["set/a.csv", "set/deep/b.csv"]);
        assert_eq!(names(&[format!("{root}/data:.")]).unwrap(), ["a.csv", "deep/b.csv"]);
    }

    #[test]
    fn names_that_lead_out_of_inputs_are_refused() {
        let (_folder, root) = folder();
        for bad in ["../x", "/etc/passwd", "a//b"] {
            assert!(names(&[format!("{root}/c.txt:{bad}")]).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_inputs_of_one_name_are_refused() {
        let (_folder, root) = folder();
        let error = names(&[format!("{root}/c.txt"), format!("{root}/data/a.csv:c.txt")]).unwrap_err();
        assert!(error.contains("Two inputs want to be c.txt"), "{error}");
    }

    #[test]
    fn a_missing_input_is_told_by_its_path() {
        let error = names(&["no/such/file:x".to_owned()]).unwrap_err();
        assert!(error.contains("no/such/file"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_may_contain_a_colon() {
        let (_folder, root) = folder();
        std::fs::write(format!("{root}/a:b"), "").unwrap();
        assert_eq!(names(&[format!("{root}/a:b")]).unwrap(), ["a:b"]);
    }
}
