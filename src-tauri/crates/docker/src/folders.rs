//! Noticing that a socket appears, by watching the folder it will be in. Only a hint to look again: some file systems
//! tell nothing, and sockets reached through links appear elsewhere.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Folders that come into being while we begin to watch, one level at a time.
const DEPTH: usize = 16;

/// Watches until it is dropped.
pub(crate) struct FolderWatch {
    _watcher: Option<RecommendedWatcher>,
}

/// A folder to watch, and the name in it that matters: the socket's, or that of the next folder on the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Spot {
    folder: PathBuf,
    name: OsString,
}

impl FolderWatch {
    /// Calls `nudge` whenever something changes on the way to one of `paths`. Blocks for a moment.
    pub(crate) fn on(paths: &[PathBuf], nudge: &Arc<Notify>) -> Self {
        let spots = Arc::new(Mutex::new(HashSet::new()));
        let (heard, tell) = (spots.clone(), nudge.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let spots = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if event.is_ok_and(|event| matters(&event, &spots)) {
                tell.notify_one();
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::debug!(%error, "folders cannot be watched here; sockets are noticed by trying them");
                return Self { _watcher: None };
            }
        };
        for path in paths {
            watch_towards(path, &mut watcher, &spots);
        }
        Self { _watcher: Some(watcher) }
    }
}

/// Watches the nearest folder above `path` that exists. Looks again afterwards, since the next one may have come into
/// being in between, unseen.
fn watch_towards(path: &Path, watcher: &mut RecommendedWatcher, spots: &Mutex<HashSet<Spot>>) {
    for _ in 0..DEPTH {
        let Some(spot) = nearest(path, &|folder| folder.is_dir()) else { return };
        let is_new = spots.lock().unwrap_or_else(PoisonError::into_inner).insert(spot.clone());
        if !is_new {
            return;
        }
        if let Err(error) = watcher.watch(&spot.folder, RecursiveMode::NonRecursive) {
            tracing::debug!(folder = %spot.folder.display(), %error, "a folder cannot be watched");
            return;
        }
    }
}

fn nearest(path: &Path, is_folder: &dyn Fn(&Path) -> bool) -> Option<Spot> {
    path.ancestors().zip(path.ancestors().skip(1)).find(|(_, folder)| is_folder(folder)).and_then(
        |(child, folder)| Some(Spot { folder: folder.to_owned(), name: child.file_name()?.to_owned() }),
    )
}

/// Whether `event` is about one of the names, or about a watched folder itself. Some systems report folders by another
/// path than they were asked for by, so names alone are compared.
fn matters(event: &Event, spots: &HashSet<Spot>) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.need_rescan()
        || event
            .paths
            .iter()
            .any(|path| spots.iter().any(|spot| path.file_name() == Some(&spot.name) || *path == spot.folder))
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, RemoveKind};

    use super::*;

    fn spot(folder: &str, name: &str) -> Spot {
        Spot { folder: folder.into(), name: name.into() }
    }

    #[test]
    fn the_nearest_folder_that_exists_is_watched_for_the_next_name() {
        let exists = |folder: &Path| ["/", "/run"].iter().any(|there| folder == Path::new(there));
        assert_eq!(nearest(Path::new("/run/docker.sock"), &exists), Some(spot("/run", "docker.sock")));
        assert_eq!(nearest(Path::new("/run/user/1/d.sock"), &exists), Some(spot("/run", "user")));
        assert_eq!(nearest(Path::new("/home/me/d.sock"), &exists), Some(spot("/", "home")));
        assert_eq!(nearest(Path::new("d.sock"), &exists), None);
    }

    #[test]
    fn only_what_is_on_the_way_to_a_socket_matters() {
        let spots = HashSet::from([spot("/run", "docker.sock")]);
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        let created = EventKind::Create(CreateKind::Any);
        assert!(matters(&event(created, "/run/docker.sock"), &spots));
        assert!(matters(&event(EventKind::Remove(RemoveKind::Folder), "/run"), &spots));
        assert!(!matters(&event(created, "/run/other.pid"), &spots));
        assert!(!matters(&event(EventKind::Access(AccessKind::Any), "/run/docker.sock"), &spots));
    }

    #[tokio::test]
    async fn a_socket_in_a_folder_that_does_not_exist_yet_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("later");
        let path = folder.join("docker.sock");
        let nudge = Arc::new(Notify::new());
        let before = FolderWatch::on(std::slice::from_ref(&path), &nudge);
        std::fs::create_dir(&folder).unwrap();
        nudge.notified().await;
        let _after = FolderWatch::on(std::slice::from_ref(&path), &nudge);
        drop(before);
        std::fs::write(&path, "").unwrap();
        nudge.notified().await;
    }
}
