//! How far work on a blocking thread is, shown now and then from outside of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deskgrid_job::StageName;

use crate::live::Pulse;

/// Between looks at the counter. Work that is over sooner is never looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Counts outputs that are stored; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    /// Nothing where it is not known.
    total: AtomicU64,
}

impl Counter {
    /// Counts a file.
    pub(super) fn add(&self, bytes: u64) {
        self.0.files.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes will be counted in all.
    pub(super) fn expect(&self, bytes: u64) {
        self.0.total.store(bytes, Ordering::Relaxed);
    }

    /// Waits for `work` and shows the counts meanwhile.
    pub(super) async fn shown<T>(&self, pulse: &Pulse, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(EVERY) => self.show(pulse),
            }
        }
    }

    fn show(&self, pulse: &Pulse) {
        let files = self.0.files.load(Ordering::Relaxed);
        let line = format!("{files} file{}", if files == 1 { "" } else { "s" });
        let total = Some(self.0.total.load(Ordering::Relaxed)).filter(|total| *total > 0);
        pulse.progress(StageName::Collect, Some(&line), self.0.bytes.load(Ordering::Relaxed), total);
    }
}
