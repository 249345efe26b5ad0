//! The engine's archive of `/outputs`. Its bytes are a container's work in part, and wholly those of an engine that
//! may be elsewhere.
#![no_main]

use std::convert::Infallible;
use std::io::Read;

use deskgrid_fuzz::{assert_file_path, with_checksums};
use deskgrid_job::{BlobHash, OutputFile};
use deskgrid_outputs::archive::collect;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let archive = with_checksums(bytes);
    let mut kept = Vec::new();
    let tree = collect::<Infallible>(archive.as_slice(), |content| {
        let size = length(content, archive.len());
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(kept.len() as u64).to_le_bytes());
        kept.push(OutputFile { hash: BlobHash(hash), size });
        Ok(kept[kept.len() - 1])
    });
    let Ok(tree) = tree else { return };
    let outputs = tree.into_outputs();
    for (path, file) in &outputs.files {
        assert_file_path(path);
        assert!(kept.contains(file), "{path} is a file that was never handed over");
    }
    assert!(outputs.remarks.len() <= 51 && outputs.remarks.iter().all(|remark| remark.len() < 4000));
});

/// Reads to the end in small pieces; a file is never longer than the archive that holds it.
fn length(content: &mut dyn Read, most: usize) -> u64 {
    let mut piece = [0; 700];
    let mut length = 0;
    while let Ok(count @ 1..) = content.read(&mut piece) {
        length += count;
        assert!(length <= most, "a file longer than its archive");
    }
    length as u64
}
