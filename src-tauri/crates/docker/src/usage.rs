//! What a running container uses of the computer, as the engine measures it about once a second.

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::future::ready;
use futures_util::stream::{BoxStream, StreamExt};

use crate::container::ContainerId;
use crate::engine::Engine;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPUs in use since the measurement before: 1.5 is one and a half.
    pub cpus: f32,
    /// Bytes of memory that cannot be taken back from it.
    pub memory: u64,
    /// Bytes of memory that it may have; none where nothing limits it.
    pub memory_limit: Option<u64>,
}

/// What a measurement says before it is compared with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    at_nanos: i128,
    cpu_nanos: u64,
    memory: u64,
    memory_limit: Option<u64>,
}

impl Engine {
    /// Measurements of a container until it ends, or until the engine has nothing more to say. An engine that does
    /// not measure gives none. Dropping it ends the measuring.
    pub fn usage(&self, id: &ContainerId) -> BoxStream<'static, Usage> {
        let options = StatsOptionsBuilder::new().stream(true).build();
        let answers = self.docker().stats(id.as_str(), Some(options));
        let answers = answers.take_while(|answer| ready(answer.is_ok()));
        let readings = answers.filter_map(|answer| ready(answer.ok().as_ref().and_then(reading)));
        let between = readings.scan(None, |before: &mut Option<Reading>, now| {
            let usage = before.replace(now).and_then(|before| usage(before, now));
            ready(Some(usage))
        });
        between.filter_map(ready).boxed()
    }
}

/// None for a container that has ended, of which engines send zeros.
fn reading(answer: &ContainerStatsResponse) -> Option<Reading> {
    let memory = answer.memory_stats.as_ref()?;
    let used = memory.usage.or(memory.privateworkingset)?;
    // The page cache that can be dropped is no use of memory; its name depends on the kernel's interface.
    let cached = memory.stats.as_ref().and_then(|stats| {
        ["inactive_file", "total_inactive_file"].iter().find_map(|name| stats.get(*name)).copied()
    });
    let total = answer.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let is_windows = answer.os_type.as_deref() == Some("windows");
    Some(Reading {
        at_nanos: answer.read?.unix_timestamp_nanos(),
        // Windows counts in hundreds of nanoseconds.
        cpu_nanos: if is_windows { total.saturating_mul(100) } else { total },
        memory: used.saturating_sub(cached.unwrap_or_default()),
        memory_limit: memory.limit.filter(|limit| *limit > 0),
    })
}

fn usage(before: Reading, now: Reading) -> Option<Usage> {
    let passed = now.at_nanos - before.at_nanos;
    let worked = now.cpu_nanos.checked_sub(before.cpu_nanos)?;
    (passed > 0).then(|| Usage {
        #[expect(clippy::cast_possible_truncation, reason = "a share of CPUs needs no more digits")]
        cpus: (worked as f64 / passed as f64) as f32,
        memory: now.memory,
        memory_limit: now.memory_limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Reading> {
        reading(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_reading_leaves_out_the_cache_that_can_be_dropped() {
        let json = r#"{"read":"2026-01-02T03:04:05.5Z","os_type":"linux",
            "cpu_stats":{"cpu_usage":{"total_usage":700}},
            "memory_stats":{"usage":5000,"limit":9000,"stats":{"inactive_file":2000}}}"#;
        let reading = read(json).unwrap();
        assert_eq!((reading.memory, reading.memory_limit, reading.cpu_nanos), (3000, Some(9000), 700));
    }

    #[test]
    fn a_container_that_has_ended_gives_no_reading() {
        assert_eq!(read(r#"{"read":"0001-01-01T00:00:00Z","cpu_stats":{},"memory_stats":{}}"#), None);
    }

    #[test]
    fn cpus_are_the_work_done_by_the_time_that_passed() {
        let before = Reading { at_nanos: 0, cpu_nanos: 0, memory: 1, memory_limit: None };
        let now = Reading { at_nanos: 2_000, cpu_nanos: 3_000, memory: 7, memory_limit: None };
        assert_eq!(usage(before, now), Some(Usage { cpus: 1.5, memory: 7, memory_limit: None }));
        assert_eq!(usage(now, before), None);
        assert_eq!(usage(now, now), None);
    }
}
