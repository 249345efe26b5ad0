//! What the administration tells its readers beside jobs: that the desk, the settings or the cache changed, so that
//! they look again. Other parts of the program say so here; nothing of what changed is kept here.

use tokio::sync::watch;

/// Versions of what can change; a cheap handle.
#[derive(Clone, Debug)]
pub struct News {
    desk: watch::Sender<u64>,
    settings: watch::Sender<u64>,
    cache: watch::Sender<u64>,
}

impl Default for News {
    fn default() -> Self {
        Self { desk: watch::Sender::new(0), settings: watch::Sender::new(0), cache: watch::Sender::new(0) }
    }
}

impl News {
    /// The desk looks different: engine, doors, counts, the data folder.
    pub fn desk_changed(&self) {
        self.desk.send_modify(|version| *version += 1);
    }

    /// A setting has another value.
    pub fn settings_changed(&self) {
        self.settings.send_modify(|version| *version += 1);
    }

    /// Something was added to the cache or left it.
    pub fn cache_changed(&self) {
        self.cache.send_modify(|version| *version += 1);
    }

    pub(crate) fn desk(&self) -> watch::Receiver<u64> {
        self.desk.subscribe()
    }

    pub(crate) fn settings(&self) -> watch::Receiver<u64> {
        self.settings.subscribe()
    }

    pub(crate) fn cache(&self) -> watch::Receiver<u64> {
        self.cache.subscribe()
    }
}
