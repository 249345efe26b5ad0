//! One job by its address: definition, result, inputs and outputs, and its cancellation.

use deskgrid_tests::{BUSYBOX, Deskgrid, Events, Page, Raw, log_text, sha256, shell, unique};
use serde_json::{Value, json};

#[tokio::test]
async fn a_waiting_job_has_its_definition_word_for_word_and_no_result_yet() {
    let server = Deskgrid::start_without_engine().await;
    let text = r#"{ "image" : "a",  "x": 1.0, "command":"\u0065cho" }"#;
    let request = Raw::new("POST", "/q/local").body(format!(r#"{{"id": "one", "definition": {text}}}"#));
    assert_eq!(request.send(&server).await.status, 200);
    for prefix in ["", "/q/local"] {
        let read = async |path: &str| {
            let (status, body) = server.get(&format!("{prefix}/j/one{path}")).await;
            assert_eq!(status, 200, "{prefix} {path}");
            String::from_utf8(body).unwrap()
        };
        assert_eq!(read("/definition.json").await, format!(r#"{{"data":{text}}}"#));
        assert_eq!(read("").await, format!(r#"{{"data":{{"definition":{text}}}}}"#));
        assert_eq!(read(".json").await, read("").await);
        for result in ["/result.json", "/results.json"] {
            assert_eq!(read(result).await, r#"{"data":null}"#);
        }
    }
    assert_eq!(server.get_json("/q/local/j/one/namespaces.json").await, json!({"data": ["_"]}));
}

#[tokio::test]
async fn of_an_unknown_job_every_route_says_so_in_its_own_way() {
    let server = Deskgrid::start_without_engine().await;
    for prefix in ["", "/q/local"] {
        for path in ["", ".json", "/build-logs.json", "/run-logs.json", "/stream"] {
            let (status, body) = server.get(&format!("{prefix}/j/unknown{path}")).await;
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &body["error"]), (404, &json!("Job not found")), "{prefix} {path}");
        }
        for path in ["/definition.json", "/result.json", "/results.json"] {
            let answer = server.get_json(&format!("{prefix}/j/unknown{path}")).await;
            assert_eq!(answer, json!({"data": null}), "{prefix} {path}");
        }
        for path in ["/inputs/a.txt", "/outputs/a/b.txt"] {
            let answer = Raw::new("GET", &format!("{prefix}/j/unknown{path}")).send(&server).await;
            assert_eq!(answer.status, 404, "{prefix} {path}");
            assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{}", answer.head);
        }
    }
    assert_eq!(server.get("/q/local/j/unknown/namespaces.json").await.0, 404);
    for path in ["cancel", "cancel?namespace=*", "n/cancel"] {
        let answer = server.post(&format!("/q/local/j/unknown/{path}"), &json!(null)).await;
        assert_eq!(answer, (200, json!({"message": "Job not found"})), "{path}");
    }
}

#[tokio::test]
async fn a_finished_job_tells_its_result_in_full() {
    let server = Deskgrid::start().await;
    let script =
        "echo out; echo err >&2; mkdir -p /outputs/a/b; cat /inputs/d/in.txt > /outputs/a/b/out.txt; exit 3";
    let mut definition = shell(script);
    definition["inputs"] = json!({"d/in.txt": {"value": unique()}});
    let id = server.submit(&definition).await;
    let result = server.finished(&id).await;

    let hash = sha256(definition["inputs"]["d/in.txt"]["value"].as_str().unwrap());
    let finished = &result["finished"];
    for (name, value) in [("state", "Finished"), ("finishedReason", "Success")] {
        assert_eq!(result[name], value);
    }
    assert_eq!((&finished["type"], &finished["reason"]), (&json!("Finished"), &json!("Success")));
    assert_eq!((&finished["time"], &finished["worker"]), (&result["time"], &result["worker"]));
    assert_ne!(result["worker"], "");
    let outcome = &finished["result"];
    assert_eq!((&outcome["StatusCode"], &outcome["isTimedOut"]), (&json!(3), &json!(false)));
    assert!(outcome["duration"].is_u64() && outcome.get("error").is_none(), "{outcome}");
    let url = format!("{}/f/{hash}", server.address);
    assert_eq!(outcome["outputs"], json!({"a/b/out.txt": {"type": "url", "value": url, "hash": hash}}));
    let mut lines: Vec<_> = outcome["logs"].as_array().unwrap().iter().collect();
    lines.sort_by_key(|line| line[0].as_str());
    assert_eq!((&lines[0][0], &lines[0][2]), (&json!("err\n"), &json!(true)));
    assert_eq!((&lines[1][0], lines[1].get(2)), (&json!("out\n"), None));
    assert!(lines[0][1].is_u64(), "{outcome}");

    for prefix in ["", "/q/local"] {
        let whole = server.get_json(&format!("{prefix}/j/{id}")).await;
        assert_eq!(whole, json!({"data": {"definition": definition, "results": result}}));
        assert_eq!(server.get_json(&format!("{prefix}/j/{id}.json")).await, whole);
        for path in ["result.json", "results.json"] {
            assert_eq!(server.get_json(&format!("{prefix}/j/{id}/{path}")).await["data"], result);
        }
    }
    let listed = server.get_json("/q/local").await["data"][&id].take();
    assert_eq!((&listed["state"], listed.get("finished")), (&json!("Finished"), None));
}

#[tokio::test]
async fn inputs_and_outputs_are_served_by_their_paths_with_a_type_by_their_name() {
    let server = Deskgrid::start().await;
    let stored = unique();
    let key = sha256(&stored);
    server.put(&key, stored.clone().into_bytes()).await;
    let mut definition = shell("cp -r /inputs/. /outputs");
    definition["inputs"] = json!({
        "text.txt": {"value": "hello ü"},
        "a/b/data.json": {"value": {"x": [1, 2]}, "type": "json"},
        "bytes.bin": {"value": "AAH/", "type": "base64"},
        "table.csv": {"value": format!("http://example.org:1/f/{key}"), "type": "url"},
        "named": {"value": key, "type": "key"},
    });
    definition["configFiles"] = json!({"run.html": {"value": "<p>"}});
    let id = server.submit(&definition).await;
    let result = server.finished(&id).await;
    assert_eq!(result["finished"]["result"]["StatusCode"], 0, "{result}");
    let files: [(&str, &[u8], &str); 6] = [
        ("text.txt", "hello ü".as_bytes(), "text/plain; charset=utf-8"),
        ("a/b/data.json", br#"{"x":[1,2]}"#, "application/json"),
        ("bytes.bin", b"\x00\x01\xff", "application/octet-stream"),
        ("table.csv", stored.as_bytes(), "text/csv; charset=utf-8"),
        ("named", stored.as_bytes(), "application/octet-stream"),
        ("run.html", b"<p>", "text/html; charset=utf-8"),
    ];
    for prefix in ["", "/q/local"] {
        for (name, bytes, kind) in files {
            for folder in ["inputs", "outputs"] {
                let path = format!("{prefix}/j/{id}/{folder}/{name}");
                let answer = Raw::new("GET", &path).send(&server).await;
                assert_eq!((answer.status, answer.body.as_slice()), (200, bytes), "{path}");
                assert_eq!(answer.header("content-type"), Some(kind), "{path}");
                assert_eq!(answer.header("content-length"), Some(bytes.len().to_string().as_str()), "{path}");
                let disposition = answer.header("content-disposition").unwrap();
                assert!(disposition.starts_with("attachment"), "{path} {disposition}");
            }
        }
        for path in ["inputs/none.txt", "outputs/none.txt", "outputs/a/b", "inputs/a/b/none.json"] {
            let answer = Raw::new("GET", &format!("{prefix}/j/{id}/{path}")).send(&server).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.text().contains(path.split_once('/').unwrap().1), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn inputs_can_be_read_before_the_job_has_run() {
    let server = Deskgrid::start_without_engine().await;
    let definition = json!({"image": "a", "inputs": {"a/b.txt": {"value": "early"}}});
    let id = server.submit(&definition).await;
    assert_eq!(server.get(&format!("/j/{id}/inputs/a/b.txt")).await, (200, b"early".to_vec()));
    assert_eq!(server.get(&format!("/j/{id}/outputs/a/b.txt")).await.0, 404);
}

#[tokio::test]
async fn a_queued_job_is_cancelled_and_leaves_the_list() {
    let server = Deskgrid::start_without_engine().await;
    for (namespace, path) in [
        ("_", "cancel"),
        ("_", "cancel?namespace=_&message=enough"),
        ("n", "cancel?namespace=n"),
        ("n", "n/cancel"),
        ("a b", "cancel?namespace=a%20b"),
        ("a b", "a%20b/cancel"),
        ("*", "cancel?namespace=*"),
    ] {
        let id = unique();
        let held = if namespace == "*" { "n" } else { namespace };
        let body = json!({"id": id, "definition": {"image": "a"}, "control": {"namespace": held}});
        server.post("/q/local", &body).await;
        let answer = server.post(&format!("/q/local/j/{id}/{path}"), &json!(null)).await;
        assert_eq!(answer, (200, json!({"success": true, "jobId": id, "namespace": namespace})), "{path}");
        assert_eq!(server.get_json("/q/local").await, json!({"data": {}}), "{path}");
        assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await, json!({"data": null}), "{path}");
        let again = server.post(&format!("/q/local/j/{id}/{path}"), &json!(null)).await;
        assert_eq!(again, (200, json!({"success": true})), "{path}");
    }
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_its_stream_ends_with_that_word() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo started {}; sleep 300", unique()))).await;
    let mut events = Events::open(&server, &id).await;
    events.until("run-log").await;
    let (status, answer) = server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    assert_eq!(events.until("final").await, json!({"state": "Finished", "reason": "Cancelled"}));
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await, json!({"data": null}));
}

#[tokio::test]
async fn cancelling_a_finished_job_changes_nothing() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo {}", unique()))).await;
    let result = server.finished(&id).await;
    for path in ["cancel", "cancel?namespace=*", "_/cancel"] {
        let answer = server.post(&format!("/q/local/j/{id}/{path}"), &json!(null)).await;
        assert_eq!(answer, (200, json!({"success": true})), "{path}");
    }
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], result);
    assert_eq!(server.get_json("/q/local").await["data"][&id]["finishedReason"], "Success");
}

#[tokio::test]
async fn a_cancel_with_a_namespace_that_is_none_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "a"})).await;
    let answer =
        Raw::new("POST", &format!("/q/local/j/{id}/cancel?namespace=a%0Ab")).body("").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-namespace")));
    assert_eq!(server.get_json("/q/local").await["data"][&id]["state"], "Queued");
}

#[tokio::test]
async fn the_same_definition_is_answered_at_once_from_the_kept_result() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid; : {}", unique()));
    let id = server.submit(&definition).await;
    let first = server.finished(&id).await;
    page.until(&id, "Finished").await;
    assert_eq!(server.submit(&definition).await, id);
    let again = server.finished(&id).await;
    assert_eq!(log_text(&again), log_text(&first));
    assert_eq!(again, first);
    page.ping().await;
    assert_eq!(page.states_seen(&id).iter().filter(|state| *state == "Running").count(), 1);
}

#[tokio::test]
async fn a_job_keeps_the_definition_it_ran_with_whatever_is_submitted_under_its_id_later() {
    let server = Deskgrid::start().await;
    let first = shell(&format!("echo {}", unique()));
    for (definition, namespace) in
        [(&first, "a"), (&json!({"image": "other"}), "a"), (&json!({"image": "other"}), "b")]
    {
        let body = json!({"id": "mine", "definition": definition, "control": {"namespace": namespace}});
        assert_eq!(server.post("/q/local", &body).await.0, 200);
        server.finished("mine").await;
        assert_eq!(server.get_json("/j/mine/definition.json").await["data"], first);
    }
    assert_eq!(server.get_json("/q/local/j/mine/namespaces.json").await["data"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_job_whose_image_cannot_be_had_is_an_error_that_names_it_and_runs_again_when_asked_again() {
    let server = Deskgrid::start().await;
    // Nothing listens on port 1 of this computer.
    let definition = json!({"image": "localhost:1/no/such:image", "command": unique()});
    let id = server.submit(&definition).await;
    let first = server.finished(&id).await;
    assert_eq!(first["finishedReason"], "Error");
    let outcome = &first["finished"]["result"];
    assert_eq!((outcome.get("StatusCode"), &outcome["outputs"]), (None, &json!({})));
    let words = outcome["error"].as_str().expect("words");
    assert!(words.contains("localhost:1/no/such:image"), "{words}");
    let logs = server.get_json(&format!("/q/local/j/{id}/run-logs.json")).await;
    assert_eq!((&logs["data"], &logs["isFinal"]), (&json!([]), &json!(true)));
    server.submit(&definition).await;
    assert!(server.finished(&id).await["time"].as_u64() > first["time"].as_u64());
}

#[tokio::test]
async fn a_job_that_can_never_fit_says_why() {
    let server = Deskgrid::start().await;
    let definition = json!({"image": BUSYBOX, "command": unique(), "requirements": {"cpus": 1000}});
    let result = server.run(&definition).await;
    assert_eq!(result["finishedReason"], "Error");
    let words = result["finished"]["result"]["error"].as_str().expect("words");
    assert!(words.contains("1000") && words.contains("CPU"), "{words}");
}
