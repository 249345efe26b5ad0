//! Puts the built dashboard into the program: every file below `ui/dist`, as a table of names and bytes.
//!
//! Without a built dashboard there is one page that says how to build it, so that the server can be built and tested
//! on a machine without Node.js.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Deskgrid</title>\
    <h1>The dashboard was not built into this program</h1><p>Run <code>make ui</code>, then build again.</p>";

/// From the folder of this crate, in which cargo runs this program. An absolute path would be that of the checkout where
/// it was compiled, which another one with the same target folder does not do again.
const DIST: &str = "../../../ui/dist";

fn main() -> io::Result<()> {
    let root = Path::new(DIST);
    println!("cargo::rerun-if-changed={DIST}");
    let mut files = Vec::new();
    if root.join("index.html").is_file() {
        list(root, &mut files)?;
    }
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?);
    fs::write(out.join("dashboard.rs"), table(root, &files)?)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn table(root: &Path, files: &[PathBuf]) -> io::Result<String> {
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(root).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        let path = fs::canonicalize(file)?.into_os_string().into_string();
        let path = path.map_err(|_| io::Error::other("the path of ui/dist is no UTF-8 text"))?;
        let _ = writeln!(text, "    ({name:?}, include_bytes!({path:?})),");
    }
    if files.is_empty() {
        let _ = writeln!(text, "    (\"index.html\", {MISSING:?}.as_bytes()),");
    }
    text.push(']');
    Ok(text)
}
