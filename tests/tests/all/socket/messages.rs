//! What is sent when, and what is answered to what.

use deskgrid_tests::{Deskgrid, Page, shell, unique};
use serde_json::{Value, json};

/// A definition that nobody runs here.
fn waiting() -> Value {
    json!({"image": "some/image", "command": unique()})
}

fn jobs(frame: &Value) -> Vec<&str> {
    frame["payload"]["state"]["jobs"].as_object().expect("jobs").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn on_connect_the_workers_come_first_and_the_whole_queue_second() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&waiting()).await;
    let mut page = Page::open(&server, "local").await;
    let workers = page.next().await;
    assert_eq!(workers, json!({"type": "Workers", "payload": {"workers": []}}), "nobody without an engine");
    let states = page.next().await;
    assert_eq!((&states["type"], &states["payload"]["isSubset"]), (&json!("JobStates"), &json!(false)));
    assert_eq!(jobs(&states), [&id]);
    assert_eq!(states["payload"]["state"]["jobs"][&id]["namespaces"], json!(["_"]));
}

#[tokio::test]
async fn the_worker_is_described_as_soon_as_the_engine_is_ready() {
    let args = ["--cpus", "3", "--max-job-duration", "90m", "--id", "my-worker"];
    let server = Deskgrid::start_with_args(&args).await;
    let mut page = Page::open(&server, "local").await;
    let has_one = |page: &Page| page.frames.iter().any(|frame| frame["payload"]["workers"][0].is_object());
    page.until_true(has_one).await;
    assert_eq!(page.frames[0]["type"], "Workers");
    let workers = page.frames.iter().rev().find(|frame| frame["type"] == "Workers").expect("workers");
    let worker = &workers["payload"]["workers"][0];
    assert!(worker["version"].is_string() && worker["time"].is_u64(), "{worker}");
    for (name, value) in [
        ("id", json!("my-worker")),
        ("cpus", json!(3)),
        ("gpus", json!(0)),
        ("maxJobDuration", json!("1h30m")),
    ] {
        assert_eq!(worker[name], value, "{name}");
    }
}

#[tokio::test]
async fn query_job_finds_a_job_in_the_queue() {
    let server = Deskgrid::start_without_engine().await;
    let (id, _other) = (server.submit(&waiting()).await, server.submit(&waiting()).await);
    let mut page = Page::open(&server, "local").await;
    page.next_of("JobStates").await;
    page.send("QueryJob", json!({"jobId": id})).await;
    let frame = page.next().await;
    assert_eq!((&frame["type"], &frame["payload"]["isSubset"]), (&json!("JobStateUpdates"), &json!(true)));
    assert_eq!(jobs(&frame), [&id]);
    assert_eq!(frame["payload"]["state"]["jobs"][&id]["state"], "Queued");
}

#[tokio::test]
async fn query_job_finds_a_kept_result_that_this_queue_does_not_list() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo {}", unique()))).await;
    let result = server.finished(&id).await;
    let mut page = Page::open(&server, "other").await;
    assert_eq!(jobs(&page.next_of("JobStates").await), Vec::<&str>::new());
    page.send("QueryJob", json!({"jobId": id})).await;
    let record = page.until(&id, "Finished").await;
    assert_eq!((&record["finishedReason"], &record["time"]), (&json!("Success"), &result["time"]));
    assert!(record.get("finished").is_none(), "results are fetched: {record}");
}

#[tokio::test]
async fn query_job_of_a_job_that_is_unknown_or_was_cancelled_is_not_answered() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&waiting()).await;
    server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    let mut page = Page::open(&server, "local").await;
    page.next_of("JobStates").await;
    for id in [id.as_str(), "unknown", ""] {
        page.send("QueryJob", json!({"jobId": id})).await;
    }
    page.send_text("PING").await;
    assert_eq!(page.next_text().await.as_deref(), Some("PONG"));
}

#[tokio::test]
async fn query_job_states_gets_the_whole_queue() {
    let server = Deskgrid::start_without_engine().await;
    let mut ids = [server.submit(&waiting()).await, server.submit(&waiting()).await];
    ids.sort();
    let mut page = Page::open(&server, "local").await;
    page.next_of("JobStates").await;
    for payload in [json!({}), json!(null)] {
        page.send("QueryJobStates", payload).await;
        let frame = page.next().await;
        assert_eq!((&frame["type"], &frame["payload"]["isSubset"]), (&json!("JobStates"), &json!(false)));
        let mut listed = jobs(&frame);
        listed.sort_unstable();
        assert_eq!(listed, ids);
    }
}

#[tokio::test]
async fn a_new_job_is_told_as_a_change_alone_and_only_in_its_queue() {
    let server = Deskgrid::start_without_engine().await;
    server.submit(&waiting()).await;
    let (mut page, mut other) = (Page::open(&server, "local").await, Page::open(&server, "other").await);
    page.next_of("JobStates").await;
    other.next_of("JobStates").await;
    let mut sender = Page::open(&server, "local").await;
    sender.submit("mine", &waiting(), &json!({})).await;
    let frame = page.next().await;
    assert_eq!((&frame["type"], &frame["payload"]["isSubset"]), (&json!("JobStateUpdates"), &json!(true)));
    assert_eq!(jobs(&frame), ["mine"]);
    sender.until("mine", "Queued").await;
    other.send_text("PING").await;
    assert_eq!(other.next_text().await.as_deref(), Some("PONG"));
}

#[tokio::test]
async fn a_burst_of_jobs_comes_in_fewer_frames_than_jobs_and_each_job_once() {
    let server = Deskgrid::start_without_engine().await;
    let (mut page, mut sender) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    page.next_of("JobStates").await;
    for number in 0..200 {
        sender.submit(&format!("job-{number}"), &waiting(), &json!({})).await;
    }
    page.until_true(|page| page.jobs.len() == 200).await;
    let updates: Vec<_> = page.frames.iter().filter(|frame| frame["type"] == "JobStateUpdates").collect();
    let told: usize = updates.iter().map(|frame| jobs(frame).len()).sum();
    assert_eq!(told, 200);
    assert!(updates.len() < 200, "{} frames", updates.len());
}

#[tokio::test]
async fn a_submission_that_makes_no_sense_is_seen_to_fail_with_words() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("bad", &json!({"image": "a", "inputs": {"../x": {"value": "y"}}}), &json!({})).await;
    assert_eq!(page.until("bad", "Finished").await["finishedReason"], "Error");
    let result = server.get_json("/j/bad/result.json").await["data"].take();
    let words = result["finished"]["result"]["error"].as_str().expect("words");
    assert!(words.contains("inputs[\"../x\"]"), "{words}");
}
