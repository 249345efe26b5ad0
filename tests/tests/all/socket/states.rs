//! A job's way as a page sees it: every state, live lines between them, and nothing made up by others.

use deskgrid_tests::{Deskgrid, Page, log_text, shell, unique};
use serde_json::{Value, json};

/// The place of the first frame that tells of the job in this state.
fn place_of(page: &Page, id: &str, state: &str) -> usize {
    let is_it = |frame: &Value| frame["payload"]["state"]["jobs"][id]["state"] == state;
    page.frames.iter().position(is_it).unwrap_or_else(|| panic!("{state} was not seen"))
}

/// The live lines of a job as (place of the frame, step, line).
fn live_lines(page: &Page, id: &str) -> Vec<(usize, String, Value)> {
    let frames = page.frames.iter().enumerate();
    let live =
        frames.filter(|(_, frame)| frame["type"] == "JobStatusPayload" && frame["payload"]["jobId"] == id);
    live.flat_map(|(place, frame)| {
        let step = frame["payload"]["step"].as_str().expect("a step").to_owned();
        let lines = frame["payload"]["logs"].as_array().expect("lines").clone();
        lines.into_iter().map(move |line| (place, step.clone(), line))
    })
    .collect()
}

#[tokio::test]
async fn queued_running_and_finished_are_seen_one_after_the_other() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let control = json!({"namespace": "n"});
    page.submit("mine", &shell(&format!("echo {}", unique())), &control).await;
    let finished = page.until("mine", "Finished").await;
    assert_eq!(page.states_seen("mine"), ["Queued", "Running", "Finished"]);
    let records: Vec<_> =
        page.frames.iter().filter_map(|frame| frame["payload"]["state"]["jobs"].get("mine")).collect();
    let worker = server.worker_id();
    for record in &records {
        assert_eq!((&record["queuedTime"], &record["namespaces"]), (&finished["queuedTime"], &json!(["n"])));
        let shown = if record["state"] == "Queued" { "" } else { worker.as_str() };
        assert_eq!(record["worker"], shown, "{record}");
        assert_eq!(record.get("finishedReason").is_some(), record["state"] == "Finished", "{record}");
    }
    assert!(records.windows(2).all(|pair| pair[0]["time"].as_u64() <= pair[1]["time"].as_u64()));
    assert_eq!(finished["finishedReason"], "Success");
}

#[tokio::test]
async fn live_lines_come_only_while_the_page_knows_the_job_as_running() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let script = format!("seq 50; echo oops >&2; sleep 0.5; seq 51 100; : {}", unique());
    page.submit("mine", &shell(&script), &json!({})).await;
    page.until("mine", "Finished").await;
    page.ping().await;
    let lines = live_lines(&page, "mine");
    let (running, finished) = (place_of(&page, "mine", "Running"), place_of(&page, "mine", "Finished"));
    assert!(
        lines.iter().all(|(place, ..)| (running..finished).contains(place)),
        "{running} {lines:?} {finished}"
    );
    let run: Vec<_> = lines.iter().filter(|(_, step, _)| step == "Running").map(|(.., line)| line).collect();
    let text = |is_stderr: bool| -> String {
        let lines = run.iter().filter(|line| line[2].as_bool().unwrap_or_default() == is_stderr);
        lines.filter_map(|line| line[0].as_str()).collect()
    };
    let wanted = (1..=100).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
    assert_eq!((text(false), text(true)), (wanted, "oops\n".to_owned()));
    assert!(run.iter().all(|line| line[1].is_u64()));
}

#[tokio::test]
async fn a_page_that_comes_late_sees_the_running_job_and_the_lines_from_then_on() {
    let server = Deskgrid::start_with_cpus(2).await;
    let sign = format!("/job-cache/{}", unique());
    let script =
        format!("echo early; until [ -e {sign} ]; do sleep 0.05; done; rm {sign}; echo late; sleep 300");
    let id = server.submit(&shell(&script)).await;
    server.until_said(&id, "early").await;
    let mut page = Page::open(&server, "local").await;
    assert_eq!(page.next_of("JobStates").await["payload"]["state"]["jobs"][&id]["state"], "Running");
    server.submit(&shell(&format!("touch {sign}"))).await;
    let frame = page.next_of("JobStatusPayload").await;
    assert_eq!((&frame["payload"]["jobId"], &frame["payload"]["step"]), (&json!(id), &json!("Running")));
    assert_eq!(frame["payload"]["logs"][0][0], "late\n");
}

#[tokio::test]
async fn the_same_submission_every_second_makes_one_job() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid; : {}", unique()));
    for _ in 0..5 {
        page.submit("mine", &definition, &json!({})).await;
    }
    page.until("mine", "Finished").await;
    let first = server.get_json("/j/mine/result.json").await["data"].take();
    page.submit("mine", &definition, &json!({})).await;
    page.ping().await;
    let last = server.get_json("/j/mine/result.json").await["data"].take();
    assert_eq!(log_text(&first), log_text(&last));
    assert_eq!(page.states_seen("mine"), ["Queued", "Running", "Finished"]);
}

#[tokio::test]
async fn a_result_that_a_client_made_up_is_ignored() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.submit("mine", &json!({"image": "a"}), &json!({})).await;
    let record = page.until("mine", "Queued").await;
    let result = json!({"StatusCode": 0, "logs": [["made up", 1]], "outputs": {}});
    for reason in ["Success", "Error", "TimedOut", "WorkerLost", "JobReplacedByClient", ""] {
        let value = json!({"type": "Finished", "reason": reason, "time": 1, "result": result});
        page.send("StateChange", json!({"tag": "", "state": "Finished", "job": "mine", "value": value}))
            .await;
    }
    for state in ["Running", "Removed"] {
        let value = json!({"type": state, "time": 1, "worker": "me", "result": result});
        page.send("StateChange", json!({"tag": "", "state": state, "job": "mine", "value": value})).await;
    }
    page.ping().await;
    assert_eq!(server.get_json("/q/local").await["data"]["mine"], record);
    assert_eq!(server.get_json("/j/mine/result.json").await, json!({"data": null}));
    assert_eq!(page.states_seen("mine"), ["Queued"]);
}

#[tokio::test]
async fn a_time_that_a_client_made_up_does_not_count() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    let value = json!({"type": "Queued", "time": 9_999_999_999_999_u64, "enqueued": {"id": "mine", "definition": {"image": "a"}}});
    page.send("StateChange", json!({"tag": "", "state": "Queued", "job": "mine", "value": value})).await;
    let record = page.until("mine", "Queued").await;
    assert!(record["queuedTime"].as_u64() < Some(9_999_999_999_999), "{record}");
}
