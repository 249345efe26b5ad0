//! What only waiting shows: all that happens a minute later is in one test, so that only one minute is waited for.

use deskgrid_tests::{Deskgrid, Hook, Manner, Page, shell, unique};
use serde_json::json;

#[tokio::test]
async fn after_a_minute_a_finished_job_leaves_the_list_and_a_refused_webhook_is_called_again() {
    let mut server = Deskgrid::start().await;
    let mut hook = Hook::listen(&[Manner::Answers(500), Manner::Answers(200)]).await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid; : {}", unique()));
    let callbacks = json!({"finished": {"url": hook.url("/"), "payload": 7}});
    let body = json!({"definition": definition, "control": {"callbacks": callbacks}});
    let id = server.post("/q/local", &body).await.1["jobId"].as_str().expect("an id").to_owned();
    let result = server.finished(&id).await;
    let refused = hook.next().await;
    // Both are remembered, not only waited for.
    server.terminate().await;
    server.start_again().await;
    assert_eq!(server.get_json("/q/local").await["data"][&id]["state"], "Finished");

    let mut page = Page::open(&server, "local").await;
    page.until(&id, "Finished").await;
    assert_eq!(hook.next().await.body, refused.body);
    page.until_true(|page| page.jobs.is_empty()).await;
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], result);

    page.send("QueryJob", json!({"jobId": id})).await;
    let frame = page.next_of("JobStateUpdates").await;
    assert_eq!(frame["payload"]["state"]["jobs"][&id]["finishedReason"], "Success");
    page.jobs.clear();
    page.submit(&id, &definition, &json!({})).await;
    assert_eq!(page.until(&id, "Finished").await["time"], result["time"], "answered from the kept result");
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], result);
    assert!(hook.is_quiet());
}

#[tokio::test]
async fn a_stream_with_nothing_to_tell_shows_that_it_is_alive() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "a"})).await;
    let url = server.url(&format!("/q/local/j/{id}/stream"));
    let mut stream = server.http().get(url).send().await.expect("a stream");
    let mut text = String::new();
    while !text.contains("\n:") {
        let piece = stream.chunk().await.expect("the stream goes on").expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(text.starts_with("event: state\n"), "{text}");
}
