//! Any tree of files, folders and links that a container can leave in `/outputs`, one thing on each line: `F path`,
//! `D path`, `S path`, or `L path target`.
#![no_main]

use std::collections::BTreeMap;

use deskgrid_fuzz::assert_file_path;
use deskgrid_job::{BlobHash, FilePath, OutputFile};
use deskgrid_outputs::{Entry, Tree};

const OUTPUTS: &str = "/outputs";
/// Steps after which the slow second opinion gives up.
const FUEL: usize = 5000;

type Entries = BTreeMap<FilePath, Entry>;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut tree = Tree::default();
    for (number, line) in text.lines().enumerate() {
        if let Some((path, entry)) = read(line, number) {
            insert(&mut tree.entries, path, entry);
        }
    }
    let all = tree.entries.clone();
    let outputs = tree.into_outputs();
    for (path, file) in &outputs.files {
        assert_file_path(path);
        assert!(matches!(all.get(path), Some(Entry::File(_) | Entry::Link(_))), "{path} was not there");
        let mut fuel = FUEL;
        let real = real(&all, &format!("{OUTPUTS}/{path}"), &mut fuel);
        if fuel > 0 {
            let there = real.and_then(|real| at(&all, &real).cloned());
            assert_eq!(there, Some(Entry::File(*file)), "{path} is another file to the container");
        }
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

/// Inserts what a file system could hold: below folders, which are there before anything in them, and once.
fn insert(all: &mut Entries, path: FilePath, entry: Entry) {
    let above =
        path.as_str().match_indices('/').filter_map(|(end, _)| FilePath::new(&path.as_str()[..end]).ok());
    let above: Vec<_> = above.collect();
    if all.contains_key(&path)
        || above.iter().any(|above| all.get(above).is_some_and(|it| *it != Entry::Folder))
    {
        return;
    }
    all.extend(above.into_iter().map(|above| (above, Entry::Folder)));
    all.insert(path, entry);
}

/// The path without links of what `path` leads to, found the way a manual page tells it: the folder first, then the
/// name in it. Slow, and written without a look at what it checks.
fn real(all: &Entries, path: &str, fuel: &mut usize) -> Option<String> {
    *fuel = fuel.checked_sub(1)?;
    let Some((folder, name)) = path.rsplit_once('/') else { return Some(String::new()) };
    let folder = real(all, folder, fuel)?;
    let is_folder = ["", OUTPUTS].contains(&folder.as_str()) || at(all, &folder) == Some(&Entry::Folder);
    match name {
        _ if !is_folder => None,
        "" | "." => Some(folder),
        ".." => Some(folder.rsplit_once('/').map_or("", |(above, _)| above).to_owned()),
        name => {
            let place = format!("{folder}/{name}");
            match at(all, &place) {
                Some(Entry::Link(target)) if target.starts_with('/') => real(all, target, fuel),
                Some(Entry::Link(target)) => real(all, &format!("{folder}/{target}"), fuel),
                Some(_) => Some(place),
                None => (place == OUTPUTS).then_some(place),
            }
        }
    }
}

fn at<'a>(all: &'a Entries, place: &str) -> Option<&'a Entry> {
    all.get(&FilePath::new(place.strip_prefix(OUTPUTS)?.strip_prefix('/')?).ok()?)
}
