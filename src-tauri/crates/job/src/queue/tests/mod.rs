//! The rules of the queue, one sentence a test.

mod random;

use std::sync::Arc;

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
    assert_eq!(started(&queue.apply(exited("b", 2), Time(3))), ["c"]);
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
fn the_run_of_a_job_that_was_deleted_has_its_number_for_itself() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(exited("a", 1), Time(2));
    queue.apply(release("a", "_", Withdrawal::Delete), Time(3));
    let effects = queue.apply(submit("a", "_"), Time(4));
    assert!(matches!(effects.last(), Some(Effect::Start { run: 2, .. })), "{effects:?}");
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
fn a_job_that_was_caught_before_it_began_runs_again_as_often_as_that_happens() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(1));
    for run in 1..=MOST_LOSSES * 2 {
        let end = Event::Ended { id: id("a"), run, end: RunEnd::NotBegun };
        assert_eq!(started(&queue.apply(end, Time(2))), ["a"]);
    }
    assert_eq!(queue.job(&id("a")).unwrap().losses, 0);
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

#[test]
fn a_clock_that_was_set_back_keeps_a_finished_job_listed_no_longer_than_a_minute_more() {
    const AHEAD: u64 = 3_600_000;
    let mut queue = open_queue(1);
    queue.apply(submit("a", "_"), Time(AHEAD));
    queue.apply(exited("a", 1), Time(AHEAD));
    queue.apply(Event::Tick, Time(5));
    assert_eq!(queue.next_tick(), Some(Time(5).plus(LISTED_AFTER_END)));
    queue.apply(Event::Tick, Time(5).plus(LISTED_AFTER_END));
    assert_eq!(phase_of(&queue, "a"), None);
}

#[test]
fn a_clock_that_was_set_back_keeps_a_replaced_job_no_longer_than_it_may_settle() {
    const AHEAD: u64 = 3_600_000;
    let mut queue = open_queue(1);
    queue.apply(submit("old", "page"), Time(AHEAD));
    queue.apply(submit("new", "page"), Time(AHEAD + 30_000));
    queue.apply(Event::Tick, Time(5));
    assert_eq!(phase_of(&queue, "old"), Some(Phase::Running));
    queue.apply(Event::Tick, Time(5).plus(slots::SETTLE));
    assert_eq!(
        phase_of(&queue, "new"),
        Some(Phase::Queued),
        "it waits for the container of the older one to go"
    );
    assert_ne!(phase_of(&queue, "old"), Some(Phase::Running));
}

fn again(name: &str, kept: Option<Job>) -> Event {
    Event::Again(Again { id: id(name), holds: vec![hold("_")], kept })
}

#[test]
fn a_finished_job_runs_again_under_the_same_holds_and_forgets_its_result() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "x"), Time(1));
    queue.apply(exited("a", 1), Time(2));
    let effects = queue.apply(again("a", None), Time(3));
    assert_eq!(effects.first(), Some(&Effect::Forget(id("a"))));
    assert_eq!(started(&effects), ["a"]);
    let job = queue.job(&id("a")).unwrap();
    assert_eq!((job.holds.as_slice(), job.queued_at), ([hold("x")].as_slice(), Time(3)));
}

#[test]
fn a_cancelled_job_runs_again_under_the_holds_that_it_is_given() {
    let mut queue = open_queue(1);
    queue.apply(submit("a", "x"), Time(1));
    let effects = queue.apply(release("a", "x", Withdrawal::Cancel), Time(2));
    let kept = effects.iter().find_map(|effect| match effect {
        Effect::Save(job) => Some(job.clone()),
        _ => None,
    });
    queue.apply(Event::Ended { id: id("a"), run: 1, end: RunEnd::Lost }, Time(3));
    assert_eq!(started(&queue.apply(again("a", kept), Time(4))), ["a"]);
    assert_eq!(queue.job(&id("a")).unwrap().holds, [hold("_")]);
}

#[test]
fn a_job_that_is_not_over_is_left_alone_when_asked_to_run_again() {
    let mut queue = open_queue(1);
    for name in ["a", "b"] {
        queue.apply(submit(name, "_"), Time(1));
        assert_eq!(queue.apply(again(name, None), Time(2)), []);
    }
    assert_eq!(queue.apply(again("unknown", None), Time(2)), []);
}

#[test]
fn the_situation_tells_what_is_taken_and_whose_earlier_run_is_ending() {
    let mut queue = open_queue(2);
    queue.apply(submit("a", "_"), Time(1));
    queue.apply(release("a", "_", Withdrawal::Cancel), Time(2));
    queue.apply(submit("a", "_"), Time(3));
    let situation = queue.situation();
    assert!(situation.is_open && situation.ending.contains(&id("a")));
    assert_eq!(situation.taken.cpu_millis, 1000);
}
