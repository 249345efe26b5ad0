//! Which lines of a pull reach the log: layers count their bytes many times a second, people read a few.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::progress::PullProgress;

/// Lines about one layer's progress are at least this far apart.
const BETWEEN: Duration = Duration::from_millis(500);

/// The lines of one pull.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the last count of a layer was written.
    written: HashMap<String, Instant>,
    /// Its newest count, when that came too early.
    waiting: HashMap<String, String>,
}

impl Pace {
    /// Takes in what was said, and returns it when it is to be written now.
    pub fn take(&mut self, progress: &PullProgress, now: Instant) -> Option<String> {
        let Some(layer) = &progress.layer else {
            // What is said of a layer beside its counts is newer than they are.
            self.waiting.retain(|id, _| !progress.line.starts_with(id.as_str()));
            return Some(progress.line.clone());
        };
        if self.written.get(&layer.id).is_some_and(|last| now < *last + BETWEEN) {
            self.waiting.insert(layer.id.clone(), progress.line.clone());
            return None;
        }
        self.waiting.remove(&layer.id);
        self.written.insert(layer.id.clone(), now);
        Some(progress.line.clone())
    }

    /// When the next line that waits is to be written; none when none waits.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.keys().filter_map(|id| self.written.get(id)).min().map(|last| *last + BETWEEN)
    }

    /// The lines that have waited long enough.
    pub fn ripe(&mut self, now: Instant) -> Vec<String> {
        let is_ripe = |id: &String| self.written.get(id).is_none_or(|last| now >= *last + BETWEEN);
        let ripe: Vec<_> = self.waiting.keys().filter(|id| is_ripe(id)).cloned().collect();
        let lines = ripe.iter().filter_map(|id| self.waiting.remove(id)).collect();
        self.written.extend(ripe.into_iter().map(|id| (id, now)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::LayerProgress;

    fn count(id: &str, done: u64) -> PullProgress {
        let layer = Some(LayerProgress { id: id.to_owned(), done, total: 9 });
        PullProgress { line: format!("{id}: Downloading {done}"), layer, done, total: 9, layers: (0, 1) }
    }

    fn said(line: &str) -> PullProgress {
        PullProgress { line: line.to_owned(), layer: None, done: 0, total: 0, layers: (0, 0) }
    }

    #[test]
    fn counts_of_a_layer_are_written_now_and_then_and_the_newest_of_them_in_the_end() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let written =
            (0..1000).filter_map(|at| pace.take(&count("a", at), start + Duration::from_millis(at)));
        assert_eq!(written.collect::<Vec<_>>(), ["a: Downloading 0", "a: Downloading 500"]);
        assert_eq!(pace.due(), Some(start + Duration::from_secs(1)));
        assert!(pace.ripe(start + Duration::from_millis(999)).is_empty());
        assert_eq!(pace.ripe(start + Duration::from_secs(1)), ["a: Downloading 999"]);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn layers_do_not_wait_for_each_other_and_other_lines_for_none() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(pace.take(&count("a", 1), now).is_some() && pace.take(&count("b", 1), now).is_some());
        assert!(pace.take(&count("a", 2), now).is_none());
        assert_eq!(pace.take(&said("a: Download complete"), now).as_deref(), Some("a: Download complete"));
        assert_eq!(pace.due(), None, "the count is out of date");
    }
}
