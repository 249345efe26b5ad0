//! What must hold of everything that a parser took, whichever target fed it. The targets themselves are in
//! `fuzz_targets/`, one for each parser that is given bytes from outside.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use deskgrid_job::{ConfigPath, DataRef, Definition, FilePath};
use deskgrid_wire::{Submission, definition, job_id};
use serde_json::Value;

/// A path that was accepted and leads out of the folder it is joined to.
pub fn assert_stays_below(path: &str) {
    let folder = Path::new("/some/folder");
    let joined = folder.join(path);
    let Ok(below) = joined.strip_prefix(folder) else { panic!("{path:?} leaves its folder") };
    assert!(below.components().count() > 0, "{path:?} is the folder itself");
    assert!(
        below.components().all(|part| matches!(part, Component::Normal(_))),
        "{path:?} leaves its folder"
    );
    assert!(!path.contains('\0'), "{path:?} ends early for the system");
}

/// The same for a path of several segments, also where Windows reads it.
pub fn assert_file_path(path: &FilePath) {
    assert_stays_below(path.as_str());
    assert!(path.as_str().len() <= 4000);
    assert_eq!(FilePath::new(path.as_str()).as_ref(), Ok(path), "what was accepted is accepted again");
    if path.is_fit_for_windows() {
        for part in path.as_str().split(['/', '\\']) {
            assert!(
                !["", ".", ".."].contains(&part) && !part.contains(':'),
                "{path:?} leaves its folder on Windows"
            );
        }
    }
}

/// A definition whose files stay in their folders and do not stand in each other's way.
pub fn assert_definition(definition: &Definition) {
    let mut places = BTreeMap::new();
    for (path, data) in &definition.inputs {
        assert_file_path(path);
        places.insert(format!("inputs/{path}"), data);
    }
    for (path, data) in &definition.config_files {
        let (place, path) = match path {
            ConfigPath::Input(path) => (format!("inputs/{path}"), path),
            ConfigPath::Absolute(path) => (path.to_string(), path),
        };
        assert_file_path(path);
        assert!(places.insert(place.clone(), data).is_none(), "two files at {place:?}");
    }
    for (place, data) in &places {
        for (end, _) in place.match_indices('/') {
            assert!(!places.contains_key(&place[..end]), "{place:?} lies below a file");
        }
        let top = place.split('/').next().unwrap_or_default();
        assert!(!["proc", "sys", "dev"].contains(&top), "{place:?} hides a folder of the kernel");
        assert_data_ref(data);
    }
    assert!(definition.env.iter().all(|(name, text)| !name.contains(['=', '\0']) && !text.contains('\0')));
    assert!(definition.max_duration.is_none_or(|duration| !duration.is_zero()));
    assert!(definition.needs.cpu_millis > 0);
}

/// A reference to bytes that are here, or at an address that can be asked for.
pub fn assert_data_ref(data: &DataRef) {
    match data {
        DataRef::Inline(_) => {}
        DataRef::Url { url, key, .. } => {
            assert!(url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")), "{url:?}");
            assert!(!url.contains(|c: char| c.is_control() || c.is_whitespace()), "{url:?}");
            if let Some(key) = key {
                assert_stays_below(&key.to_string());
            }
        }
        DataRef::Key(key) => assert_stays_below(&key.to_string()),
    }
}

/// A submission that means the same when it is read again, whatever spaces and escapes it was written with.
pub fn assert_submission(submission: &Submission) {
    let value: Value = serde_json::from_str(&submission.definition_text).expect("what is kept is JSON");
    let kept = definition::parse(&value);
    if submission.secret_context.is_none() {
        assert_eq!(kept, submission.definition);
    } else if let Ok(given) = &submission.definition {
        let kept = kept.expect("masks make nothing wrong");
        assert_eq!(
            kept.image.image(),
            given.image.image(),
            "an image has the same name with and without a secret"
        );
    }
    let again = serde_json::from_str(&value.to_string()).expect("what we write is JSON");
    assert_eq!(job_id::of(&value), job_id::of(&again), "{value}");
    assert_stays_below(submission.id.as_str());
    if let Ok(definition) = &submission.definition {
        assert_definition(definition);
    }
    if let Err(error) = &submission.definition {
        assert!(error.to_string().chars().count() < 2000, "an error that nobody reads: {error}");
    }
}

/// Each block of a tar that claims to be a header gets its right checksum, which no fuzzer finds by trying.
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let mut archive = bytes.to_vec();
    for block in archive.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar") {
        block[CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}
