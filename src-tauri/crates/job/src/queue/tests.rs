use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::phase::Ending;
use crate::{Caller, Hold, Namespace, Needs, Outlook, QueueName, Reason};

fn id(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn hold(namespace: &str) -> Hold {
    Hold {
        queue: QueueName::new("local").unwrap(),
        namespace: Namespace::new(namespace).unwrap(),
        caller: Caller::Program,
    }
}

fn capacity(cpus: u32) -> Capacity {
    Capacity { cpu_millis: cpus * 1000, memory: 1000, gpus: Arc::new([]) }
}

fn open_queue(cpus: u32) -> Queue {
    let mut queue = Queue::new(capacity(cpus));
    queue.apply(Event::Open(true), Time(0));
    queue
}

fn submission(name: &str, namespace: &str) -> Submission {
    Submission {
        id: id(name),
        hold: hold(namespace),
        needs: Needs::default(),
        carried: None,
        objection: None,
        kept: None,
    }
}

fn submit(name: &str, namespace: &str) -> Event {
    Event::Submit(submission(name, namespace))
}

fn sized(name: &str, cpu_millis: u32) -> Event {
    let needs = Needs { cpu_millis, ..Needs::default() };
    Event::Submit(Submission { needs, ..submission(name, "_") })
}

fn release(name: &str, namespace: &str, why: Withdrawal) -> Event {
    let slots = match namespace {
        "*" => Released::All,
        one => Released::Only(vec![Namespace::new(one).unwrap()]),
    };
    let outlook = Outlook::whole(hold("_").queue);
    Event::Withdraw(Release { id: id(name), outlook, slots, why, kept: None })
}

fn exited(name: &str, run: u32) -> Event {
    let end = RunEnd::Over { ending: Ending::Exited, runs_again: false };
    Event::Ended { id: id(name), run, end }
}

fn started(effects: &[Effect]) -> Vec<String> {
    let start = |effect: &Effect| match effect {
        Effect::Start { id, .. } => Some(id.to_string()),
        _ => None,
    };
    effects.iter().filter_map(start).collect()
}

fn phase_of(queue: &Queue, name: &str) -> Option<Phase> {
    queue.job(&id(name)).map(|job| job.phase)
}

#[test]
fn a_submitted_job_is_saved_and_shown_queued_and_then_running() {
    let effects = open_queue(1).apply(submit("a", "_"), Time(5));
    let shown: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Show(job) => Some(job.phase),
            _ => None,
        })
        .collect();
    assert_eq!(shown, [Phase::Queued, Phase::Running]);
    assert!(matches!(effects.last(), Some(Effect::Start { run: 1, .. })));
}

#[test]
fn jobs_run_in_the_order_they_came() {
    let mut queue = open_queue(1);
    for name in ["a", "b", "c"] {
        queue.apply(submit(name, "_"), Time(1));
    }
    assert_eq!(started(&queue.apply(exited("a", 1), Time(2))), ["b"]);
    assert_eq!(started(&queue.apply(exited("b", 1), Time(3))), ["c"]);
}

#[test]
fn nothing_starts_while_the_queue_is_closed() {
    let mut queue = Queue::new(capacity(1));
    assert!(started(&queue.apply(submit("a", "_"), Time(1))).is_empty());
    assert_eq!(started(&queue.apply(Event::Open(true), Time(2))), ["a"]);
}

#[test]
fn a_repeated_submission_changes_nothing() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    assert_eq!(queue.apply(submit("a", "_"), Time(2)), []);
}

#[test]
fn a_kept_result_answers_at_once_and_the_job_is_listed_again() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(exited("a", 1), Time(2));
    let hidden = queue.apply(Event::Tick, Time(2).plus(LISTED_AFTER_END));
    let [Effect::Hide(kept, _)] = hidden.as_slice() else { panic!("{hidden:?}") };
    assert_eq!(phase_of(&queue, "a"), None);

    let again = Submission { kept: Some(kept.clone()), ..submission("a", "_") };
    let effects = queue.apply(Event::Submit(again), Time(100_000));
    assert!(
        matches!(effects.as_slice(), [Effect::Show(job)] if job.phase == Phase::Finished(Reason::Success))
    );
}

#[test]
fn a_result_that_this_computer_spoilt_is_made_again() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    let end = RunEnd::Over { ending: Ending::Failed, runs_again: true };
    queue.apply(Event::Ended { id: id("a"), run: 1, end }, Time(2));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Finished(Reason::Error)));
    assert_eq!(started(&queue.apply(submit("a", "_"), Time(3))), ["a"]);
}

#[test]
fn cancelling_a_finished_job_changes_nothing() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(exited("a", 1), Time(2));
    for slot in ["_", "*"] {
        assert_eq!(queue.apply(release("a", slot, Withdrawal::Cancel), Time(3)), []);
    }
}

#[test]
fn deleting_a_finished_job_erases_it() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(exited("a", 1), Time(2));
    let effects = queue.apply(release("a", "_", Withdrawal::Delete), Time(3));
    assert!(matches!(effects.as_slice(), [Effect::Erase(_), Effect::Hide(..)]));
    assert_eq!(phase_of(&queue, "a"), None);
}

#[test]
fn a_job_ends_only_when_its_last_namespace_lets_go() {
    let mut queue = open_queue(1);
    for namespace in ["x", "y"] {
        queue.apply(submit("a", namespace), Time(1));
    }
    queue.apply(release("a", "x", Withdrawal::Cancel), Time(2));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Running));
    let effects = queue.apply(release("a", "y", Withdrawal::Cancel), Time(3));
    assert!(effects.contains(&Effect::Stop { id: id("a"), run: 1 }));
    assert_eq!(phase_of(&queue, "a"), None);
}

#[test]
fn letting_go_of_a_namespace_that_does_not_hold_the_job_changes_nothing() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "x"), Time(1));
    assert_eq!(queue.apply(release("a", "other", Withdrawal::Cancel), Time(2)), []);
}

#[test]
fn a_star_drops_every_namespace() {
    let mut queue = open_queue(1);
    for namespace in ["x", "y", "_"] {
        queue.apply(submit("a", namespace), Time(1));
    }
    queue.apply(release("a", "*", Withdrawal::Cancel), Time(2));
    assert_eq!(phase_of(&queue, "a"), None);
}

#[test]
fn a_newer_job_replaces_a_young_one_in_its_namespace_at_once() {
    let mut queue = open_queue(4);
    queue.apply(submit("old", "n"), Time(0));
    let effects = queue.apply(submit("new", "n"), Time(19_000));
    let replaced = Phase::Finished(Reason::JobReplacedByClient);
    assert!(effects.iter().any(|e| matches!(e, Effect::Hide(job, _) if job.phase == replaced)));
    assert_eq!(phase_of(&queue, "old"), None);
}

#[test]
fn an_older_job_is_replaced_only_after_the_page_has_settled() {
    let mut queue = open_queue(4);
    queue.apply(submit("old", "n"), Time(0));
    queue.apply(submit("new", "n"), Time(21_000));
    assert_eq!(phase_of(&queue, "old"), Some(Phase::Running));
    assert_eq!(queue.next_tick(), Some(Time(29_000)));
    queue.apply(Event::Tick, Time(29_000));
    assert_eq!(phase_of(&queue, "old"), None);
    assert_eq!(phase_of(&queue, "new"), Some(Phase::Running));
}

#[test]
fn an_older_job_that_the_page_goes_back_to_survives() {
    let mut queue = open_queue(4);
    queue.apply(submit("old", "n"), Time(0));
    queue.apply(submit("new", "n"), Time(21_000));
    queue.apply(submit("old", "n"), Time(23_000));
    queue.apply(Event::Tick, Time(40_000));
    assert_eq!(phase_of(&queue, "old"), Some(Phase::Running));
    assert_eq!(phase_of(&queue, "new"), None);
}

fn page(origin: &str) -> Caller {
    Caller::parse(origin)
}

fn submit_from(name: &str, namespace: &str, caller: Caller) -> Event {
    Event::Submit(Submission { hold: Hold { caller, ..hold(namespace) }, ..submission(name, namespace) })
}

#[test]
fn the_namespaces_of_two_pages_do_not_meet() {
    let mut queue = open_queue(4);
    queue.apply(submit_from("a", "n", page("https://one.example")), Time(1));
    queue.apply(submit_from("b", "n", page("https://two.example")), Time(2));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Running));
    assert_eq!(phase_of(&queue, "b"), Some(Phase::Running));
}

#[test]
fn a_page_lets_go_of_its_own_claims_only_and_a_program_of_all() {
    let mut queue = open_queue(4);
    for origin in ["https://one.example", "https://two.example"] {
        queue.apply(submit_from("a", "_", page(origin)), Time(1));
    }
    let by = |caller| {
        let outlook = Outlook { queue: hold("_").queue, caller };
        let slots = Released::All;
        Event::Withdraw(Release { id: id("a"), outlook, slots, why: Withdrawal::Cancel, kept: None })
    };
    let effects = queue.apply(by(page("https://one.example")), Time(2));
    let one = Outlook { queue: hold("_").queue, caller: page("https://one.example") };
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Hide(_, left) if *left == [one.clone()])));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Running));
    queue.apply(by(Caller::Program), Time(3));
    assert_eq!(phase_of(&queue, "a"), None);
}

#[test]
fn the_shared_namespace_holds_any_number_of_jobs() {
    let mut queue = open_queue(4);
    for name in ["a", "b", "c"] {
        queue.apply(submit(name, "_"), Time(1));
    }
    assert_eq!(queue.jobs().count(), 3);
}

#[test]
fn a_cancelled_job_that_is_submitted_again_waits_for_its_old_container_to_go() {
    let mut queue = open_queue(2);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(release("a", "_", Withdrawal::Cancel), Time(2));
    let again = Submission { kept: None, ..submission("a", "_") };
    assert!(started(&queue.apply(Event::Submit(again), Time(3))).is_empty());
    assert_eq!(started(&queue.apply(exited("a", 1), Time(4))), ["a"]);
}

#[test]
fn the_late_result_of_a_cancelled_run_is_not_taken_for_the_new_one() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    assert_eq!(queue.apply(exited("a", 7), Time(2)), []);
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Running));
}

#[test]
fn a_lost_job_runs_again_before_later_ones_and_fails_in_the_end() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(submit("b", "_"), Time(1));
    for run in 1..=MOST_LOSSES {
        let effects = queue.apply(Event::Ended { id: id("a"), run, end: RunEnd::Lost }, Time(2));
        assert_eq!(started(&effects), ["a"]);
    }
    let last = Event::Ended { id: id("a"), run: MOST_LOSSES + 1, end: RunEnd::Lost };
    let effects = queue.apply(last, Time(3));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Finished(Reason::Error)));
    assert!(effects.iter().any(|e| matches!(e, Effect::Fail { objection: Objection::LostTooOften(4), .. })));
}

#[test]
fn a_job_that_can_never_fit_fails_at_once_and_may_be_submitted_again() {
    let mut queue = open_queue(2);
    let effects = queue.apply(sized("big", 3000), Time(1));
    assert!(effects.iter().any(|e| matches!(e, Effect::Fail { objection: Objection::TooLarge(_), .. })));
    assert_eq!(phase_of(&queue, "big"), Some(Phase::Finished(Reason::Error)));
    queue.apply(Event::Resize(capacity(3)), Time(2));
    assert_eq!(started(&queue.apply(sized("big", 3000), Time(3))), ["big"]);
}

#[test]
fn a_definition_that_is_wrong_fails_and_stays_failed() {
    let mut queue = open_queue(1);
    let wrong = Submission { objection: Some("no".into()), ..submission("a", "_") };
    queue.apply(Event::Submit(wrong.clone()), Time(1));
    assert_eq!(phase_of(&queue, "a"), Some(Phase::Finished(Reason::Error)));
    assert!(started(&queue.apply(Event::Submit(wrong), Time(2))).is_empty());
}

#[test]
fn a_smaller_job_passes_one_that_does_not_fit() {
    let mut queue = open_queue(2);
    queue.apply(sized("half", 1000), Time(1));
    queue.apply(sized("big", 2000), Time(1));
    assert_eq!(started(&queue.apply(sized("small", 1000), Time(1))), ["small"]);
}

#[test]
fn a_big_job_is_not_passed_for_ever() {
    let mut queue = open_queue(2);
    queue.apply(sized("first", 1000), Time(1));
    queue.apply(sized("big", 2000), Time(1));
    for number in 0..40 {
        queue.apply(sized(&format!("small{number}"), 1000), Time(1));
    }
    let mut ended = 0;
    while phase_of(&queue, "big") == Some(Phase::Queued) {
        let running = queue.jobs().filter(|job| job.phase == Phase::Running);
        let oldest = running.min_by_key(|job| job.turn).map(|job| (job.id.to_string(), job.run));
        let (name, run) = oldest.expect("something runs while jobs wait");
        queue.apply(exited(&name, run), Time(2));
        ended += 1;
        assert!(ended <= schedule::MOST_OVERTAKINGS + 2, "the big job starves");
    }
}

#[test]
fn a_restored_queue_goes_on_where_it_was() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "x"), Time(1));
    queue.apply(submit("b", "x2"), Time(1));
    let jobs = queue.jobs().cloned().collect();

    let mut next = Queue::new(capacity(1));
    next.restore(jobs);
    assert!(started(&next.apply(Event::Open(true), Time(5))).is_empty(), "the running job keeps its CPU");
    assert_eq!(started(&next.apply(exited("a", 1), Time(6))), ["b"]);
    assert_eq!(phase_of(&next, "a"), Some(Phase::Finished(Reason::Success)));
}

#[test]
fn a_finished_job_leaves_the_lists_after_a_minute() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(0));
    queue.apply(exited("a", 1), Time(1000));
    assert_eq!(queue.next_tick(), Some(Time(61_000)));
    assert_eq!(queue.apply(Event::Tick, Time(60_999)), []);
    assert!(matches!(queue.apply(Event::Tick, Time(61_000)).as_slice(), [Effect::Hide(..)]));
}

/// What random clients, runs and time do to a queue.
#[derive(Clone, Debug)]
enum Happening {
    Submit { job: u8, namespace: u8, cpus: u32 },
    Withdraw { job: u8, namespace: Option<u8>, why: Withdrawal },
    EndOldest { ending: Option<Ending>, runs_again: bool },
    Open(bool),
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
                Effect::Fail { .. } | Effect::Show(_) | Effect::Hide(..) => {}
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
