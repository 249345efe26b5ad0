//! The test suites of the existing clients, acted out call by call in their order, with busybox in place of alpine,
//! and one visit of the browser client. Where a suite contradicts the protocol, the protocol counts.
//!
//! The clients themselves ask again after a while; so do these tests, as nothing else is waited for.

mod basic;
mod browser;
mod files;
mod namespaces;

use std::time::Duration;

use deskgrid_tests::{BUSYBOX, Deskgrid, Page};
use serde_json::{Map, Value, json};

/// How a client computes a job's id does not matter here: the server takes the client's word for it.
fn id_of(definition: &Value) -> String {
    deskgrid_tests::sha256(definition.to_string())
}

fn job(command: impl Into<String>) -> Value {
    json!({"image": BUSYBOX, "command": command.into()})
}

/// A part of a second that no other test sleeps.
fn fraction() -> String {
    deskgrid_tests::unique().bytes().filter(u8::is_ascii_digit).map(char::from).collect()
}

/// Sends all submissions each second until the page has heard of every job.
async fn submit_until_seen(page: &mut Page, jobs: &[(&Value, Value)]) {
    loop {
        for (definition, control) in jobs {
            page.submit(&id_of(definition), definition, control).await;
        }
        let all = |page: &Page| jobs.iter().all(|(definition, _)| page.jobs.contains_key(&id_of(definition)));
        if tokio::time::timeout(Duration::from_secs(1), page.until_true(all)).await.is_ok() {
            return;
        }
    }
}

/// The list of the queue, asked for until it is as wanted.
async fn poll_list(
    server: &Deskgrid,
    every: u64,
    is_so: impl Fn(&Map<String, Value>) -> bool,
) -> Map<String, Value> {
    for _ in 0..120_000 / every {
        let list = server.get_json("/q/local").await["data"].take();
        let list = list.as_object().expect("a list").clone();
        if is_so(&list) {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(every)).await;
    }
    panic!("the list never came to be as wanted");
}

fn state<'a>(list: &'a Map<String, Value>, id: &str) -> &'a str {
    list.get(id).and_then(|job| job["state"].as_str()).unwrap_or_default()
}

fn is_live(list: &Map<String, Value>, id: &str) -> bool {
    matches!(state(list, id), "Queued" | "Running")
}

/// The namespaces of a job, sorted; none when it is not listed.
fn namespaces(list: &Map<String, Value>, id: &str) -> Vec<String> {
    let names = list.get(id).and_then(|job| job["namespaces"].as_array()).cloned().unwrap_or_default();
    let mut names: Vec<_> = names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

/// What a suite does at its end: cancels every live job until none is left.
async fn kill_all_jobs(server: &Deskgrid) {
    loop {
        let list = server.get_json("/q/local").await["data"].take();
        let list = list.as_object().expect("a list").clone();
        let live: Vec<_> = list.keys().filter(|id| is_live(&list, id)).collect();
        if live.is_empty() {
            return;
        }
        for id in live {
            let path = format!("/q/local/j/{id}/cancel?namespace=*&message=from-test");
            assert_eq!(server.post(&path, &json!(null)).await.0, 200);
        }
    }
}

/// `result.json` of a job that is over.
async fn result(server: &Deskgrid, id: &str) -> Value {
    let result = server.get_json(&format!("/q/local/j/{id}/result.json")).await["data"].take();
    assert!(result.is_object(), "{result}");
    result
}
