//! Whose turn it is: CPUs and memory as capacity, first in, first out.

use deskgrid_tests::{Deskgrid, Page, shell, unique};
use serde_json::{Value, json};

/// A job that runs until someone ends it and takes what `requirements` say.
fn endless(requirements: &Value) -> Value {
    let mut definition = shell(&format!("echo ready {}; sleep 1000", unique()));
    definition["requirements"] = requirements.clone();
    definition
}

/// Submits jobs, one for each of `requirements`, in this order.
async fn submit_all(server: &Deskgrid, requirements: &[Value]) -> Vec<String> {
    let mut ids = Vec::new();
    for requirements in requirements {
        ids.push(server.submit(&endless(requirements)).await);
    }
    ids
}

async fn cancel(server: &Deskgrid, id: &str) {
    server.post(&format!("/q/local/j/{id}/cancel"), &json!({})).await;
}

/// Waits until those jobs have started whose place is in `running`, and sees that the others wait.
async fn assert_running(server: &Deskgrid, ids: &[String], running: &[usize]) {
    for place in running {
        server.until_said(&ids[*place], "ready").await;
    }
    let listed = server.get_json("/q/local").await["data"].take();
    for (place, id) in ids.iter().enumerate() {
        let wanted = if running.contains(&place) { "Running" } else { "Queued" };
        assert_eq!(listed[id]["state"], wanted, "job {place} in {listed}");
    }
}

#[tokio::test]
async fn with_two_cpus_two_jobs_run_at_once_and_the_third_waits() {
    let server = Deskgrid::start_with_args(&["--cpus", "2"]).await;
    let ids = submit_all(&server, &[json!({}), json!({}), json!({})]).await;
    assert_running(&server, &ids, &[0, 1]).await;
    cancel(&server, &ids[0]).await;
    server.until_said(&ids[2], "ready").await;
}

#[tokio::test]
async fn parts_of_a_cpu_add_up() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let half = json!({"cpus": 0.5});
    let ids = submit_all(&server, &[half.clone(), half, json!({"cpus": 0.25})]).await;
    assert_running(&server, &ids, &[0, 1]).await;
}

#[tokio::test]
async fn memory_is_capacity_too() {
    let server = Deskgrid::start_with_args(&["--cpus", "2", "--memory", "100m"]).await;
    let needs = |memory: &str| json!({"cpus": 0.25, "memory": memory});
    let ids = submit_all(&server, &[needs("60m"), needs("60m"), needs("40m")]).await;
    // The second does not fit beside the first; the third does.
    assert_running(&server, &ids, &[0, 2]).await;
    cancel(&server, &ids[0]).await;
    server.until_said(&ids[1], "ready").await;
}

#[tokio::test]
async fn a_job_that_can_never_fit_is_an_error_that_says_why() {
    let server = Deskgrid::start_with_args(&["--cpus", "1", "--memory", "1g"]).await;
    for (requirements, words) in [
        (json!({"cpus": 2}), "more CPUs than this computer offers to jobs: 2 wanted, 1 offered"),
        (json!({"memory": "2g"}), "more memory than this computer offers to jobs: 2 GB wanted, 1 GB offered"),
        (json!({"gpus": 1}), "more GPUs than this computer offers to jobs: 1 wanted, 0 offered"),
    ] {
        let finished = server.run(&endless(&requirements)).await;
        assert_eq!(finished["finishedReason"], "Error");
        let error = finished["finished"]["result"]["error"].as_str().expect("words");
        assert!(error.contains(words) && error.contains("Lower the job's requirements"), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_was_too_large_runs_when_the_limit_is_raised_and_it_is_submitted_again() {
    let server = Deskgrid::start_with_args(&["--memory", "1g"]).await;
    std::fs::write(server.settings(), "cpus = 1").expect("written");
    let mut page = Page::open(&server, "local").await;
    page.until_true(|page| workers(page).is_some_and(|workers| workers[0]["cpus"] == 1.0)).await;
    let mut definition = shell(&format!(": {}", unique()));
    definition["requirements"] = json!({"cpus": 1.5});
    let id = server.submit(&definition).await;
    assert_eq!(server.finished(&id).await["finishedReason"], "Error");
    std::fs::write(server.settings(), "cpus = 1.5").expect("written");
    page.until_true(|page| workers(page).is_some_and(|workers| workers[0]["cpus"] == 1.5)).await;
    assert_eq!(server.submit(&definition).await, id);
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
}

/// The workers that the page was told of last.
fn workers(page: &Page) -> Option<&Value> {
    let frame = page.frames.iter().rfind(|frame| frame["type"] == "Workers")?;
    Some(&frame["payload"]["workers"])
        .filter(|workers| workers.as_array().is_some_and(|list| !list.is_empty()))
}

#[tokio::test]
async fn jobs_run_in_the_order_in_which_they_were_submitted() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let mut events = server.engine().events(&server).await;
    let first = server.submit(&endless(&json!({}))).await;
    assert_eq!(events.next_of("create").await, first);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(server.submit(&shell(&format!(": {}", unique()))).await);
    }
    cancel(&server, &first).await;
    for id in waiting {
        assert_eq!(events.next_of("create").await, id);
    }
}

#[tokio::test]
async fn a_small_job_passes_a_big_one_that_does_not_fit_yet() {
    let server = Deskgrid::start_with_args(&["--cpus", "2"]).await;
    let ids = submit_all(&server, &[json!({"cpus": 1}), json!({"cpus": 2}), json!({"cpus": 1})]).await;
    assert_running(&server, &ids, &[0, 2]).await;
    cancel(&server, &ids[0]).await;
    cancel(&server, &ids[2]).await;
    server.until_said(&ids[1], "ready").await;
}

#[tokio::test]
async fn more_cpus_than_the_engine_has_may_be_offered_and_used() {
    let engine =
        deskgrid_tests::EngineClient::new(&deskgrid_tests::server::test_engine().expect("an engine"));
    let cpus = engine.get("/info").await["NCPU"].as_u64().expect("a number") + 1;
    let server = Deskgrid::start_with_args(&["--cpus", &cpus.to_string()]).await;
    let mut definition = shell(&format!(": {}", unique()));
    definition["requirements"] = json!({"cpus": cpus});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finishedReason"], "Success", "{finished}");
}

#[tokio::test]
async fn a_job_that_asks_for_less_memory_than_an_engine_can_limit_runs_all_the_same() {
    let server = Deskgrid::start().await;
    let mut definition = shell(&format!(": {}", unique()));
    definition["requirements"] = json!({"memory": "1m"});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finishedReason"], "Success", "{finished}");
}
