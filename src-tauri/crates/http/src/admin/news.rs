//! What the administration tells its readers beside what others watch over already: that the cache changed, or what the
//! app around us says of itself, so that they look again. Nothing of what changed is kept here.

use tokio::sync::watch;

/// Versions of what changed; a cheap handle.
#[derive(Clone, Debug)]
pub struct News {
    cache: watch::Sender<u64>,
    shell: watch::Sender<u64>,
}

impl Default for News {
    fn default() -> Self {
        Self { cache: watch::Sender::new(0), shell: watch::Sender::new(0) }
    }
}

impl News {
    /// Something was added to the cache or left it.
    pub fn cache_changed(&self) {
        self.cache.send_modify(|version| *version += 1);
    }

    /// The app around us says something else of itself.
    pub(crate) fn shell_changed(&self) {
        self.shell.send_modify(|version| *version += 1);
    }

    pub(crate) fn cache(&self) -> watch::Receiver<u64> {
        self.cache.subscribe()
    }

    pub(crate) fn shell(&self) -> watch::Receiver<u64> {
        self.shell.subscribe()
    }
}
