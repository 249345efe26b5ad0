//! Cancelling and deleting jobs: what becomes of the container, the result and the next run.

use deskgrid_tests::{Deskgrid, Events, Page, shell, unique};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::outputs::until_cleared;

/// A job that runs until someone ends it.
fn endless() -> Value {
    shell(&format!("echo ready {}; sleep 1000", unique()))
}

async fn cancel(server: &Deskgrid, id: &str) {
    let (status, answer) = server.post(&format!("/q/local/j/{id}/cancel?message=enough"), &json!({})).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
}

/// Everything that is known of a job that was cancelled: that it was.
async fn assert_cancelled(server: &Deskgrid, id: &str) {
    let mut events = Events::open(server, id).await;
    assert_eq!(events.until("final").await["reason"], "Cancelled");
    assert!(server.get_json("/q/local").await["data"].get(id).is_none());
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], Value::Null);
}

#[tokio::test]
async fn a_queued_job_that_is_cancelled_never_gets_a_container() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let mut events = server.engine().events(&server).await;
    let running = server.submit(&endless()).await;
    assert_eq!(events.next_of("create").await, running);
    let waiting = server.submit(&endless()).await;
    let next = server.submit(&endless()).await;
    let mut page = Page::open(&server, "local").await;
    page.until(&waiting, "Queued").await;
    cancel(&server, &waiting).await;
    page.until_true(|page| !page.jobs.contains_key(&waiting)).await;
    assert_cancelled(&server, &waiting).await;
    cancel(&server, &running).await;
    assert_eq!(events.next_of("create").await, next);
}

#[tokio::test]
async fn a_running_job_that_is_cancelled_loses_its_container_and_its_folders() {
    let server = Deskgrid::start().await;
    let mut events = server.engine().events(&server).await;
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &endless(), &json!({"namespace": "slot"})).await;
    page.until(&id, "Running").await;
    server.until_said(&id, "ready").await;
    // As the browser does it: without a namespace.
    page.end(&id, "Cancelled", None).await;
    page.until_true(|page| !page.jobs.contains_key(&id)).await;
    events.until("destroy", &id).await;
    assert_cancelled(&server, &id).await;
    until_cleared(&server).await;
}

#[tokio::test]
async fn cancelling_a_finished_job_changes_nothing() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo kept; : {}", unique()))).await;
    let before = server.finished(&id).await;
    cancel(&server, &id).await;
    let mut page = Page::open(&server, "local").await;
    page.end(&id, "Cancelled", None).await;
    // Messages of one socket are applied in order, so the answer comes after the cancel.
    page.send("QueryJob", json!({"jobId": id})).await;
    let record = page.until(&id, "Finished").await;
    assert_eq!(record["finishedReason"], "Success");
    assert_eq!(server.finished(&id).await["finished"], before["finished"]);
}

#[tokio::test]
async fn cancelling_an_unknown_job_says_that_there_is_none() {
    let server = Deskgrid::start().await;
    let answer = server.post("/q/local/j/nobody/cancel", &json!({})).await;
    assert_eq!(answer, (200, json!({"message": "Job not found"})));
}

pub(crate) async fn outputs_of_a_cancelled_run_are_gone(server: &Deskgrid) {
    let flag = format!("/job-cache/{}", unique());
    let definition = shell(&format!(
        "if [ ! -e {flag} ]; then touch {flag}; echo old | tee /outputs/old; sleep 1000; fi; \
         rm {flag}; ls -A /outputs; echo new | tee /outputs/new"
    ));
    let id = server.submit(&definition).await;
    server.until_said(&id, "old").await;
    cancel(server, &id).await;
    assert_eq!(server.submit(&definition).await, id);
    let finished = server.finished(&id).await;
    let result = &finished["finished"]["result"];
    let names: Vec<_> = result["outputs"].as_object().expect("outputs").keys().collect();
    assert_eq!(names, ["new"], "{finished}");
    assert_eq!(deskgrid_tests::log_text(&finished), "new\n");
    until_cleared(server).await;
}

#[tokio::test]
async fn outputs_of_a_cancelled_run_do_not_turn_up_in_the_next_one() {
    outputs_of_a_cancelled_run_are_gone(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn deleting_forgets_the_result_and_a_resubmission_runs_again() {
    let server = Deskgrid::start().await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid > /outputs/when; : {}", unique()));
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &definition, &json!({})).await;
    page.until(&id, "Finished").await;
    let first = server.finished(&id).await;
    page.end(&id, "Deleted", None).await;
    page.until_true(|page| !page.jobs.contains_key(&id)).await;
    assert_eq!(server.get(&format!("/j/{id}.json")).await.0, 404);
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], Value::Null);
    assert_eq!(server.get(&format!("/j/{id}/outputs/when")).await.0, 404);
    page.submit(&id, &definition, &json!({})).await;
    page.until(&id, "Finished").await;
    let again = server.finished(&id).await;
    assert_ne!(server.output(&again, "when").await, server.output(&first, "when").await);
}

#[tokio::test]
async fn deleting_a_running_job_ends_its_container_too() {
    let server = Deskgrid::start().await;
    let mut events = server.engine().events(&server).await;
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &endless(), &json!({})).await;
    server_runs(&server, &mut page, &id).await;
    page.end(&id, "Deleted", Some("*")).await;
    events.until("destroy", &id).await;
    page.until_true(|page| !page.jobs.contains_key(&id)).await;
    assert_eq!(server.get(&format!("/j/{id}.json")).await.0, 404);
    until_cleared(&server).await;
}

async fn server_runs(server: &Deskgrid, page: &mut Page, id: &str) {
    page.until(id, "Running").await;
    server.until_said(id, "ready").await;
}

#[tokio::test]
async fn a_job_that_waits_for_its_image_can_be_cancelled() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    // A registry that takes a call and never answers.
    let registry = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let image = format!("{}/{}", registry.local_addr().expect("an address"), unique());
    let id = server.submit(&json!({"image": image})).await;
    let _call = registry.accept().await.expect("the engine calls");
    cancel(&server, &id).await;
    assert_cancelled(&server, &id).await;
    let other = server.run(&shell(&format!(": {}", unique()))).await;
    assert_eq!(other["finishedReason"], "Success", "the CPU is free again");
}

#[tokio::test]
async fn a_job_that_waits_for_an_input_can_be_cancelled() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let web = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut definition = shell(&format!(": {}", unique()));
    let url = format!("http://{}/slow", web.local_addr().expect("an address"));
    definition["inputs"] = json!({"slow": {"type": "url", "value": url}});
    let id = server.submit(&definition).await;
    let _call = web.accept().await.expect("the server calls");
    cancel(&server, &id).await;
    assert_cancelled(&server, &id).await;
    let other = server.run(&shell(&format!(": {}", unique()))).await;
    assert_eq!(other["finishedReason"], "Success", "the CPU is free again");
}
