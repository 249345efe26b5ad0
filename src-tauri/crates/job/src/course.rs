//! How a run went: its stages with their times, and what it used of the computer meanwhile. Kept with its result.

use crate::Time;

/// What a run does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Finds the image or brings it here, or what it is built from.
    Image,
    /// Builds the image.
    Build,
    /// Finds or downloads the inputs.
    Inputs,
    /// Makes the container.
    Create,
    /// The container runs.
    Run,
    /// Stores the outputs.
    Collect,
}

impl StageName {
    /// Every stage, in order.
    pub const ALL: [StageName; 6] =
        [Self::Image, Self::Build, Self::Inputs, Self::Create, Self::Run, Self::Collect];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Build => "build",
            Self::Inputs => "inputs",
            Self::Create => "create",
            Self::Run => "run",
            Self::Collect => "collect",
        }
    }

    /// The stage of a stable word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Which.
    pub name: StageName,
    /// When it began.
    pub start: Time,
    /// When it was over; none while it goes on.
    pub end: Option<Time>,
    /// What there is to say about it.
    pub note: Option<String>,
}

/// The stages of a run and its use of the computer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// In the order of their beginning; image and inputs go on side by side.
    pub stages: Vec<Stage>,
    /// Over the time of the container; none where the engine told nothing.
    pub trace: Option<Trace>,
    /// The platform that the image is made for, where that is not the engine's own: `linux/arm64`.
    pub emulated: Option<String>,
}

impl Course {
    /// Begins a stage; one of that name that goes on already stays.
    pub fn enter(&mut self, name: StageName, now: Time) {
        if !self.stages.iter().any(|stage| stage.name == name && stage.end.is_none()) {
            self.stages.push(Stage { name, start: now, end: None, note: None });
        }
    }

    /// Ends a stage, if it goes on.
    pub fn leave(&mut self, name: StageName, now: Time) {
        for stage in self.stages.iter_mut().filter(|stage| stage.name == name && stage.end.is_none()) {
            stage.end = Some(now.max(stage.start));
        }
    }

    /// Ends all that goes on.
    pub fn close(&mut self, now: Time) {
        for name in StageName::ALL {
            self.leave(name, now);
        }
    }

    /// The stage that a person waits for: the first of those that go on.
    pub fn current(&self) -> Option<&Stage> {
        self.stages.iter().filter(|stage| stage.end.is_none()).min_by_key(|stage| stage.name)
    }
}

/// Points of a trace at most; when it is full, two become one.
const MOST_POINTS: usize = 600;
/// Between the points of a new trace, in milliseconds: engines measure about once a second.
const FIRST_STEP: u64 = 1000;

/// CPUs and memory over time, in equal steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The time of the first point.
    pub start: Time,
    /// Milliseconds from point to point.
    pub every: u64,
    /// CPUs in use: 1.5 is one and a half.
    pub cpu: Vec<f32>,
    /// Bytes of memory in use.
    pub memory: Vec<u64>,
    /// How many measurements the last point stands for.
    in_last: u32,
}

impl Trace {
    /// An empty trace from `start` on.
    pub fn new(start: Time) -> Self {
        Self::of(start, FIRST_STEP, Vec::new(), Vec::new())
    }

    /// A trace with these points.
    pub fn of(start: Time, every: u64, cpu: Vec<f32>, memory: Vec<u64>) -> Self {
        Self { start, every: every.max(1), cpu, memory, in_last: 1 }
    }

    /// Adds a measurement. Points between which nothing was measured repeat the one before.
    pub fn add(&mut self, at: Time, cpu: f32, memory: u64) {
        let mut place = self.place(at);
        while place >= MOST_POINTS {
            self.halve();
            place = self.place(at);
        }
        if place < self.cpu.len() {
            return self.blend(cpu, memory);
        }
        let (last_cpu, last_memory) =
            (*self.cpu.last().unwrap_or(&cpu), *self.memory.last().unwrap_or(&memory));
        self.cpu.resize(place, last_cpu);
        self.memory.resize(place, last_memory);
        self.cpu.push(cpu);
        self.memory.push(memory);
        self.in_last = 1;
    }

    fn place(&self, at: Time) -> usize {
        usize::try_from(at.0.saturating_sub(self.start.0) / self.every).unwrap_or(usize::MAX)
    }

    /// Takes a measurement into the last point, which is the mean of its CPUs and the most of its memory.
    fn blend(&mut self, cpu: f32, memory: u64) {
        let count = self.in_last as f32;
        if let (Some(last_cpu), Some(last_memory)) = (self.cpu.last_mut(), self.memory.last_mut()) {
            *last_cpu = (*last_cpu * count + cpu) / (count + 1.0);
            *last_memory = memory.max(*last_memory);
            self.in_last += 1;
        }
    }

    fn halve(&mut self) {
        self.cpu = self.cpu.chunks(2).map(|pair| pair.iter().sum::<f32>() / pair.len() as f32).collect();
        self.memory =
            self.memory.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or_default()).collect();
        self.every = self.every.saturating_mul(2);
        self.in_last = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_to_wait_for_is_the_first_that_goes_on() {
        let mut course = Course::default();
        course.enter(StageName::Inputs, Time(1));
        course.enter(StageName::Image, Time(2));
        assert_eq!(course.current().map(|stage| stage.name), Some(StageName::Image));
        course.leave(StageName::Image, Time(3));
        assert_eq!(course.current().map(|stage| stage.name), Some(StageName::Inputs));
        course.close(Time(4));
        assert_eq!(course.current(), None);
        assert_eq!(course.stages[1].end, Some(Time(3)));
    }

    #[test]
    fn every_stage_reads_back_from_its_word() {
        for name in StageName::ALL {
            assert_eq!(StageName::parse(name.as_str()), Some(name));
        }
    }

    #[test]
    fn a_trace_never_grows_beyond_its_bound_and_covers_the_whole_run() {
        let mut trace = Trace::new(Time(5_000));
        for second in 0..10_000 {
            trace.add(Time(5_000 + second * 1000), 0.5, second);
        }
        assert!(trace.cpu.len() <= MOST_POINTS && trace.cpu.len() >= MOST_POINTS / 2, "{}", trace.cpu.len());
        assert_eq!(trace.cpu.len(), trace.memory.len());
        assert_eq!(trace.every, 32_000);
        assert!(trace.cpu.iter().all(|cpu| (cpu - 0.5).abs() < 1e-3));
        assert_eq!(trace.memory.last(), Some(&9_999));
    }

    #[test]
    fn a_point_is_the_mean_of_its_cpus_and_the_most_of_its_memory() {
        let mut trace = Trace::new(Time(0));
        trace.add(Time(0), 1.0, 10);
        trace.add(Time(500), 2.0, 30);
        trace.add(Time(900), 3.0, 20);
        assert_eq!((trace.cpu, trace.memory), (vec![2.0], vec![30]));
    }

    #[test]
    fn a_gap_repeats_what_was_before_it() {
        let mut trace = Trace::new(Time(0));
        trace.add(Time(0), 1.0, 10);
        trace.add(Time(3000), 2.0, 20);
        assert_eq!(trace.cpu, [1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_no_harm() {
        let mut trace = Trace::new(Time(10_000));
        trace.add(Time(12_000), 1.0, 1);
        trace.add(Time(3), 1.0, 1);
        trace.add(Time(u64::MAX), 1.0, 1);
        assert!(trace.cpu.len() <= MOST_POINTS);
    }
}
