//! Durations of one thing measured many times, and what is told of them.

use std::time::{Duration, Instant};

/// Measurements in the order of their rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn median(&self) -> Duration {
        self.at(50)
    }

    /// 95 of 100 measurements took at most this long.
    pub(crate) fn p95(&self) -> Duration {
        self.at(95)
    }

    /// 99 of 100 measurements took at most this long.
    pub(crate) fn p99(&self) -> Duration {
        self.at(99)
    }

    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    fn at(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted
            .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    /// The median of the differences within each round, in seconds: a machine that is slow for a while is slow for
    /// both sides of it.
    pub(crate) fn above(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        let mut differences: Vec<_> = pairs.map(|(one, two)| one.as_secs_f64() - two.as_secs_f64()).collect();
        differences.sort_unstable_by(f64::total_cmp);
        differences.get(differences.len() / 2).copied().unwrap_or_default()
    }
}

/// How long `work` takes, and what it gives.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let result = work.await;
    (began.elapsed(), result)
}
