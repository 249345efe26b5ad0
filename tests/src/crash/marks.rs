//! What jobs leave where no crash of the server or the engine reaches: each run writes marks to a file of its job in
//! the shared cache, with the time since the machine's start. So it shows how often a job really ran, and when.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{shell, unique};

/// A mark that a run left.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    /// The container that left it.
    container: String,
    /// Hundredths of a second since the machine started.
    at: u64,
}

/// The marks of all jobs.
#[derive(Debug, Default)]
pub struct Marks(BTreeMap<String, Vec<Mark>>);

/// Hundredths of a second since the machine started, as the jobs count it.
pub fn now() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("a Linux machine");
    hundredths(text.split(' ').next().unwrap_or_default())
}

fn hundredths(seconds: &str) -> u64 {
    seconds.replace('.', "").trim().parse().expect("two digits after the point")
}

/// `script` as a job's command that leaves marks of `job` in the folder `place`: at its begin, wherever it says
/// `mark`, and at its end.
pub fn marked(place: &str, job: &str, script: &str) -> Value {
    shell(&format!(
        "mkdir -p /job-cache/{place}; read container </etc/hostname; \
         mark() {{ read up rest </proc/uptime; echo $container $up >>/job-cache/{place}/{job}; }}; \
         mark; {script}; code=$?; mark; exit $code"
    ))
}

/// A job whose output `marks` is all that was left in `place`, which it removes.
pub fn reader(place: &str) -> Value {
    shell(&format!(
        "cd /job-cache/{place} && for job in *; do echo \"== $job\"; cat $job; done >/outputs/marks; \
         rm -r /job-cache/{place}; : {}",
        unique()
    ))
}

impl Marks {
    /// Reads what [`reader`] put out.
    pub fn read(text: &str) -> Self {
        let (mut marks, mut job) = (BTreeMap::<String, Vec<Mark>>::new(), String::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("== ") {
                name.clone_into(&mut job);
            } else if let Some((container, up)) = line.split_once(' ') {
                let mark = Mark { container: container.to_owned(), at: hundredths(up) };
                marks.entry(job.clone()).or_default().push(mark);
            }
        }
        Self(marks)
    }

    fn of(&self, job: &str) -> &[Mark] {
        self.0.get(job).map_or(&[], Vec::as_slice)
    }

    /// The containers that ran the job, each with the time it began.
    pub fn runs(&self, job: &str) -> Vec<(String, u64)> {
        let mut runs: Vec<(String, u64)> = Vec::new();
        for mark in self.of(job) {
            if !runs.iter().any(|(container, _)| *container == mark.container) {
                runs.push((mark.container.clone(), mark.at));
            }
        }
        runs
    }

    /// Whether a run left a mark after a later one had begun.
    pub fn overlap(&self, job: &str) -> bool {
        let mut containers: Vec<_> = self.of(job).iter().map(|mark| &mark.container).collect();
        containers.dedup();
        containers.len() > self.runs(job).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_and_runs_at_the_same_time_are_seen() {
        let marks = Marks::read("== a\nc1 10.00\nc1 10.50\nc2 11.00\n== b\nc3 1.00\nc4 1.20\nc3 1.50\n");
        assert_eq!(marks.runs("a"), [("c1".to_owned(), 1000), ("c2".to_owned(), 1100)]);
        assert!(!marks.overlap("a") && marks.overlap("b"));
        assert!(marks.runs("c").is_empty() && !marks.overlap("c"));
    }
}
