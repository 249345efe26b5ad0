//! The suites about namespaces: basics, removing one, the star, and replacements.

use std::time::{SystemTime, UNIX_EPOCH};

use deskgrid_tests::{Deskgrid, Page};
use serde_json::{Value, json};

use super::{fraction, id_of, is_live, job, kill_all_jobs, namespaces, poll_list, submit_until_seen};

fn three_namespaces() -> Vec<String> {
    (1..=3).map(|number| format!("namespace-{number}")).collect()
}

async fn submit_under_each(page: &mut Page, definition: &Value, names: &[String]) {
    for name in names {
        page.submit(&id_of(definition), definition, &json!({"namespace": name})).await;
    }
}

async fn cancel(page: &mut Page, id: &str, namespace: &str) {
    let value = json!({"type": "Finished", "reason": "Cancelled", "time": 1, "namespace": namespace});
    page.send("StateChange", json!({"tag": "api", "state": "Finished", "job": id, "value": value})).await;
}

#[tokio::test]
async fn namespace_basics_three_submissions_of_one_job_are_held_by_exactly_three_names() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = job(format!("sleep 30.{}", fraction()));
    let id = id_of(&definition);
    submit_under_each(&mut page, &definition, &three_namespaces()).await;
    poll_list(&server, 1000, |list| namespaces(list, &id) == three_namespaces()).await;
    page.close().await;
    let path = format!("/q/local/j/{id}/cancel?namespace=*&message=from-test");
    assert!(server.post(&path, &json!(null)).await.0 < 400);
    kill_all_jobs(&server).await;
}

#[tokio::test]
async fn namespace_basics_a_cancel_right_behind_the_submissions_takes_its_name_away() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = job(format!("sleep 30.{}", fraction()));
    let (id, names) = (id_of(&definition), three_namespaces());
    submit_under_each(&mut page, &definition, &names).await;
    cancel(&mut page, &id, &names[2]).await;
    poll_list(&server, 1000, |list| namespaces(list, &id) == names[..2]).await;
    kill_all_jobs(&server).await;
}

#[tokio::test]
async fn namespace_remove_one_the_job_lives_on_with_the_other_two() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    // The suite sleeps for 3 s and trusts that we are quicker.
    let definition = job(format!("sleep 30.{}", fraction()));
    let (id, names) = (id_of(&definition), three_namespaces());
    submit_under_each(&mut page, &definition, &names).await;
    poll_list(&server, 100, |list| namespaces(list, &id) == names).await;
    cancel(&mut page, &id, &names[1]).await;
    poll_list(&server, 100, |list| {
        assert!(is_live(list, &id), "{list:?}");
        namespaces(list, &id) == [names[0].clone(), names[2].clone()]
    })
    .await;
    kill_all_jobs(&server).await;
}

#[tokio::test]
async fn namespace_star_is_all_nothing_is_left_and_further_cancels_do_no_harm() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = job(format!("sleep 30.{}", fraction()));
    let (id, names) = (id_of(&definition), three_namespaces());
    submit_under_each(&mut page, &definition, &names).await;
    poll_list(&server, 100, |list| namespaces(list, &id) == names).await;
    cancel(&mut page, &id, "*").await;
    poll_list(&server, 100, |list| namespaces(list, &id).is_empty()).await;
    for name in &names {
        let path = format!("/q/local/j/{id}/cancel?namespace={name}&message=from-test");
        assert!(server.post(&path, &json!(null)).await.0 < 400);
    }
}

/// Submits with a time of the client's own, which may lie in the future.
async fn submit_at(page: &mut Page, definition: &Value, namespace: &str, ahead: u128) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() + ahead;
    let id = id_of(definition);
    let enqueued = json!({"id": id, "definition": definition, "control": {"namespace": namespace}});
    let value = json!({"type": "Queued", "time": u64::try_from(now).expect("a time"), "enqueued": enqueued});
    page.send("StateChange", json!({"tag": "", "state": "Queued", "job": id, "value": value})).await;
}

/// The suite wants the replaced jobs listed as finished; the protocol leaves them out of every list.
#[tokio::test]
async fn namespace_replacements_a_running_job_gives_way_to_the_newer_one() {
    let server = Deskgrid::start_with_cpus(2).await;
    let mut page = Page::open(&server, "local").await;
    let jobs: Vec<_> = (0..2).map(|_| job(format!("sleep 30.{}", fraction()))).collect();
    for (definition, ahead) in jobs.iter().zip([0, 1000]) {
        submit_at(&mut page, definition, "namespace", ahead).await;
        page.until(&id_of(definition), "Running").await;
    }
    let (older, newer) = (id_of(&jobs[0]), id_of(&jobs[1]));
    poll_list(&server, 100, |list| is_live(list, &newer) && !list.contains_key(&older)).await;
    kill_all_jobs(&server).await;
}

#[tokio::test]
async fn namespace_replacements_of_several_queued_jobs_only_the_last_one_lives() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let blocker = job(format!("sleep 30.{}", fraction()));
    submit_until_seen(&mut page, &[(&blocker, json!(null))]).await;
    let jobs: Vec<_> = (0..4).map(|_| job(format!("sleep 30.{}", fraction()))).collect();
    for definition in &jobs {
        submit_until_seen(&mut page, &[(definition, json!({"namespace": "namespace"}))]).await;
    }
    let (last, earlier) = jobs.split_last().expect("jobs");
    let is_replaced = |list: &_| earlier.iter().all(|definition| !is_live(list, &id_of(definition)));
    poll_list(&server, 100, |list| is_live(list, &id_of(last)) && is_replaced(list)).await;
    kill_all_jobs(&server).await;
}
