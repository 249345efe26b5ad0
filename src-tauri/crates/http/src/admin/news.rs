//! What the administration tells its readers beside what others watch over already: that the cache changed, so that
//! they look again. Nothing of what changed is kept here.

use tokio::sync::watch;

/// The version of the cache; a cheap handle.
#[derive(Clone, Debug)]
pub struct News(watch::Sender<u64>);

impl Default for News {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl News {
    /// Something was added to the cache or left it.
    pub fn cache_changed(&self) {
        self.0.send_modify(|version| *version += 1);
    }

    pub(crate) fn cache(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
