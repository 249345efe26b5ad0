//! The suites about one or a few plain jobs: basic, URLs, several jobs, a finished job in the queue, cancelling a
//! finished job, workers, webhooks.

use deskgrid_tests::{Deskgrid, Hook, Manner, Page, log_text, unique};
use serde_json::json;

use super::{fraction, id_of, job, kill_all_jobs, poll_list, result, state, submit_until_seen};

/// What the root folder of the image looks like from inside a job.
const LISTING: &str = ".\n..\n.dockerenv\nbin\ndev\netc\nhome\ninputs\njob-cache\noutputs\nproc\nroot\nsbin\nsys\ntmp\nusr\nvar\n";

#[tokio::test]
async fn basic_a_job_sent_over_the_socket_finishes_and_its_log_is_the_listing_of_the_root_folder() {
    let server = Deskgrid::start().await;
    let mut page = Page::open_at(&server.url("/local/client")).await;
    let definition = job(format!("sh -c 'sleep 1.{} && ls -a'", fraction()));
    let id = id_of(&definition);
    submit_until_seen(&mut page, &[(&definition, json!(null))]).await;
    assert_eq!(page.until(&id, "Finished").await["finishedReason"], "Success");
    let result = result(&server, &id).await;
    assert_eq!(log_text(&result), LISTING);
    assert_eq!(result["finished"]["result"]["StatusCode"], 0);
    page.close().await;
}

#[tokio::test]
async fn url_apis_definition_and_result_are_found_under_both_addresses() {
    let server = Deskgrid::start().await;
    let mut page = Page::open_at(&server.url("/local/client")).await;
    let definition = job(format!("sh -c 'sleep 0.0{} && ls -a'", fraction()));
    let id = id_of(&definition);
    submit_until_seen(&mut page, &[(&definition, json!(null))]).await;
    assert_eq!(page.until(&id, "Finished").await["finishedReason"], "Success");
    let result = result(&server, &id).await;
    assert_eq!(
        (log_text(&result).as_str(), &result["finished"]["result"]["StatusCode"]),
        (LISTING, &json!(0))
    );
    for path in [format!("/j/{id}"), format!("/q/local/j/{id}")] {
        let data = server.get_json(&path).await["data"].take();
        assert_eq!(data["definition"], definition);
        assert!(data["results"].is_object(), "{data}");
    }
    page.close().await;
}

#[tokio::test]
async fn multiple_jobs_three_jobs_on_one_socket_all_finish_and_can_be_cancelled_afterwards() {
    let server = Deskgrid::start_with_cpus(2).await;
    let mut page = Page::open(&server, "local").await;
    let numbers: Vec<_> = (0..3).map(|_| format!("0.{}", fraction())).collect();
    let definitions: Vec<_> = numbers.iter().map(|number| job(format!("echo {number}"))).collect();
    let jobs: Vec<_> = definitions.iter().map(|definition| (definition, json!(null))).collect();
    submit_until_seen(&mut page, &jobs).await;
    for (number, definition) in numbers.iter().zip(&definitions) {
        let id = id_of(definition);
        assert_eq!(page.until(&id, "Finished").await["finishedReason"], "Success");
        let result = result(&server, &id).await;
        assert_eq!(result["finished"]["result"]["StatusCode"], 0);
        assert_eq!(log_text(&result).trim(), number);
    }
    page.close().await;
    for definition in &definitions {
        let path = format!("/q/local/j/{}/cancel?message=from-submit-multiple-jobs", id_of(definition));
        assert!(server.post(&path, &json!(null)).await.0 < 400);
    }
}

#[tokio::test]
async fn finished_job_still_in_queue_a_message_sent_once_is_enough() {
    let server = Deskgrid::start().await;
    let mut page = Page::open_at(&server.url("/local/client")).await;
    let definition = job(format!("sh -c 'sleep 1.{} && ls -a'", fraction()));
    let id = id_of(&definition);
    page.submit(&id, &definition, &json!(null)).await;
    let list = poll_list(&server, 500, |list| state(list, &id) == "Finished").await;
    assert_eq!(list[&id]["finishedReason"], "Success");
    assert_eq!(result(&server, &id).await["finished"]["result"]["StatusCode"], 0);
    page.close().await;
}

#[tokio::test]
async fn cancelling_finished_job_is_noop_no_record_ever_says_cancelled() {
    let server = Deskgrid::start().await;
    let mut page = Page::open_at(&server.url("/local/client")).await;
    let definition = job(format!("echo {}", fraction()));
    let id = id_of(&definition);
    submit_until_seen(&mut page, &[(&definition, json!(null))]).await;
    assert_eq!(page.until(&id, "Finished").await["finishedReason"], "Success");
    let value = json!({"type": "Finished", "reason": "Cancelled", "time": 1, "message": "from-test"});
    page.send("StateChange", json!({"tag": "api", "state": "Finished", "job": id, "value": value})).await;
    // All that the cancel could cause comes before these answers.
    page.send("QueryJob", json!({"jobId": id})).await;
    page.next_of("JobStateUpdates").await;
    page.send("QueryJobStates", json!({})).await;
    page.next_of("JobStates").await;
    let reasons = page.frames.iter().map(|frame| &frame["payload"]["state"]["jobs"][&id]["finishedReason"]);
    assert!(reasons.into_iter().all(|reason| reason != "Cancelled"));
    assert_eq!(page.jobs[&id]["finishedReason"], "Success");
}

#[tokio::test]
async fn workers_the_states_are_exactly_queued_running_and_finished() {
    let server = Deskgrid::start().await;
    let mut page = Page::open_at(&server.url("/local/client")).await;
    let text = format!("text-{}", fraction());
    let definition = job(format!("sh -c 'sleep 3 && echo \"{text}\"'"));
    let id = id_of(&definition);
    submit_until_seen(&mut page, &[(&definition, json!(null))]).await;
    let finished = page.until(&id, "Finished").await;
    assert_eq!(finished["finishedReason"], "Success");
    assert!(finished["worker"].is_string(), "{finished}");
    assert_eq!(page.states_seen(&id), ["Queued", "Running", "Finished"]);
    let result = result(&server, &id).await;
    assert_eq!(result["finished"]["result"]["StatusCode"], 0);
    assert_eq!(result["finished"]["result"]["logs"][0][0].as_str().map(str::trim), Some(text.as_str()));
}

#[tokio::test]
async fn webhooks_the_callback_is_posted_with_job_queue_namespace_and_config() {
    let server = Deskgrid::start().await;
    let mut hook = Hook::listen(&[Manner::Answers(200)]).await;
    let mut page = Page::open(&server, "local").await;
    let namespace = unique();
    let payload = json!({"some": "payload", "list": [1, 2]});
    let control = json!({"namespace": namespace, "callbacks": {"queued": {"url": hook.url("/test"), "payload": payload}}});
    let definition = job(format!("echo {}", fraction()));
    submit_until_seen(&mut page, &[(&definition, control)]).await;
    let wanted =
        json!({"jobId": id_of(&definition), "queue": "local", "namespace": namespace, "config": payload});
    assert_eq!(hook.next().await.body, wanted);
    page.close().await;
    kill_all_jobs(&server).await;
}
