//! Names from outside that become parts of paths: of files, jobs, blobs and workers, also percent-encoded in a URL.
#![no_main]

use deskgrid_fuzz::{assert_file_path, assert_stays_below};
use deskgrid_job::{BlobHash, BlobKey, ConfigPath, FilePath, JobId, WorkerId};
use deskgrid_wire::url;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(path) = FilePath::new(text) {
        assert_file_path(&path);
        assert_eq!(path.segments().collect::<Vec<_>>().join("/"), path.as_str());
        assert!(!path.is_above(&path));
    }
    match ConfigPath::new(text) {
        Ok(ConfigPath::Input(path) | ConfigPath::Absolute(path)) => assert_file_path(&path),
        Err(error) => assert!(error.to_string().chars().count() < 2000),
    }
    if let Ok(id) = JobId::new(text) {
        assert_one_file(id.as_str());
    }
    if let Ok(id) = WorkerId::new(text) {
        assert_one_file(id.as_str());
    }
    if let Ok(key) = BlobKey::new(text) {
        assert_one_file(&key.to_string());
        assert_eq!(matches!(key, BlobKey::Hash(_)), BlobHash::parse(text).is_some());
    }
    for key in
        [url::own_file_key(text), url::own_file_key(&format!("http://h/f/{text}"))].into_iter().flatten()
    {
        assert_one_file(&key.to_string());
    }
});

/// A name of one segment, on any system.
fn assert_one_file(name: &str) {
    assert_stays_below(name);
    assert!(!name.starts_with('.') && !name.contains(['/', '\\', ':', '%']), "{name:?}");
}
