//! What this computer offers to jobs and what running jobs have taken of it.

use std::sync::Arc;

use crate::Needs;

/// What jobs may take in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// Bytes of memory; `u64::MAX` while the engine has not told its size yet.
    pub memory: u64,
    /// The ids of the GPUs that jobs may use; each serves one job at a time.
    pub gpus: Arc<[String]>,
}

/// What one run was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// CPUs and memory.
    pub needs: Needs,
    /// The GPUs it has to itself.
    pub gpus: Vec<String>,
}

impl Capacity {
    /// Why a job with these needs can never run here, in words; `None` when it can.
    pub fn objection(&self, needs: &Needs) -> Option<String> {
        let (what, wanted, offered) = if needs.cpu_millis > self.cpu_millis {
            ("CPUs", cpus(needs.cpu_millis), cpus(self.cpu_millis))
        } else if needs.memory > self.memory {
            ("memory", memory_words(needs.memory), memory_words(self.memory))
        } else if needs.gpus as usize > self.gpus.len() {
            ("GPUs", needs.gpus.to_string(), self.gpus.len().to_string())
        } else {
            return None;
        };
        Some(format!(
            "The job asks for more {what} than this computer offers to jobs: {wanted} wanted, {offered} offered. \
             Lower the job's requirements, or raise the limit in Deskgrid's settings."
        ))
    }
}

/// Bytes of memory as people say them, in powers of 1024: of a job that asked for `2g` they want to read 2 GB.
pub fn memory_words(bytes: u64) -> String {
    const GB: f64 = 1_073_741_824.0;
    const MB: f64 = 1_048_576.0;
    let bytes = bytes as f64;
    if bytes >= GB {
        format!("{} GB", (bytes / GB * 10.0).round() / 10.0)
    } else {
        format!("{} MB", (bytes / MB).round())
    }
}

fn cpus(millis: u32) -> String {
    format!("{}", f64::from(millis) / 1000.0)
}

/// What is taken at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    cpu_millis: u32,
    memory: u64,
    gpus: Vec<String>,
}

impl Taken {
    /// Gives a job what it needs, if that is free now.
    pub(super) fn take(&mut self, offered: &Capacity, needs: &Needs) -> Option<Allotment> {
        let fits = self.cpu_millis.saturating_add(needs.cpu_millis) <= offered.cpu_millis
            && self.memory.saturating_add(needs.memory) <= offered.memory;
        let free = offered.gpus.iter().filter(|gpu| !self.gpus.contains(gpu));
        let gpus: Vec<_> = free.take(needs.gpus as usize).cloned().collect();
        (fits && gpus.len() == needs.gpus as usize).then(|| {
            let allotment = Allotment { needs: *needs, gpus };
            self.add(&allotment);
            allotment
        })
    }

    /// Notes what a run has that was started before.
    pub(super) fn add(&mut self, allotment: &Allotment) {
        self.cpu_millis = self.cpu_millis.saturating_add(allotment.needs.cpu_millis);
        self.memory = self.memory.saturating_add(allotment.needs.memory);
        self.gpus.extend(allotment.gpus.iter().cloned());
    }

    /// Takes back what a run had.
    pub(super) fn give_back(&mut self, allotment: &Allotment) {
        self.cpu_millis = self.cpu_millis.saturating_sub(allotment.needs.cpu_millis);
        self.memory = self.memory.saturating_sub(allotment.needs.memory);
        self.gpus.retain(|gpu| !allotment.gpus.contains(gpu));
    }

    /// All of it together.
    pub(super) fn needs(&self) -> Needs {
        let gpus = u32::try_from(self.gpus.len()).unwrap_or(u32::MAX);
        Needs { cpu_millis: self.cpu_millis, memory: self.memory, gpus }
    }

    /// Whether not even the smallest job would fit.
    pub(super) fn is_full(&self, offered: &Capacity) -> bool {
        self.cpu_millis >= offered.cpu_millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> Capacity {
        Capacity { cpu_millis: 2000, memory: 100, gpus: ["0".to_owned(), "1".to_owned()].into() }
    }

    fn needs(cpu_millis: u32, memory: u64, gpus: u32) -> Needs {
        Needs { cpu_millis, memory, gpus }
    }

    #[test]
    fn a_gpu_serves_one_job_at_a_time() {
        let mut taken = Taken::default();
        let first = taken.take(&offered(), &needs(100, 0, 1)).unwrap();
        let second = taken.take(&offered(), &needs(100, 0, 1)).unwrap();
        assert_ne!(first.gpus, second.gpus);
        assert_eq!(taken.take(&offered(), &needs(100, 0, 1)), None);
        taken.give_back(&first);
        assert_eq!(taken.take(&offered(), &needs(100, 0, 1)).unwrap().gpus, first.gpus);
    }

    #[test]
    fn a_job_that_does_not_fit_takes_nothing() {
        let mut taken = Taken::default();
        assert_eq!(taken.take(&offered(), &needs(1000, 101, 0)), None);
        assert!(taken.take(&offered(), &needs(2000, 100, 2)).is_some());
        assert!(taken.is_full(&offered()));
    }

    #[test]
    fn an_objection_names_what_is_short_with_both_numbers() {
        let text = offered().objection(&needs(3500, 0, 0)).unwrap();
        assert!(text.contains("CPUs") && text.contains("3.5 wanted, 2 offered"), "{text}");
        assert!(offered().objection(&needs(1, 0, 3)).unwrap().contains("GPUs"));
        assert_eq!(offered().objection(&needs(2000, 100, 2)), None);
    }
}
