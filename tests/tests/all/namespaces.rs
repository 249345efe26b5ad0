//! Namespaces: a job lives while one holds it, and in each but the shared one only the newest job lives.
//!
//! Jobs that are replaced are in no list (protocol section 3).

use deskgrid_tests::{Deskgrid, Page, shell, unique};
use serde_json::{Value, json};

/// A definition that nobody runs here.
fn waiting() -> Value {
    json!({"image": "some/image", "command": unique()})
}

/// A job that runs until it is cancelled.
fn endless() -> Value {
    shell(&format!("echo up; sleep 300; : {}", unique()))
}

fn held_by(namespace: &str) -> Value {
    json!({"namespace": namespace})
}

/// Reads on until the job has exactly these namespaces, in the order of their names.
async fn until_held_by(page: &mut Page, id: &str, namespaces: &[&str]) {
    page.until_true(|page| page.jobs.get(id).is_some_and(|job| job["namespaces"] == json!(namespaces))).await;
}

#[tokio::test]
async fn a_job_submitted_under_three_namespaces_is_one_job_held_by_exactly_these() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = endless();
    for namespace in ["a", "b", "c"] {
        page.submit("mine", &definition, &held_by(namespace)).await;
    }
    until_held_by(&mut page, "mine", &["a", "b", "c"]).await;
    let listed = server.get_json("/q/local").await["data"].take();
    assert_eq!(listed.as_object().map(serde_json::Map::len), Some(1));
    let namespaces = server.get_json("/q/local/j/mine/namespaces.json").await;
    assert_eq!(namespaces, json!({"data": ["a", "b", "c"]}));
    let (status, _) = server.post("/q/local/j/mine/cancel?namespace=*", &json!(null)).await;
    assert_eq!(status, 200);
    page.until_true(|page| page.jobs.is_empty()).await;
}

#[tokio::test]
async fn messages_of_one_socket_count_in_their_order() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    let definition = waiting();
    for namespace in ["a", "b", "c"] {
        page.submit("mine", &definition, &held_by(namespace)).await;
    }
    page.end("mine", "Cancelled", Some("c")).await;
    page.ping().await;
    assert_eq!(server.get_json("/q/local").await["data"]["mine"]["namespaces"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_running_job_that_loses_one_namespace_runs_on_for_the_others() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = endless();
    for namespace in ["a", "b", "c"] {
        page.submit("mine", &definition, &held_by(namespace)).await;
    }
    until_held_by(&mut page, "mine", &["a", "b", "c"]).await;
    page.until("mine", "Running").await;
    page.end("mine", "Cancelled", Some("b")).await;
    until_held_by(&mut page, "mine", &["a", "c"]).await;
    assert_eq!(page.jobs["mine"]["state"], "Running");
    page.end("mine", "Cancelled", Some("a")).await;
    until_held_by(&mut page, "mine", &["c"]).await;
    assert_eq!(page.jobs["mine"]["state"], "Running");
    page.end("mine", "Cancelled", Some("c")).await;
    page.until_true(|page| page.jobs.is_empty()).await;
}

#[tokio::test]
async fn a_star_drops_all_namespaces_over_the_socket_and_over_http() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    for over_http in [false, true] {
        let (id, definition) = (unique(), waiting());
        for namespace in ["a", "b", "c"] {
            page.submit(&id, &definition, &held_by(namespace)).await;
        }
        until_held_by(&mut page, &id, &["a", "b", "c"]).await;
        if over_http {
            server.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!(null)).await;
        } else {
            page.end(&id, "Cancelled", Some("*")).await;
        }
        page.until_true(|page| page.jobs.is_empty()).await;
        for namespace in ["a", "b", "c"] {
            let path = format!("/q/local/j/{id}/cancel?namespace={namespace}");
            assert_eq!(server.post(&path, &json!(null)).await, (200, json!({"success": true})));
        }
    }
}

#[tokio::test]
async fn a_namespace_that_does_not_hold_the_job_takes_nothing_from_it() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("mine", &waiting(), &held_by("a")).await;
    page.until("mine", "Queued").await;
    page.end("mine", "Cancelled", Some("other")).await;
    page.end("mine", "Deleted", Some("_")).await;
    page.ping().await;
    let path = "/q/local/j/mine/cancel?namespace=other";
    assert_eq!(server.post(path, &json!(null)).await.0, 200);
    assert_eq!(server.get_json("/q/local").await["data"]["mine"]["namespaces"], json!(["a"]));
}

#[tokio::test]
async fn a_queued_job_is_replaced_at_once_by_the_next_in_its_namespace() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    let ids: Vec<_> = (0..4).map(|_| unique()).collect();
    for id in &ids {
        page.submit(id, &waiting(), &held_by("a")).await;
    }
    let newest = &ids[3];
    page.until_true(|page| page.jobs.len() == 1 && page.jobs.contains_key(newest)).await;
    let listed = server.get_json("/q/local").await["data"].take();
    assert_eq!(listed.as_object().unwrap().keys().collect::<Vec<_>>(), [newest]);
    assert_eq!(listed[newest]["state"], "Queued");
    assert!(
        page.states_seen(&ids[0]).iter().all(|state| state == "Queued"),
        "{:?}",
        page.states_seen(&ids[0])
    );
    for id in &ids[..3] {
        assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await, json!({"data": null}));
    }
}

#[tokio::test]
async fn a_running_job_is_replaced_and_its_container_removed() {
    let server = Deskgrid::start_with_cpus(2).await;
    let mut page = Page::open(&server, "local").await;
    page.submit("older", &endless(), &held_by("a")).await;
    page.next_of("JobStatusPayload").await;
    let mut events = server.engine().events(&server).await;
    page.submit("newer", &endless(), &held_by("a")).await;
    page.until("newer", "Running").await;
    page.until_true(|page| !page.jobs.contains_key("older")).await;
    events.until("destroy", "older").await;
    assert_eq!(server.get_json("/q/local").await["data"]["newer"]["state"], "Running");
}

#[tokio::test]
async fn a_replaced_job_ends_with_the_word_for_it() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("older", &waiting(), &held_by("a")).await;
    page.until("older", "Queued").await;
    let mut events = deskgrid_tests::Events::open(&server, "older").await;
    page.submit("newer", &waiting(), &held_by("a")).await;
    assert_eq!(events.until("final").await, json!({"state": "Finished", "reason": "JobReplacedByClient"}));
}

#[tokio::test]
async fn a_replaced_job_lives_on_in_its_other_namespaces() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    let shared = waiting();
    for namespace in ["a", "b"] {
        page.submit("both", &shared, &held_by(namespace)).await;
    }
    page.submit("newer", &waiting(), &held_by("a")).await;
    until_held_by(&mut page, "both", &["b"]).await;
    until_held_by(&mut page, "newer", &["a"]).await;
    assert_eq!(page.jobs["both"]["state"], "Queued");
}

#[tokio::test]
async fn a_job_that_was_replaced_comes_back_when_it_is_submitted_again() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    let (first, second) = (waiting(), waiting());
    for (id, definition) in [("first", &first), ("second", &second), ("first", &first)] {
        page.submit(id, definition, &held_by("a")).await;
    }
    page.until_true(|page| page.jobs.len() == 1 && page.jobs.contains_key("first")).await;
    assert_eq!(page.jobs["first"]["state"], "Queued");
}

#[tokio::test]
async fn a_finished_job_is_not_replaced_and_keeps_its_result() {
    let server = Deskgrid::start_with_cpus(2).await;
    let mut page = Page::open(&server, "local").await;
    page.submit("done", &shell(&format!("echo {}", unique())), &held_by("a")).await;
    page.until("done", "Finished").await;
    let result = server.get_json("/j/done/result.json").await;
    page.submit("newer", &endless(), &held_by("a")).await;
    page.until("newer", "Running").await;
    assert_eq!(page.jobs["done"]["finishedReason"], "Success");
    assert_eq!(server.get_json("/j/done/result.json").await, result);
}

#[tokio::test]
async fn the_shared_namespace_holds_any_number_of_jobs() {
    let server = Deskgrid::start_without_engine().await;
    for control in [json!(null), json!({}), held_by("_"), held_by("")] {
        let body = json!({"definition": waiting(), "control": control});
        assert_eq!(server.post("/q/local", &body).await.0, 200, "{control}");
    }
    let listed = server.get_json("/q/local").await["data"].take();
    let listed = listed.as_object().unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.values().all(|job| job["namespaces"] == json!(["_"])), "{listed:?}");
}

#[tokio::test]
async fn one_namespace_of_two_queues_is_two_slots() {
    let server = Deskgrid::start_without_engine().await;
    for queue in ["local", "other"] {
        let body = json!({"id": queue, "definition": waiting(), "control": held_by("a")});
        server.post(&format!("/q/{queue}"), &body).await;
    }
    for queue in ["local", "other"] {
        let listed = server.get_json(&format!("/q/{queue}")).await["data"].take();
        assert_eq!(listed.as_object().unwrap().keys().collect::<Vec<_>>(), [queue]);
    }
}
