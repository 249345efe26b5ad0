//! What a failing disk does to the data folder of a server that is dead at the moment.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::random::Random;

/// Where the file format of the database begins to be more than its header.
const HEADER: usize = 100;
/// The same of its log.
const LOG_HEADER: usize = 32;
/// Bytes of a page of the database.
const PAGE: usize = 4096;

/// The database in this data folder.
pub fn database(data: &Path) -> PathBuf {
    data.join("deskgrid.sqlite3")
}

fn log(data: &Path) -> PathBuf {
    data.join("deskgrid.sqlite3-wal")
}

/// Overwrites all of the database but its header.
pub fn spoil_database(data: &Path) {
    change(&database(data), |bytes| bytes.iter_mut().skip(HEADER).for_each(|byte| *byte = 0xa5));
}

/// The same with its log, in which all is that was written lately.
pub fn spoil_records(data: &Path) {
    spoil_database(data);
    change(&log(data), |bytes| bytes.iter_mut().skip(LOG_HEADER).for_each(|byte| *byte = 0xa5));
}

/// Overwrites a page of the database, flips a byte in its log, or removes the database, as chance chooses. Says what it
/// did.
pub fn harm_database(data: &Path, random: &mut Random) -> String {
    let (database, log) = (database(data), log(data));
    match random.below(4) {
        0 => {
            spoil_records(data);
            "the whole database".to_owned()
        }
        1 => {
            let page = place(random, length(&database) / PAGE);
            change(&database, |bytes| {
                bytes.iter_mut().skip(page * PAGE).take(PAGE).for_each(|byte| *byte = 0xff);
            });
            format!("page {page} of the database")
        }
        2 => {
            let at = place(random, length(&log));
            change(&log, |bytes| bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1));
            format!("byte {at} of the log")
        }
        _ => {
            fs::remove_file(&database).expect("it is there");
            "the database is gone".to_owned()
        }
    }
}

/// Flips a byte of a stored file that chance chooses among those that `may_be_harmed`, and names it.
pub fn harm_file(data: &Path, random: &mut Random, may_be_harmed: impl Fn(&str) -> bool) -> Option<String> {
    let folders = fs::read_dir(data.join("blobs")).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let mut files: Vec<_> = files
        // One that has two names is also an output that is being collected, whose bytes nobody knows yet.
        .filter(|file| file.metadata().is_ok_and(|facts| facts.len() > 0 && facts.nlink() == 1))
        .filter(|file| file.file_name().to_str().is_some_and(&may_be_harmed))
        .map(|file| file.path())
        .collect();
    files.sort();
    let path = files.get(place(random, files.len()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let at = place(random, length(path));
    change(path, |bytes| bytes[at] ^= 1);
    Some(path.file_name()?.to_str()?.to_owned())
}

fn place(random: &mut Random, places: usize) -> usize {
    usize::try_from(random.below(places.max(1) as u64)).unwrap_or_default()
}

fn length(path: &Path) -> usize {
    fs::metadata(path).map_or(0, |facts| usize::try_from(facts.len()).unwrap_or_default())
}

/// Nothing happens to a file that is not there.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    if let Ok(mut bytes) = fs::read(path) {
        change(&mut bytes);
        fs::write(path, bytes).expect("it can be written");
    }
}
