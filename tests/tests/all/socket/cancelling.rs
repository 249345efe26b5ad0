//! Letting go of jobs over the socket: with and without a namespace, cancelling and deleting.

use deskgrid_tests::{Deskgrid, Page, log_text, shell, unique};
use serde_json::json;

#[tokio::test]
async fn a_cancel_without_a_namespace_drops_those_that_this_connection_submitted_under() {
    let server = Deskgrid::start_without_engine().await;
    let (mut one, mut two) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    let definition = json!({"image": "a"});
    for namespace in ["a", "b"] {
        one.submit("mine", &definition, &json!({"namespace": namespace})).await;
    }
    two.submit("mine", &definition, &json!({"namespace": "c"})).await;
    two.until_true(|page| {
        page.jobs.get("mine").is_some_and(|job| job["namespaces"] == json!(["a", "b", "c"]))
    })
    .await;
    one.end("mine", "Cancelled", None).await;
    two.until_true(|page| page.jobs["mine"]["namespaces"] == json!(["c"])).await;
    assert_eq!(two.jobs["mine"]["state"], "Queued");
    two.end("mine", "Cancelled", None).await;
    for page in [&mut one, &mut two] {
        page.until_true(|page| page.jobs.is_empty() && page.frames.len() > 2).await;
    }
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
}

#[tokio::test]
async fn a_connection_that_submitted_nothing_stands_for_the_shared_namespace() {
    let server = Deskgrid::start_without_engine().await;
    let (mut one, mut other) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    one.submit("named", &json!({"image": "a"}), &json!({"namespace": "a"})).await;
    one.submit("shared", &json!({"image": "b"}), &json!({})).await;
    other.until_true(|page| page.jobs.len() == 2).await;
    other.end("named", "Cancelled", None).await;
    other.end("shared", "Cancelled", None).await;
    other.until_true(|page| !page.jobs.contains_key("shared")).await;
    assert_eq!(other.jobs["named"]["namespaces"], json!(["a"]));
}

#[tokio::test]
async fn a_cancel_may_leave_out_its_own_type_and_name_all_namespaces() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    for namespace in ["a", "b"] {
        page.submit("mine", &json!({"image": "a"}), &json!({"namespace": namespace})).await;
    }
    page.until("mine", "Queued").await;
    let value = json!({"reason": "Cancelled", "time": 1, "namespace": "*", "message": "enough"});
    page.send("StateChange", json!({"tag": "api", "state": "Finished", "job": "mine", "value": value})).await;
    page.until_true(|page| page.jobs.is_empty()).await;
}

#[tokio::test]
async fn a_cancelled_running_job_is_gone_at_once_and_so_is_its_container() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("mine", &shell(&format!("echo up; sleep 300; : {}", unique())), &json!({})).await;
    page.next_of("JobStatusPayload").await;
    let mut events = server.engine().events(&server).await;
    page.end("mine", "Cancelled", None).await;
    page.until_true(|page| page.jobs.is_empty()).await;
    events.until("destroy", "mine").await;
    let record = server.get_json("/j/mine.json").await["data"]["results"].take();
    assert_eq!((&record["state"], &record["finishedReason"]), (&json!("Finished"), &json!("Cancelled")));
    assert_eq!(record.get("finished"), None, "a cancelled job has no result");
}

#[tokio::test]
async fn a_deleted_job_loses_its_result_and_runs_again_when_submitted_again() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid; : {}", unique()));
    page.submit("mine", &definition, &json!({"namespace": "n"})).await;
    page.until("mine", "Finished").await;
    let first = server.get_json("/j/mine/result.json").await["data"].take();
    page.end("mine", "Deleted", Some("other")).await;
    page.ping().await;
    assert_eq!(server.get_json("/j/mine/result.json").await["data"], first, "another namespace holds it");

    page.end("mine", "Deleted", Some("n")).await;
    page.until_true(|page| page.jobs.is_empty()).await;
    for path in ["result.json", "definition.json"] {
        assert_eq!(server.get_json(&format!("/j/mine/{path}")).await, json!({"data": null}), "{path}");
    }
    assert_eq!(server.get("/j/mine/run-logs.json").await.0, 404);
    page.submit("mine", &definition, &json!({"namespace": "n"})).await;
    page.until("mine", "Finished").await;
    let again = server.get_json("/j/mine/result.json").await["data"].take();
    assert_ne!(log_text(&first), log_text(&again));
}

#[tokio::test]
async fn a_running_job_that_is_deleted_stops_and_leaves_nothing() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("mine", &shell(&format!("echo up; sleep 300; : {}", unique())), &json!({})).await;
    page.next_of("JobStatusPayload").await;
    let mut events = server.engine().events(&server).await;
    page.end("mine", "Deleted", None).await;
    events.until("destroy", "mine").await;
    assert_eq!(server.get_json("/j/mine/definition.json").await, json!({"data": null}));
    assert_eq!(server.get("/j/mine.json").await.0, 404);
}
