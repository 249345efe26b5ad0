//! Lists the archive of `/outputs` that the engine sends, and stores its files. Unpacks nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};

use deskgrid_job::{FilePath, OutputFile};
use deskgrid_store::{Batch, StoreError};
use tar::EntryType;

use super::{Entry, Tree};

/// Why an archive could not be collected.
#[derive(Debug, thiserror::Error)]
pub(in crate::run) enum ArchiveError {
    /// The engine's stream broke off or made no sense.
    #[error("the engine's archive of /outputs could not be read: {0}")]
    Broken(#[from] io::Error),
    /// Our own disk refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the whole archive and stores each regular file in `batch`. Blocking.
///
/// # Errors
/// When the stream breaks off or our own disk refuses.
pub(in crate::run) fn collect(archive: impl Read, batch: &mut Batch) -> Result<Tree, ArchiveError> {
    let mut tree = Tree::default();
    let mut hard_links = BTreeMap::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(path) = path_in_outputs(&entry.path_bytes(), &mut tree.unreadable) else { continue };
        let kind = entry.header().entry_type();
        let found = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let stored = batch.write(&mut entry)?;
                Entry::File(OutputFile { hash: stored.hash, size: stored.size })
            }
            EntryType::Link => {
                drop(hard_links.insert(path, link_target(&entry)));
                continue;
            }
            EntryType::Symlink => Entry::Link(link_target(&entry)),
            EntryType::Directory => Entry::Folder,
            EntryType::Fifo => Entry::Special("a pipe"),
            _ => Entry::Special("a device"),
        };
        tree.entries.insert(path, found);
    }
    resolve_hard_links(&mut tree, hard_links);
    Ok(tree)
}

fn link_target(entry: &tar::Entry<'_, impl Read>) -> String {
    entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default()
}

/// The path below `/outputs`; the archive names everything below `outputs/`.
fn path_in_outputs(name: &[u8], unreadable: &mut Vec<String>) -> Option<FilePath> {
    let Ok(name) = std::str::from_utf8(name) else {
        let name = String::from_utf8_lossy(name);
        unreadable.push(format!("Deskgrid left out /{name}: its name is not UTF-8."));
        return None;
    };
    let below = name.trim_start_matches("./").strip_prefix("outputs")?.trim_matches('/');
    if below.is_empty() {
        return None;
    }
    let path = FilePath::new(below).ok();
    if path.is_none() {
        unreadable.push(format!("Deskgrid left out /outputs/{below}: its path cannot be used."));
    }
    path
}

/// A further name of a file comes as a link to its first name in the same archive.
fn resolve_hard_links(tree: &mut Tree, links: BTreeMap<FilePath, String>) {
    for (path, target) in links {
        let first = path_in_outputs(target.as_bytes(), &mut Vec::new());
        match first.and_then(|first| tree.entries.get(&first).cloned()) {
            Some(entry) => drop(tree.entries.insert(path, entry)),
            None => tree.unreadable.push(format!("Deskgrid left out /outputs/{path}: its file is missing.")),
        }
    }
}
