//! A job's lines: from a cursor on, and as a stream of events.

use deskgrid_tests::{Deskgrid, Events, Raw, shell, unique};
use serde_json::{Value, json};

fn texts(slice: &Value) -> Vec<String> {
    let lines = slice["data"].as_array().expect("lines");
    lines.iter().map(|line| line[0].as_str().expect("text").to_owned()).collect()
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| format!("{number}\n")).collect()
}

#[tokio::test]
async fn run_logs_are_given_from_the_asked_line_on() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("seq 5; : {}", unique()))).await;
    server.finished(&id).await;
    for prefix in ["", "/q/local"] {
        for (query, start, lines) in [
            ("", 0, numbers(1..=5)),
            ("?since=0", 0, numbers(1..=5)),
            ("?since=3", 3, numbers(4..=5)),
            ("?since=5", 5, vec![]),
        ] {
            let slice = server.get_json(&format!("{prefix}/j/{id}/run-logs.json{query}")).await;
            assert_eq!(texts(&slice), lines, "{query}");
            for (name, value) in
                [("sliceStart", json!(start)), ("nextCursor", json!(5)), ("isFinal", json!(true))]
            {
                assert_eq!(slice[name], value, "{query} {name}");
            }
            assert!(slice["data"][0].is_null() || slice["data"][0][1].is_u64(), "{slice}");
        }
        let build = server.get_json(&format!("{prefix}/j/{id}/build-logs.json?since=0")).await;
        assert!(build["data"].is_array() && build["isFinal"] == json!(true), "{build}");
    }
}

#[tokio::test]
async fn a_cursor_behind_the_end_gets_nothing_and_a_cursor_that_is_no_number_is_refused() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("seq 2; : {}", unique()))).await;
    server.finished(&id).await;
    for kind in ["run", "build"] {
        let slice = server.get_json(&format!("/q/local/j/{id}/{kind}-logs.json?since=99")).await;
        assert_eq!((&slice["data"], &slice["isFinal"]), (&json!([]), &json!(true)));
        for bad in ["-1", "x", "1.5", "", "1e3", "99999999999999999999"] {
            let path = format!("/q/local/j/{id}/{kind}-logs.json?since={bad}");
            let answer = Raw::new("GET", &path).send(&server).await;
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-cursor")), "{path}");
            assert!(answer.text().contains("since"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn run_logs_grow_while_the_job_runs_and_are_final_only_after_it() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo one; sleep 300; : {}", unique()))).await;
    let mut events = Events::open(&server, &id).await;
    events.until("run-log").await;
    let path = format!("/q/local/j/{id}/run-logs.json");
    let slice = server.get_json(&path).await;
    assert_eq!(
        (texts(&slice), &slice["nextCursor"], &slice["isFinal"]),
        (vec!["one\n".into()], &json!(1), &json!(false))
    );
    server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    events.until("final").await;
    let slice = server.get_json(&format!("{path}?since=1")).await;
    assert_eq!((&slice["data"], &slice["isFinal"]), (&json!([]), &json!(true)));
}

#[tokio::test]
async fn a_waiting_job_has_empty_logs_that_are_not_final() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "a"})).await;
    for kind in ["run", "build"] {
        let slice = server.get_json(&format!("/q/local/j/{id}/{kind}-logs.json?since=0")).await;
        assert_eq!(slice, json!({"data": [], "sliceStart": 0, "nextCursor": 0, "isFinal": false}));
    }
}

#[tokio::test]
async fn the_stream_pushes_states_and_lines_as_they_come_and_closes_after_the_end() {
    let server = Deskgrid::start_with_cpus(2).await;
    // The second line is written only when we have seen the first: all jobs share one folder.
    let sign = format!("/job-cache/{}", unique());
    let script = format!("echo one; until [ -e {sign} ]; do sleep 0.05; done; rm {sign}; echo two >&2");
    let id = server.submit(&shell(&script)).await;
    let mut events = Events::open(&server, &id).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(events.until("run-log").await["lines"][0][0], "one\n");
    server.submit(&shell(&format!("touch {sign}"))).await;
    events.to_end().await;
    assert_eq!(events.text_of("run-log"), "one\ntwo\n");
    let states: Vec<_> =
        events.seen.iter().filter(|(name, _)| name == "state").map(|(_, data)| data.clone()).collect();
    let (finished, before) = states.split_last().expect("states");
    assert_eq!(finished, &json!({"state": "Finished", "reason": "Success"}));
    assert_eq!(before.last(), Some(&json!({"state": "Running"})));
    let (name, last) = events.seen.last().expect("events");
    assert_eq!((name.as_str(), last), ("final", &json!({"state": "Finished", "reason": "Success"})));
    let place = |wanted: &str| events.seen.iter().position(|(name, _)| name == wanted).unwrap();
    let logs: Vec<_> =
        events.seen.iter().filter(|(name, _)| name == "run-log").map(|(_, data)| data).collect();
    assert_eq!((logs.len(), &logs[0]["cursor"], &logs[1]["cursor"]), (2, &json!(1), &json!(2)));
    assert_eq!((&logs[1]["lines"][0][0], &logs[1]["lines"][0][2]), (&json!("two\n"), &json!(true)));
    assert!(place("state") < place("run-log"));
}

#[tokio::test]
async fn the_stream_of_a_finished_job_replays_everything_and_closes() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("seq 12000; : {}", unique()))).await;
    server.finished(&id).await;
    let mut events = Events::open(&server, &id).await;
    events.to_end().await;
    assert_eq!(events.text_of("run-log"), numbers(1..=12000).concat());
    let logs: Vec<_> = events.seen.iter().filter(|(name, _)| name == "run-log").collect();
    assert_eq!(logs.last().unwrap().1["cursor"], 12000);
    assert_eq!(events.seen.last().unwrap().0, "final");
    let without_queue = server.get(&format!("/j/{id}/stream")).await;
    assert!(without_queue.0 == 200 && without_queue.1.ends_with(b"\n\n"), "{}", without_queue.0);
}

#[tokio::test]
async fn the_stream_of_a_failed_job_ends_with_its_reason() {
    let server = Deskgrid::start().await;
    let id = server.submit(&json!({"image": "localhost:1/none", "command": unique()})).await;
    let mut events = Events::open(&server, &id).await;
    assert_eq!(events.until("final").await, json!({"state": "Finished", "reason": "Error"}));
    assert_eq!(events.text_of("run-log"), "");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn the_stream_tells_of_a_job_that_waits() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "a"})).await;
    let mut events = Events::open(&server, &id).await;
    assert_eq!(events.next().await, Some(("state".into(), json!({"state": "Queued"}))));
    server.post(&format!("/q/local/j/{id}/cancel"), &json!(null)).await;
    assert_eq!(events.until("final").await, json!({"state": "Finished", "reason": "Cancelled"}));
    assert_eq!(events.next().await, None);
}
