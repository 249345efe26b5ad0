//! The settings file, which people and other programs write, and the changes that we make in it.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use deskgrid_sites::{Change, Date, Decision, Origin};
use server::settings::{Overrides, Settings, SettingsSource};

// The crate around it brings a TLS library that takes longer to build than all targets together.
#[path = "../../src-tauri/crates/server/src"]
mod server {
    #[allow(dead_code, unused_imports, reason = "the target uses a part of it")]
    pub mod settings;
}

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("settings.toml");
    std::fs::write(&path, bytes).expect("the temporary folder can be written to");
    let Some(before) = read(&path) else { return };
    assert!(before.data_directory.is_absolute());
    let origin = Origin::of_person("https://fuzz.example").expect("an origin");
    let on = Date::new(2026, 11, 22).expect("a date");
    let source = source(&path);
    for decision in [Decision::Allow, Decision::Block] {
        source
            .write(&Change::Decide { origin: origin.clone(), decision, on })
            .expect("what we read we can change");
        let after = read(&path).expect("what we wrote we can read");
        let entry = after.sites.iter().find(|entry| entry.origin == origin);
        assert_eq!(entry.map(|entry| entry.decision), Some(decision));
        let others = |settings: &Settings| {
            let mut settings = settings.clone();
            settings.sites.retain(|entry| entry.origin != origin);
            settings
        };
        assert_eq!(others(&after), others(&before), "everything else stays");
    }
});

fn source(path: &Path) -> SettingsSource {
    let data_directory = Some(PathBuf::from("/data"));
    SettingsSource::of_file(path.to_owned(), Overrides { data_directory, ..Overrides::default() })
}

fn read(path: &Path) -> Option<Settings> {
    source(path).load().ok()
}
