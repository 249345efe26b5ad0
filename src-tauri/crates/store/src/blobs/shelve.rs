//! The last step of every blob: complete temporary files get their names, and stay there whatever happens.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use deskgrid_fault::{Point, point};
use deskgrid_job::BlobHash;

use super::draft::Finished;
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;

/// Gives `finished` blobs their names; all of them are durable when this returns. No blob has its name before its
/// bytes are on the disk, so that a crash leaves no name with wrong bytes.
pub(super) fn shelve(folder: &Folder, finished: Vec<Finished>) -> Result<(), StoreError> {
    // By place, which drops what came twice.
    let mut by_place: BTreeMap<PathBuf, Finished> =
        finished.into_iter().map(|blob| (folder.blob(blob.stored.hash), blob)).collect();
    // The names of those already there may not be on the disk yet: another thread may be about to see to it.
    let folders = folders_of(by_place.keys());
    // The bytes of those already there count only when they are still the right ones.
    let there =
        by_place.iter().filter(|(place, blob)| is_there(place, blob)).map(|(_, blob)| blob.stored.hash);
    let sound: HashSet<BlobHash> = there.filter(|hash| folder.is_sound(*hash)).collect();
    let staying = folder.comings.read().unwrap_or_else(PoisonError::into_inner);
    by_place.retain(|_, blob| !sound.contains(&blob.stored.hash) || !is_kept(folder, blob.stored.hash));
    drop(staying);
    let blobs = folder.blobs();
    let files: Vec<_> = by_place.values().map(|blob| blob.temporary.path().to_owned()).collect();
    platform::sync_files(&files, &blobs).map_err(failed("bring onto the disk files in", &blobs))?;
    point(Point::BlobSynced);
    for (place, blob) in &mut by_place {
        // The job may have given it any age, by which it could be swept before the next lines note that it is wanted.
        let _ = platform::touch(blob.temporary.path());
        move_in(place, blob)?;
        point(Point::BlobMoved);
        is_kept(folder, blob.stored.hash);
        folder.note_sound(blob.stored.hash);
    }
    platform::sync_folders(&folders).map_err(failed("bring onto the disk the names in", &blobs))?;
    point(Point::BlobNamed);
    Ok(())
}

fn folders_of<'a>(places: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut folders: Vec<_> = places.filter_map(|place| place.parent()).map(Path::to_owned).collect();
    // The places are sorted, so equal folders follow each other.
    folders.dedup();
    folders
}

/// Notes that a file is wanted, which keeps it for a while. False when it is gone.
fn is_kept(folder: &Folder, hash: BlobHash) -> bool {
    match folder.touch(hash) {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        // A disk that tells no times removes nothing by them either.
        _ => true,
    }
}

/// A file of another length under the name is damaged, and will be replaced.
fn is_there(place: &Path, blob: &Finished) -> bool {
    fs::metadata(place).is_ok_and(|metadata| metadata.len() == blob.stored.size)
}

fn move_in(place: &Path, blob: &mut Finished) -> Result<(), StoreError> {
    match blob.temporary.move_to(place) {
        // Where a file that is in use cannot be replaced, another thread may have been first with the same bytes.
        Err(_) if is_there(place, blob) => Ok(()),
        moved => moved.map_err(failed("move a file to", place)),
    }
}
