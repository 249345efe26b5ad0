//! Webhooks: a client's own web server is told when its job is queued and when it is over.

use deskgrid_tests::{Deskgrid, Events, Hook, Manner, shell, unique};
use serde_json::{Value, json};

const TAKES_IT: &[Manner] = &[Manner::Answers(204)];

async fn submit(server: &Deskgrid, definition: &Value, callbacks: &Value) -> String {
    let control = json!({"namespace": "n", "callbacks": callbacks});
    let (status, answer) =
        server.post("/q/local", &json!({"definition": definition, "control": control})).await;
    assert_eq!(status, 200, "{answer}");
    answer["jobId"].as_str().expect("an id").to_owned()
}

fn told(id: &str, payload: &Value) -> Value {
    json!({"jobId": id, "queue": "local", "namespace": "n", "config": payload})
}

#[tokio::test]
async fn a_client_is_told_when_its_job_is_queued_and_when_it_is_over() {
    let server = Deskgrid::start().await;
    let (mut queued, mut finished) = (Hook::listen(TAKES_IT).await, Hook::listen(TAKES_IT).await);
    let payload = json!({"deep": [1, {"a": "ü"}], "none": null});
    let callbacks = json!({"queued": {"url": queued.url("/q?x=1"), "payload": payload}, "finished": {"url": finished.url("/f")}});
    let id = submit(&server, &shell(&format!("sleep 300; : {}", unique())), &callbacks).await;
    let call = queued.next().await;
    assert!(call.head.starts_with("POST /q?x=1 HTTP/1.1"), "{}", call.head);
    assert!(call.head.to_lowercase().contains("content-type: application/json"), "{}", call.head);
    assert_eq!(call.body, told(&id, &payload));
    assert!(finished.is_quiet());
    server.post(&format!("/q/local/j/{id}/cancel?namespace=n"), &json!(null)).await;
    assert_eq!(finished.next().await.body, told(&id, &Value::Null));
    assert!(queued.is_quiet());
}

#[tokio::test]
async fn a_repeated_submission_calls_nobody_again() {
    let server = Deskgrid::start_without_engine().await;
    let mut hook = Hook::listen(TAKES_IT).await;
    let definition = json!({"image": "a"});
    let callbacks = json!({"queued": {"url": hook.url("/"), "payload": 1}});
    let id = submit(&server, &definition, &callbacks).await;
    submit(&server, &definition, &callbacks).await;
    let other = submit(&server, &json!({"image": "b"}), &callbacks).await;
    let mut told = [hook.next().await.body, hook.next().await.body].map(|body| body["jobId"].clone());
    let mut wanted = [json!(id), json!(other)];
    told.sort_by_key(ToString::to_string);
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn whoever_submits_a_job_that_others_submitted_before_is_told_of_its_end_too() {
    let server = Deskgrid::start().await;
    let definition = shell(&format!("echo up; sleep 300; : {}", unique()));
    let (mut first, mut second) = (Hook::listen(TAKES_IT).await, Hook::listen(TAKES_IT).await);
    let mut id = String::new();
    for url in [first.url("/"), second.url("/"), second.url("/")] {
        id = submit(&server, &definition, &json!({"finished": {"url": url}})).await;
    }
    server.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!(null)).await;
    assert_eq!(first.next().await.body, told(&id, &Value::Null));
    assert_eq!(second.next().await.body, told(&id, &Value::Null));
    assert!(second.is_quiet(), "the very same callback is called once");
}

#[tokio::test]
async fn a_submission_that_is_answered_from_a_kept_result_is_called_back_at_once() {
    let server = Deskgrid::start().await;
    let definition = shell(&format!("echo {}", unique()));
    let id = submit(&server, &definition, &Value::Null).await;
    server.finished(&id).await;
    let mut hook = Hook::listen(TAKES_IT).await;
    submit(&server, &definition, &json!({"finished": {"url": hook.url("/"), "payload": 1}})).await;
    assert_eq!(hook.next().await.body, told(&id, &json!(1)));
}

#[tokio::test]
async fn the_call_of_a_job_that_ended_right_before_the_server_died_is_made_at_the_next_start() {
    let mut server = Deskgrid::start().await;
    let mut hook = Hook::listen(&[Manner::SaysNothing, Manner::Answers(200)]).await;
    let callbacks = json!({"finished": {"url": hook.url("/"), "payload": 1}});
    let id = submit(&server, &shell(&format!("echo {}", unique())), &callbacks).await;
    assert_eq!(hook.next().await.body, told(&id, &json!(1)));
    server.kill().await;
    server.start_again().await;
    assert_eq!(hook.next().await.body, told(&id, &json!(1)));
}

#[tokio::test]
async fn a_callback_that_is_no_web_address_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    for url in [json!("file:///etc/passwd"), json!(5), json!(null), json!("")] {
        let control = json!({"callbacks": {"finished": {"url": url}}});
        let (status, answer) =
            server.post("/q/local", &json!({"definition": {"image": "a"}, "control": control})).await;
        assert_eq!(status, 400, "{url}");
        assert!(answer["error"].as_str().unwrap().contains("control.callbacks.finished.url"), "{answer}");
    }
}

#[tokio::test]
async fn a_call_that_was_under_way_when_the_server_died_is_made_again_at_the_next_start() {
    let mut server = Deskgrid::start_without_engine().await;
    let mut hook = Hook::listen(&[Manner::SaysNothing, Manner::Answers(200)]).await;
    let callbacks = json!({"queued": {"url": hook.url("/"), "payload": 1}});
    let id = submit(&server, &json!({"image": "a"}), &callbacks).await;
    let first = hook.next().await;
    server.kill().await;
    server.start_again().await;
    let again = hook.next().await;
    assert_eq!((&first.body, &again.body), (&told(&id, &json!(1)), &told(&id, &json!(1))));
}

#[tokio::test]
async fn a_call_that_waits_for_the_end_of_its_job_outlives_the_server() {
    let mut server = Deskgrid::start().await;
    let mut hook = Hook::listen(TAKES_IT).await;
    let callbacks = json!({"finished": {"url": hook.url("/"), "payload": "p"}});
    let id = submit(&server, &shell(&format!("echo up; sleep 300; : {}", unique())), &callbacks).await;
    Events::open(&server, &id).await.until("run-log").await;
    server.kill().await;
    server.start_again().await;
    assert!(hook.is_quiet());
    server.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!(null)).await;
    assert_eq!(hook.next().await.body, told(&id, &json!("p")));
}
