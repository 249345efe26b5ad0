//! What waiting jobs wait for, told in words. The words follow from the same rules by which jobs are started.

use std::collections::HashSet;
use std::fmt;

use super::{Capacity, Lack, Queue, memory_words, schedule::MOST_OVERTAKINGS};
use crate::{Job, JobId, Needs, Phase};

/// What a queue's owner tells of it, apart from its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Whether jobs are started at all now.
    pub is_open: bool,
    /// Whether none is because the queue's owner still looks for what runs of an earlier life left. The queue itself
    /// knows nothing of that.
    pub is_looking_back: bool,
    /// Why the disk takes no further job.
    pub lack: Option<Lack>,
    /// Why nothing can be written down at the moment, so that no job changes. The queue itself knows nothing of that.
    pub unwritten: Option<String>,
    /// What jobs may take in all.
    pub capacity: Capacity,
    /// What running jobs have taken of it.
    pub taken: Needs,
    /// Queued jobs of which an earlier run is still being ended.
    pub ending: HashSet<JobId>,
    /// The job that nothing passes any more, since too many did.
    pub barrier: Option<(u64, JobId)>,
}

impl Queue {
    /// How things stand.
    pub fn situation(&self) -> Situation {
        let is_ending = |id: &&JobId| self.jobs.get(*id).is_some_and(|job| job.phase == Phase::Queued);
        let mut passed = self.waiting.iter().filter(|(_, waiting)| waiting.overtaken >= MOST_OVERTAKINGS);
        Situation {
            is_open: self.open,
            is_looking_back: false,
            lack: self.lack.clone(),
            unwritten: None,
            capacity: self.capacity.clone(),
            taken: self.taken.needs(),
            ending: self.runs.keys().filter(is_ending).cloned().collect(),
            barrier: passed.next().map(|(turn, waiting)| (*turn, waiting.id.clone())),
        }
    }
}

impl Situation {
    /// Why `job`, which is queued, does not run yet. `engine` says what is wrong with the engine, if anything.
    pub fn why(&self, job: &Job, engine: Option<&str>) -> String {
        if let Some(why) = &self.unwritten {
            return format!("Waits until this can be written down; it is tried every second: {why}");
        }
        if let Some(trouble) = engine {
            return trouble.to_owned();
        }
        if self.is_looking_back {
            return "Waits until what an earlier start left in the engine is cleared up".to_owned();
        }
        if !self.is_open {
            return "Deskgrid is stopped".to_owned();
        }
        if let Some(lack) = &self.lack {
            return lack.to_string();
        }
        if self.ending.contains(&job.id) {
            return "Waits for an earlier run of this job to end".to_owned();
        }
        if let Some(lacking) = self.lacking(&job.needs) {
            return lacking;
        }
        match &self.barrier {
            Some((turn, _)) if *turn < job.turn => {
                "Waits for a larger job that many smaller ones went ahead of".to_owned()
            }
            _ => "Starts in a moment".to_owned(),
        }
    }

    /// What is not free that a job with these needs has to have.
    fn lacking(&self, needs: &Needs) -> Option<String> {
        let cpus = self.capacity.cpu_millis.saturating_sub(self.taken.cpu_millis);
        let memory = self.capacity.memory.saturating_sub(self.taken.memory);
        let offered = u32::try_from(self.capacity.gpus.len()).unwrap_or(u32::MAX);
        let gpus = offered.saturating_sub(self.taken.gpus);
        if needs.cpu_millis > cpus {
            let wanted = counted(f64::from(needs.cpu_millis) / 1000.0, "CPU");
            return Some(format!("Waits for {wanted}; {}", free(f64::from(cpus) / 1000.0)));
        }
        if needs.memory > memory {
            return Some(format!(
                "Waits for {} of memory; {} is free",
                memory_words(needs.memory),
                memory_words(memory)
            ));
        }
        (needs.gpus > gpus).then(|| {
            format!("Waits for {}; {}", counted(f64::from(needs.gpus), "GPU"), free(f64::from(gpus)))
        })
    }
}

/// What a job waits for.
impl fmt::Display for Lack {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room { folder, free, reserve } => write!(
                to,
                "Waits for room on the disk of {folder}: {} are free, and {} have to stay free (setting \
                 disk_reserve). Delete what you no longer need",
                size_on_disk(*free),
                size_on_disk(*reserve)
            ),
            Self::Writing { folder } => write!(
                to,
                "Waits until files can be written again: the disk of {folder} may only be read at the moment. Systems \
                 do that to a disk that fails. Look at it, and make it writable again"
            ),
        }
    }
}

fn counted(count: f64, what: &str) -> String {
    let plural = if count > 1.0 { "s" } else { "" };
    format!("{count} {what}{plural}")
}

fn free(count: f64) -> String {
    match count {
        none if none <= 0.0 => "none is free".to_owned(),
        some if some > 1.0 => format!("{some} are free"),
        one => format!("{one} is free"),
    }
}

/// Bytes in the unit that disks are sold by.
fn size_on_disk(bytes: u64) -> String {
    const GB: f64 = 1e9;
    const MB: f64 = 1e6;
    let bytes = bytes as f64;
    if bytes >= GB {
        format!("{} GB", (bytes / GB * 10.0).round() / 10.0)
    } else {
        format!("{} MB", (bytes / MB).round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    fn situation() -> Situation {
        Situation {
            is_open: true,
            is_looking_back: false,
            lack: None,
            unwritten: None,
            capacity: Capacity { cpu_millis: 4000, memory: 8 << 30, gpus: ["0".to_owned()].into() },
            taken: Needs { cpu_millis: 3000, memory: 7 << 30, gpus: 1 },
            ending: HashSet::new(),
            barrier: None,
        }
    }

    fn job(cpu_millis: u32, memory: u64, gpus: u32) -> Job {
        let job = super::super::fresh(&JobId::new("a").unwrap(), Time(1));
        Job { needs: Needs { cpu_millis, memory, gpus }, turn: 7, ..job }
    }

    #[test]
    fn what_is_lacking_is_named_with_what_is_free() {
        let situation = situation();
        assert_eq!(situation.why(&job(2000, 0, 0), None), "Waits for 2 CPUs; 1 is free");
        assert_eq!(situation.why(&job(1000, 4 << 30, 0), None), "Waits for 4 GB of memory; 1 GB is free");
        assert_eq!(situation.why(&job(1000, 0, 1), None), "Waits for 1 GPU; none is free");
        let busy = Situation { taken: Needs { cpu_millis: 3500, memory: 0, gpus: 0 }, ..situation };
        assert_eq!(busy.why(&job(1000, 0, 0), None), "Waits for 1 CPU; 0.5 is free");
    }

    #[test]
    fn the_engine_comes_before_the_stop_and_both_before_what_is_lacking() {
        let closed = Situation { is_open: false, ..situation() };
        assert_eq!(
            closed.why(&job(9000, 0, 0), Some("The engine is not running")),
            "The engine is not running"
        );
        assert_eq!(closed.why(&job(9000, 0, 0), None), "Deskgrid is stopped");
        let looking = Situation { is_looking_back: true, ..closed };
        assert!(looking.why(&job(9000, 0, 0), None).contains("cleared up"));
    }

    #[test]
    fn a_full_disk_is_named_with_what_has_to_be_free() {
        let (folder, free, reserve) = ("/data".to_owned(), 1_234_000_000, 2_000_000_000);
        let full = Situation { lack: Some(Lack::Room { folder, free, reserve }), ..situation() };
        assert_eq!(
            full.why(&job(9000, 0, 0), None),
            "Waits for room on the disk of /data: 1.2 GB are free, and 2 GB have to stay free (setting \
             disk_reserve). Delete what you no longer need"
        );
        let read_only = Lack::Writing { folder: "/data".to_owned() };
        let words = Situation { lack: Some(read_only), ..situation() }.why(&job(9000, 0, 0), None);
        assert!(words.contains("/data may only be read"), "{words}");
        let unwritten = Situation { unwritten: Some("the disk is full".to_owned()), ..full };
        assert!(unwritten.why(&job(1, 0, 0), Some("no engine")).ends_with(": the disk is full"));
    }

    #[test]
    fn an_earlier_run_and_a_barrier_are_named() {
        let ending = Situation { ending: [JobId::new("a").unwrap()].into(), ..situation() };
        assert_eq!(ending.why(&job(1000, 0, 0), None), "Waits for an earlier run of this job to end");
        let barred = Situation { barrier: Some((3, JobId::new("b").unwrap())), ..situation() };
        assert!(barred.why(&job(1000, 0, 0), None).starts_with("Waits for a larger job"));
        assert_eq!(situation().why(&job(1000, 0, 0), None), "Starts in a moment");
    }
}
