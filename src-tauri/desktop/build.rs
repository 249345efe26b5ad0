//! Has Tauri look at its configuration, lists the commands that the page may call, and sees to it that there is a page
//! to build in: programs can be worked on without Node.

use std::path::{Path, PathBuf};

use tauri_build::{AppManifest, Attributes};

const COMMANDS: &[&str] = &[
    "api",
    "read",
    "listen",
    "save",
    "save_text",
    "save_all",
    "pick_folder",
    "open_external",
    "initial_link",
];
/// Where `make ui` puts the user interface, as the configuration says it too.
const UI: &str = "../../ui/dist";
const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Deskgrid</title>\n\
     <p>This Deskgrid was built without its user interface. Run <code>make ui</code>, then build it again.\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={UI}");
    if !Path::new(UI).join("index.html").exists() {
        build_in(&placeholder()?);
    }
    let attributes = Attributes::new().app_manifest(AppManifest::new().commands(COMMANDS));
    Ok(tauri_build::try_build(attributes)?)
}

fn placeholder() -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("placeholder");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("index.html"), PLACEHOLDER)?;
    Ok(folder)
}

/// Tauri reads this variable over its configuration file.
fn build_in(folder: &Path) {
    let path = folder.display().to_string().replace('\\', "/");
    println!("cargo:rustc-env=TAURI_CONFIG={{\"build\":{{\"frontendDist\":\"{path}\"}}}}");
}
