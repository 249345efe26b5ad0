use deskgrid_job::{Hold, Namespace, Needs, QueueName, Reason, Time};

use super::*;

fn queue() -> Outlook {
    Outlook::whole(QueueName::new("local").unwrap())
}

fn hold(queue: &Outlook, caller: Caller) -> Hold {
    Hold { queue: queue.queue.clone(), namespace: Namespace::shared(), caller }
}

fn job(name: &str, phase: Phase) -> Job {
    Job {
        id: JobId::new(name).unwrap(),
        phase,
        queued_at: Time(1),
        changed_at: Time(1),
        turn: 1,
        run: 0,
        losses: 0,
        holds: vec![hold(&queue(), Caller::Program)],
        needs: Needs::default(),
        carried: None,
        runs_again: false,
    }
}

fn phases(listing: &Listing) -> Vec<Phase> {
    let (Listing::Whole { jobs, .. } | Listing::Changes(jobs)) = listing;
    jobs.iter().map(|job| job.phase).collect()
}

#[tokio::test]
async fn a_reader_gets_the_whole_list_first_and_then_every_state_in_order() {
    let lists = Lists::default();
    let mut feed = lists.feed(&queue());
    assert!(matches!(feed.next().await, Listing::Whole { jobs, .. } if jobs.is_empty()));
    lists.show(job("a", Phase::Queued));
    lists.show(job("a", Phase::Running));
    let listing = feed.next().await;
    assert!(matches!(listing, Listing::Changes(_)));
    assert_eq!(phases(&listing), [Phase::Queued, Phase::Running]);
}

#[tokio::test]
async fn a_job_that_left_is_gone_from_the_next_whole_list() {
    let lists = Lists::default();
    lists.show(job("a", Phase::Queued));
    lists.show(job("b", Phase::Queued));
    let mut feed = lists.feed(&queue());
    feed.next().await;
    lists.hide(job("a", Phase::Queued), &[queue()]);
    let Listing::Whole { jobs, .. } = feed.next().await else { panic!("not whole") };
    assert_eq!(jobs.len(), 1);
}

#[tokio::test]
async fn a_reader_that_missed_too_much_gets_the_whole_list() {
    let lists = Lists::default();
    let mut feed = lists.feed(&queue());
    feed.next().await;
    for _ in 0..=KEPT_CHANGES {
        lists.show(job("a", Phase::Queued));
    }
    assert!(matches!(feed.next().await, Listing::Whole { jobs, .. } if jobs.len() == 1));
}

#[tokio::test]
async fn a_reader_can_ask_for_the_whole_list_again() {
    let lists = Lists::default();
    let mut feed = lists.feed(&queue());
    feed.next().await;
    feed.ask_for_whole();
    assert!(matches!(feed.next().await, Listing::Whole { .. }));
}

#[test]
fn unfinished_jobs_are_counted_for_each_that_asked_for_them() {
    let lists = Lists::default();
    let page = Caller::parse("https://a.example");
    let own = |name, phase| Job { holds: vec![hold(&queue(), page.clone())], ..job(name, phase) };
    let counts = |lists: &Lists| (lists.unfinished(&page), lists.unfinished(&Caller::Program));
    lists.show(own("a", Phase::Queued));
    lists.show(own("a", Phase::Running));
    lists.show(job("b", Phase::Queued));
    assert_eq!(counts(&lists), (1, 2));
    let outlook = Outlook { caller: page.clone(), ..queue() };
    assert!(lists.shows(&outlook, &own("a", Phase::Queued).id));
    assert!(!lists.shows(&outlook, &job("b", Phase::Queued).id));
    lists.show(own("a", Phase::Finished(Reason::Success)));
    lists.hide(job("b", Phase::Queued), &[queue()]);
    assert_eq!(counts(&lists), (0, 0));
}

#[test]
fn a_job_held_in_two_queues_is_listed_in_both() {
    let lists = Lists::default();
    let other = Outlook::whole(QueueName::new("other").unwrap());
    let mut held = job("a", Phase::Queued);
    held.hold(hold(&other, Caller::Program));
    lists.show(held);
    assert_eq!((lists.all(&queue()).len(), lists.all(&other).len()), (1, 1));
    assert_eq!(lists.everything().len(), 1);
}

#[test]
fn a_page_is_listed_its_own_jobs_and_a_program_all() {
    let lists = Lists::default();
    let page = |origin| Outlook { caller: Caller::parse(origin), ..queue() };
    let mut held = job("a", Phase::Queued);
    held.holds = vec![hold(&queue(), Caller::parse("https://one.example"))];
    lists.show(held);
    lists.show(job("b", Phase::Queued));
    assert_eq!(lists.all(&page("https://one.example")).len(), 1);
    assert_eq!(lists.all(&page("https://two.example")).len(), 0);
    assert_eq!(lists.all(&queue()).len(), 2);
}
