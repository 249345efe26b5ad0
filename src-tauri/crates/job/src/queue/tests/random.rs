//! Random sequences of events, checked against what must never happen.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What random clients, runs and time do to a queue.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Submit { job: u8, namespace: u8, cpus: u32 },
    Withdraw { job: u8, namespace: Option<u8>, why: Withdrawal },
    EndOldest { ending: Option<Ending>, runs_again: bool },
    Open(bool),
    Again { job: u8 },
    Wait(Duration),
}

fn happening() -> impl Strategy<Value = Happening> {
    let why = prop_oneof![Just(Withdrawal::Cancel), Just(Withdrawal::Delete)];
    let ending = prop_oneof![Just(Ending::Exited), Just(Ending::OutOfTime), Just(Ending::Failed)];
    prop_oneof![
        4 => (0..6u8, 0..3u8, 1..4u32).prop_map(|(job, namespace, cpus)| Happening::Submit { job, namespace, cpus }),
        2 => (0..6u8, prop::option::of(0..3u8), why)
            .prop_map(|(job, namespace, why)| Happening::Withdraw { job, namespace, why }),
        3 => (prop::option::of(ending), any::<bool>())
            .prop_map(|(ending, runs_again)| Happening::EndOldest { ending, runs_again }),
        1 => any::<bool>().prop_map(Happening::Open),
        1 => (0..6u8).prop_map(|job| Happening::Again { job }),
        2 => (0..40u64).prop_map(|seconds| Happening::Wait(Duration::from_secs(seconds))),
    ]
}

/// A queue together with what its owner would know: the records on disk and the runs that have not ended.
struct World {
    queue: Queue,
    now: Time,
    disk: HashMap<JobId, Job>,
    runs: Vec<(JobId, u32)>,
}

impl World {
    fn new() -> Self {
        Self { queue: open_queue(3), now: Time(0), disk: HashMap::new(), runs: Vec::new() }
    }

    fn namespace(number: u8) -> &'static str {
        ["_", "x", "y"][usize::from(number)]
    }

    fn kept(&self, id: &JobId) -> Option<Job> {
        self.queue.job(id).is_none().then(|| self.disk.get(id).cloned()).flatten()
    }

    fn event(&mut self, happening: Happening) -> Option<Event> {
        Some(match happening {
            Happening::Submit { job, namespace, cpus } => {
                let mut submission = submission(&format!("job{job}"), Self::namespace(namespace));
                submission.kept = self.kept(&submission.id);
                submission.needs.cpu_millis = cpus * 1000;
                Event::Submit(submission)
            }
            Happening::Withdraw { job, namespace, why } => {
                let name = format!("job{job}");
                let Event::Withdraw(mut event) = release(&name, namespace.map_or("*", Self::namespace), why)
                else {
                    return None;
                };
                event.kept = self.kept(&event.id);
                Event::Withdraw(event)
            }
            Happening::EndOldest { ending, runs_again } => {
                if self.runs.is_empty() {
                    return None;
                }
                let (id, run) = self.runs.remove(0);
                let end = ending.map_or(RunEnd::Lost, |ending| RunEnd::Over { ending, runs_again });
                Event::Ended { id, run, end }
            }
            Happening::Open(open) => Event::Open(open),
            Happening::Again { job } => {
                let id = id(&format!("job{job}"));
                let kept = self.kept(&id);
                Event::Again(Again { id, holds: vec![hold("_")], kept })
            }
            Happening::Wait(time) => {
                self.now = self.now.plus(time);
                Event::Tick
            }
        })
    }

    /// Carries the effects out as the owner would, and checks each against what must never happen.
    fn carry_out(&mut self, effects: Vec<Effect>, deletion: Option<&JobId>) -> Result<(), TestCaseError> {
        for effect in effects {
            match effect {
                Effect::Save(job) => self.save(job)?,
                Effect::Erase(id) => {
                    prop_assert_eq!(Some(&id), deletion, "only a deletion erases");
                    self.disk.remove(&id);
                }
                Effect::Start { id, run, .. } => {
                    prop_assert!(self.runs.iter().all(|(running, _)| *running != id), "{} runs twice", id);
                    self.runs.push((id, run));
                }
                Effect::Stop { id, run } => prop_assert!(self.runs.contains(&(id, run))),
                Effect::Fail { .. } | Effect::Forget(_) | Effect::Show(_) | Effect::Hide(..) => {}
            }
        }
        Ok(())
    }

    fn save(&mut self, job: Job) -> Result<(), TestCaseError> {
        if let Some(old) = self.disk.get(&job.id)
            && let (Phase::Finished(was), Phase::Finished(is)) = (old.phase, job.phase)
        {
            prop_assert_eq!(was, is, "a finished result changed");
        }
        self.disk.insert(job.id.clone(), job);
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for job in self.disk.values().filter(|job| matches!(job.phase, Phase::Queued | Phase::Running)) {
            let in_memory = self.queue.job(&job.id);
            prop_assert_eq!(in_memory, Some(job), "disk and memory differ, or the job is lost");
            let waits = self.queue.waiting.values().any(|waiting| waiting.id == job.id);
            let runs = self.runs.contains(&(job.id.clone(), job.run));
            prop_assert_eq!(waits, job.phase == Phase::Queued, "{:?} is not in line", job);
            prop_assert!(job.phase == Phase::Queued || runs, "{:?} has no run", job);
            prop_assert!(!job.holds.is_empty(), "nobody holds {:?}", job);
        }
        let taken: u32 = self
            .runs
            .iter()
            .filter_map(|(id, _)| self.queue.allotment(id))
            .map(|r| r.1.needs.cpu_millis)
            .sum();
        prop_assert!(taken <= 3000, "more is given than there is");
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_loses_a_job_runs_it_twice_or_changes_a_result(
        happenings in prop::collection::vec(happening(), 1..120)
    ) {
        let mut world = World::new();
        for happening in happenings {
            let Some(event) = world.event(happening) else { continue };
            let deletion = match &event {
                Event::Withdraw(Release { id, why: Withdrawal::Delete, .. }) => Some(id.clone()),
                _ => None,
            };
            let effects = world.queue.apply(event, world.now);
            world.carry_out(effects, deletion.as_ref())?;
            world.check()?;
        }
    }
}
