//! Reads the settings again when their file changes on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::file::folder_of;
use super::{Settings, SettingsError, SettingsSource};

/// Editors write a file in several steps, so it is read when nothing happened for this long.
const QUIET: Duration = Duration::from_millis(200);

/// Watches the settings file until it is dropped.
#[derive(Debug)]
pub struct SettingsWatch {
    settings: watch::Receiver<Arc<Settings>>,
    /// Ends the task that reads the file.
    _end: DropGuard,
}

impl SettingsWatch {
    /// Begins to watch the file of `source`, whose present settings are `settings`. Needs a tokio runtime; returns at
    /// once. Where the system lets nobody watch the file's folder, a warning says so and the settings stay.
    pub fn start(source: SettingsSource, settings: Settings) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(settings));
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(follow(source, sender)));
        Self { settings: receiver, _end: end.drop_guard() }
    }

    /// The settings as they are and will be. A file that is broken changes nothing here.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.clone()
    }
}

async fn follow(source: SettingsSource, settings: watch::Sender<Arc<Settings>>) {
    let Some(file) = source.file().map(Path::to_owned) else { return settings.closed().await };
    let changed = Arc::new(Notify::new());
    let noticed = Arc::clone(&changed);
    let watcher = tokio::task::spawn_blocking(move || watch_folder(&file, noticed)).await;
    let _watcher = match watcher {
        Ok(Ok(watcher)) => watcher,
        Ok(Err(error)) => {
            tracing::warn!(code = error.code(), "{error}");
            return settings.closed().await;
        }
        Err(_) => return,
    };
    // The file may have changed between its first reading and now.
    changed.notify_one();
    loop {
        changed.notified().await;
        while tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {}
        let source = source.clone();
        if let Ok(read) = tokio::task::spawn_blocking(move || source.load()).await {
            publish(&settings, read);
        }
    }
}

/// Watches the folder and not the file: editors replace the file by renaming another over it.
fn watch_folder(file: &Path, changed: Arc<Notify>) -> Result<RecommendedWatcher, SettingsError> {
    let folder = folder_of(file);
    let refuse = |problem: String| SettingsError::Unwatchable { path: folder.clone(), problem };
    std::fs::create_dir_all(&folder).map_err(|error| refuse(error.to_string()))?;
    let name = file.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an event too; taking it for a change would go round in circles.
        let is_change = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == name.as_deref())
        });
        if is_change {
            changed.notify_one();
        }
    })
    .map_err(|error| refuse(error.to_string()))?;
    watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(|error| refuse(error.to_string()))?;
    Ok(watcher)
}

/// Tells the subscribers, unless nothing changed or the file is broken.
fn publish(settings: &watch::Sender<Arc<Settings>>, read: Result<Settings, SettingsError>) {
    match read {
        Ok(new) => {
            settings.send_if_modified(|old| {
                let differs = **old != new;
                if differs {
                    *old = Arc::new(new);
                }
                differs
            });
        }
        Err(error) => tracing::warn!(code = error.code(), "{error} The settings stay as they were."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    /// Replaces the file as editors do.
    fn replace(file: &Path, text: &str) {
        let draft = file.with_extension("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, file).unwrap();
    }

    fn chosen() -> Overrides {
        Overrides { data_directory: Some("/data".into()), ..Overrides::default() }
    }

    fn start(file: &Path) -> SettingsWatch {
        let source = SettingsSource::of_file(file.to_owned(), chosen());
        let settings = source.load().unwrap();
        SettingsWatch::start(source, settings)
    }

    #[tokio::test]
    async fn a_replaced_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        replace(&file, "cpus = 1");
        let watch = start(&file);
        let mut settings = watch.subscribe();
        assert_eq!(settings.borrow_and_update().cpu_millis, Some(1000));
        replace(&file, "cpus = 2");
        settings.changed().await.unwrap();
        assert_eq!(settings.borrow_and_update().cpu_millis, Some(2000));
    }

    #[tokio::test]
    async fn a_broken_file_keeps_the_old_settings_and_the_next_good_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        replace(&file, "cpus = 1");
        let watch = start(&file);
        let mut settings = watch.subscribe();
        replace(&file, "cpus = many");
        replace(&file, "cpus = 3");
        settings.changed().await.unwrap();
        assert_eq!(settings.borrow_and_update().cpu_millis, Some(3000));
    }

    #[test]
    fn neither_an_error_nor_equal_settings_are_published() {
        let settings = Settings::from_overrides(chosen()).unwrap();
        let (sender, receiver) = watch::channel(Arc::new(settings.clone()));
        publish(&sender, Err(SettingsError::NoHome));
        publish(&sender, Ok(settings.clone()));
        assert!(!receiver.has_changed().unwrap());
        publish(&sender, Ok(Settings { port: 1, ..settings }));
        assert!(receiver.has_changed().unwrap());
    }

    #[tokio::test]
    async fn dropping_the_watch_ends_the_subscription() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        replace(&file, "");
        let watch = start(&file);
        let mut settings = watch.subscribe();
        drop(watch);
        assert!(settings.changed().await.is_err());
    }
}
