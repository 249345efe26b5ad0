//! Queues and what is told of them: submissions, lists, status, metrics, copies.

use std::collections::BTreeMap;

use deskgrid_tests::{Deskgrid, Page, shell, unique};
use serde_json::{Value, json};

/// A definition that nobody runs here.
fn waiting() -> Value {
    json!({"image": "some/image", "command": unique()})
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_object().expect("a list").keys().cloned().collect()
}

/// The value of one sample of the metrics.
fn sample<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[tokio::test]
async fn health_is_ok_under_both_names() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/health", "/healthz"] {
        assert_eq!(server.get(path).await, (200, b"OK".to_vec()));
    }
}

#[tokio::test]
async fn a_submission_is_answered_with_its_id_and_listed_under_both_paths() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/q/local", "/q/local/j"] {
        let id = unique();
        let (status, answer) = server.post(path, &json!({"id": id, "definition": waiting()})).await;
        assert_eq!((status, answer), (200, json!({"success": true, "jobId": id})));
    }
    let (one, other) = (server.get_json("/q/local").await, server.get_json("/q/local/j").await);
    assert_eq!(one, other);
    assert_eq!(ids(&one).len(), 2);
}

#[tokio::test]
async fn a_job_without_an_id_is_named_by_the_hash_of_its_definition() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "alpine:3.18.5", "command": "echo hello"})).await;
    assert_eq!(id, "c192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55");
}

#[tokio::test]
async fn a_queued_job_is_listed_with_exactly_the_members_of_a_record() {
    let server = Deskgrid::start_without_engine().await;
    let definition = json!({"image": "a", "requirements": {"cpus": 0.5}, "tags": ["t"]});
    let submission = json!({"id": "one", "definition": definition, "debug": true});
    server.post("/q/local", &submission).await;
    let record = server.get_json("/q/local").await["data"]["one"].take();
    let time = record["time"].as_u64().expect("milliseconds");
    assert!(time > 1_500_000_000_000, "{record}");
    let wanted = json!({"queuedTime": time, "state": "Queued", "time": time, "worker": "", "namespaces": ["_"],
        "requirements": {"cpus": 0.5}, "tags": ["t"], "debug": true});
    assert_eq!(record, wanted);
}

#[tokio::test]
async fn any_queue_name_makes_a_queue_of_its_own() {
    let server = Deskgrid::start_without_engine().await;
    for queue in ["local", "other", "my%20queue%20%C3%BC", "a%2Fb"] {
        let (status, _) = server.post(&format!("/q/{queue}"), &json!({"definition": waiting()})).await;
        assert_eq!(status, 200, "{queue}");
        assert_eq!(ids(&server.get_json(&format!("/q/{queue}")).await).len(), 1, "{queue}");
    }
    assert_eq!(server.get_json("/q/never-used").await, json!({"data": {}}));
    let (status, answer) = server.post("/q/a%0Ab", &json!({"definition": waiting()})).await;
    assert_eq!((status, &answer["code"]), (400, &json!("bad-queue-name")));
}

#[tokio::test]
async fn the_status_document_tells_of_jobs_worker_and_clients_at_once() {
    let server = Deskgrid::start_with_cpus(1).await;
    let mut page = Page::open(&server, "local").await;
    let (running, queued) =
        (server.submit(&shell(&sleeper())).await, server.submit(&shell(&sleeper())).await);
    page.until(&running, "Running").await;
    page.until(&queued, "Queued").await;

    let status = server.get_json("/q/local/status").await;
    assert_eq!(status["jobs"], json!({&running: {"state": "Running"}, &queued: {"state": "Queued"}}));
    assert_eq!((&status["otherServers"], &status["clientCount"]), (&json!({}), &json!(1)));
    let workers: BTreeMap<String, Value> = serde_json::from_value(status["localWorkers"].clone()).unwrap();
    let (id, worker) = workers.first_key_value().expect("one worker");
    assert_eq!((workers.len(), &worker["id"]), (1, &json!(id)));
    assert_eq!(
        (&worker["cpus"], &worker["gpus"], &worker["maxJobDuration"]),
        (&json!(1), &json!(0), &json!("1h"))
    );
    assert!(worker["time"].is_u64(), "{worker}");
    assert_eq!(worker["queue"], json!({&running: {"jobId": running, "finished": false}}));
    let info = &status["queueInfo"];
    let mut words: Vec<_> = info["jobStates"].as_array().unwrap().iter().map(Value::to_string).collect();
    words.sort();
    assert_eq!(words, ["\"Queued\"", "\"Running\""]);
    for (name, value) in [
        ("address", json!("local")),
        ("jobCount", json!(2)),
        ("localWorkerCount", json!(1)),
        ("otherWorkerCount", json!(0)),
        ("clientCount", json!(1)),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    assert!(info["serverId"].is_string(), "{info}");
    assert_eq!(server.get_json("/q/unused/status").await["jobs"], json!({}));
}

#[tokio::test]
async fn the_metrics_count_unfinished_jobs_and_more() {
    let server = Deskgrid::start_without_engine().await;
    let read = async |path: &str| {
        let answer = server.http().get(server.url(path)).send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"), "{path}");
        answer.text().await.unwrap()
    };
    assert_eq!(sample(&read("/metrics").await, "queue_length"), "0");
    let id = server.submit(&waiting()).await;
    server.put("data", b"12345".to_vec()).await;
    let _page = Page::open(&server, "local").await;
    for path in ["/metrics", "/q/local/metrics", "/local/metrics"] {
        let text = read(path).await;
        assert!(text.contains("# TYPE queue_length gauge"), "{text}");
        for (name, value) in [
            ("queue_length", "1"),
            ("deskgrid_jobs{state=\"queued\"}", "1"),
            ("deskgrid_jobs{state=\"running\"}", "0"),
            ("deskgrid_engine_ready", "0"),
            ("deskgrid_sockets", "1"),
            ("deskgrid_uploads_total", "1"),
            ("deskgrid_uploaded_bytes_total", "5"),
        ] {
            assert_eq!(sample(&text, name), value, "{path} {name}");
        }
    }
    server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    assert_eq!(sample(&read("/metrics").await, "queue_length"), "0");
}

#[tokio::test]
async fn a_job_can_be_copied_to_another_queue_and_namespace() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&waiting()).await;
    let body = json!({"queue": "other", "control": {"namespace": "n"}});
    let (status, answer) = server.post(&format!("/j/{id}/copy"), &body).await;
    assert_eq!((status, answer), (200, json!({"success": true, "jobId": id})));
    for (queue, namespace) in [("local", "_"), ("other", "n")] {
        let record = server.get_json(&format!("/q/{queue}")).await["data"][&id].take();
        assert_eq!(
            (&record["state"], &record["namespaces"]),
            (&json!("Queued"), &json!([namespace])),
            "{queue}"
        );
        let namespaces = server.get_json(&format!("/q/{queue}/j/{id}/namespaces.json")).await;
        assert_eq!(namespaces, json!({"data": [namespace]}), "{queue}");
    }
    server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    assert_eq!(ids(&server.get_json("/q/local").await), Vec::<String>::new());
    assert_eq!(ids(&server.get_json("/q/other").await), [id]);
}

#[tokio::test]
async fn a_copy_of_a_finished_job_is_answered_from_its_result() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo {}", unique()))).await;
    let first = server.finished(&id).await;
    let (status, _) = server.post(&format!("/j/{id}/copy"), &json!({"queue": "other"})).await;
    assert_eq!(status, 200);
    let record = server.get_json("/q/other").await["data"][&id].take();
    assert_eq!((&record["state"], &record["time"]), (&json!("Finished"), &first["time"]));
}

#[tokio::test]
async fn a_copy_needs_a_queue_and_a_known_job() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&waiting()).await;
    for body in
        [json!({}), json!({"queue": ""}), json!({"queue": 5}), json!([]), json!({"queue": "a", "control": 1})]
    {
        let (status, answer) = server.post(&format!("/j/{id}/copy"), &body).await;
        assert!(status == 400 && answer["error"].is_string(), "{body}: {status} {answer}");
    }
    let (status, answer) = server.post("/j/unknown/copy", &json!({"queue": "other"})).await;
    assert_eq!((status, &answer["error"]), (404, &json!("Job not found")));
}

fn sleeper() -> String {
    format!("sleep 300; echo {}", unique())
}
