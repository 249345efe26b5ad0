//! Any tree of files, folders and links that a container can leave in `/outputs`, one thing on each line: `F path`,
//! `D path`, `S path`, or `L path target`.
#![no_main]

use deskgrid_fuzz::assert_file_path;
use deskgrid_job::{BlobHash, FilePath, OutputFile};
use deskgrid_outputs::{Entry, Tree};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut tree = Tree::default();
    for (number, line) in text.lines().enumerate() {
        if let Some((path, entry)) = read(line, number) {
            tree.entries.insert(path, entry);
        }
    }
    let all = tree.entries.clone();
    let outputs = tree.into_outputs();
    for (path, file) in &outputs.files {
        assert_file_path(path);
        assert!(matches!(all.get(path), Some(Entry::File(_) | Entry::Link(_))), "{path} was not there");
        assert!(all.values().any(|entry| *entry == Entry::File(*file)), "{path} is a file from elsewhere");
    }
    let to_be_told = all.values().filter(|entry| **entry != Entry::Folder).count() - outputs.files.len();
    assert_eq!(outputs.remarks.len(), to_be_told.min(51), "each thing is an output or has a remark");
});

fn read(line: &str, number: usize) -> Option<(FilePath, Entry)> {
    let (kind, rest) = line.split_once(' ')?;
    let (path, target) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let entry = match kind {
        "F" => Entry::File(OutputFile { hash: BlobHash(hash), size: number as u64 }),
        "D" => Entry::Folder,
        "S" => Entry::Special("a pipe"),
        _ => Entry::Link(target.to_owned()),
    };
    Some((FilePath::new(path).ok()?, entry))
}
