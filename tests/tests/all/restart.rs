//! The program ends and starts again, in good order or not: nothing that was accepted is lost.

use std::time::{SystemTime, UNIX_EPOCH};

use deskgrid_tests::{
    Deskgrid, Door, Events, OnSmallDisk, Options, Page, Raw, eventually, log_text, shell, unique,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Writes a line, waits until a file appears in the shared cache, writes another and an output.
pub(crate) fn in_two_halves(mark: &str) -> Value {
    shell(&format!(
        "echo first {mark}; while [ ! -e /job-cache/{mark} ]; do sleep 0.1; done; rm /job-cache/{mark}; \
         echo second {mark}; echo result > /outputs/file; exit 4"
    ))
}

/// Lets the second half of such a job run.
pub(crate) async fn go_on(server: &Deskgrid, mark: &str) {
    let done = server.run(&shell(&format!("touch /job-cache/{mark}; echo {}", unique()))).await;
    assert_eq!(done["finished"]["result"]["StatusCode"], 0, "{done}");
}

async fn two_cpus() -> Deskgrid {
    Deskgrid::start_with_cpus(2).await
}

async fn is_taken_over_after(end: impl AsyncFnOnce(&mut Deskgrid)) {
    let mut server = two_cpus().await;
    let mark = unique();
    let id = server.submit(&in_two_halves(&mark)).await;
    server.until_said(&id, "first").await;
    let container = server.engine().container_of(&id).await["Id"].clone();
    let stages = async |server: &Deskgrid| {
        let job = Door::of(&server.data()).get(&format!("/api/jobs/{id}")).await;
        job["timeline"].as_array().unwrap().clone()
    };
    let went = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    end(&mut server).await;
    server.start_again().await;
    go_on(&server, &mark).await;
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), format!("first {mark}\nsecond {mark}\n"), "no line is lost or doubled");
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4);
    assert_eq!(server.output(&finished, "file").await, b"result\n");
    assert!(container.is_string(), "it was one container all the time");
    let after = stages(&server).await;
    let names: Vec<_> = after.iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["queued", "run", "collect"], "what the engine knows: {after:?}");
    assert!(after.iter().all(|stage| stage["end"].as_u64() >= stage["start"].as_u64()), "{after:?}");
    let began = after[1]["start"].as_u64().unwrap();
    let is_before = u128::from(began) < went && after[0]["end"].as_u64() <= Some(began);
    assert!(is_before, "it began before we went, at {went}: {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_is_taken_over_after_sigterm() {
    is_taken_over_after(async |server| assert_eq!(server.terminate().await, Some(0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_is_taken_over_after_sigkill() {
    is_taken_over_after(async |server| server.kill().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ended_while_nobody_watched_is_collected() {
    let mut server = two_cpus().await;
    let mark = unique();
    let id = server.submit(&in_two_halves(&mark)).await;
    server.until_said(&id, "first").await;
    let mut other = two_cpus().await;
    let mut events = server.engine().events(&server).await;
    server.kill().await;
    go_on(&other, &mark).await;
    events.until("die", &id).await;
    server.start_again().await;
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), format!("first {mark}\nsecond {mark}\n"));
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4);
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_jobs_and_kept_results_survive() {
    let mut server = Deskgrid::start_with_cpus(1).await;
    let kept = server.run(&shell(&format!("echo {}", unique()))).await;
    let mark = unique();
    let running = server.submit(&in_two_halves(&mark)).await;
    server.until_said(&running, "first").await;
    let queued = server.submit(&shell(&format!("echo {}", unique()))).await;
    server.kill().await;
    server.start_again().await;
    let (_, jobs) = server.get("/q/local").await;
    let jobs: Value = serde_json::from_slice(&jobs).unwrap();
    assert_eq!(jobs["data"][&queued]["state"], "Queued", "{jobs}");
    assert_eq!(jobs["data"][&running]["state"], "Running", "{jobs}");
    assert!(kept["finished"]["result"]["logs"].is_array());
    let mut other = two_cpus().await;
    go_on(&other, &mark).await;
    assert_eq!(server.finished(&queued).await["finishedReason"], "Success");
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_of_ours_are_swept_and_those_of_others_are_left_alone() {
    let mut server = Deskgrid::start().await;
    let worker = server.worker_id();
    let engine = server.engine();
    // It sweeps more than once.
    server.kill().await;
    let stray = |worker: &str| {
        json!({"Image": deskgrid_tests::BUSYBOX, "Cmd": ["/bin/sleep", "1000"],
            "Labels": {"container.mtfm.io": "true", "container.mtfm.io/worker": worker,
                "container.mtfm.io/id": "stray", "deskgrid.run": "1"}})
    };
    let other = unique();
    for owner in [worker.as_str(), other.as_str()] {
        let (status, made) = engine.post("/containers/create", &stray(owner)).await;
        assert_eq!(status, 201, "{made}");
    }
    let mut events = engine.events(&server).await;
    server.start_again().await;
    events.until("destroy", "stray").await;
    let left = engine.labelled("container.mtfm.io/worker", &other).await;
    assert_eq!(left.len(), 1, "the container of another worker stays");
    engine.remove(left[0]["Id"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_settings_file_is_taken_on_without_a_restart() {
    let server = Deskgrid::start_with(Options::default()).await;
    let from = async |origin: &str| {
        let request = server.http().get(server.url("/q/local")).header("origin", origin).send();
        request.await.unwrap().status().as_u16()
    };
    assert_eq!(from("https://mine.example").await, 403);
    let text = "allowed_origins = [\"https://mine.example\"]\nmax_job_duration = \"1s\"\n";
    std::fs::write(server.settings(), text).unwrap();
    let taken_on = "the origin is allowed";
    deskgrid_tests::eventually(taken_on, async || from("https://mine.example").await == 200).await;
    let finished = server.run(&shell(&format!("sleep 1000; echo {}", unique()))).await;
    assert_eq!(finished["finishedReason"], "TimedOut", "{finished}");
}

#[tokio::test]
async fn a_log_that_is_written_all_the_time_is_whole_after_two_restarts() {
    let mut server = Deskgrid::start().await;
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i + 1)); sleep 0.01; done";
    let id = server.submit(&shell(&format!("{script}; : {}", unique()))).await;
    server.until_said(&id, "line 50").await;
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    server.until_said(&id, "line 150").await;
    server.kill().await;
    server.start_again().await;
    let finished = server.finished(&id).await;
    let expected = (0..500).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
    assert_eq!(log_text(&finished), expected);
    let log = server.get_json(&format!("/j/{id}/run-logs.json")).await;
    assert_eq!((&log["nextCursor"], &log["isFinal"]), (&json!(500), &json!(true)));
}

#[tokio::test]
async fn stopping_says_goodbye_to_open_connections_and_ends_well() {
    let mut server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo ready {}; sleep 1000", unique()))).await;
    server.until_said(&id, "ready").await;
    let (mut page, mut events) = (Page::open(&server, "local").await, Events::open(&server, &id).await);
    assert_eq!(server.terminate().await, Some(0));
    while page.next_text().await.is_some() {}
    events.to_end().await;
    assert!(!server.log().contains("did not stop in time"), "{}", server.log());
    assert_eq!(server.engine().container_of(&id).await["State"]["Running"], true);
}

#[tokio::test]
async fn the_time_limit_counts_from_the_containers_start_and_not_from_the_servers() {
    let mut server = Deskgrid::start().await;
    let mut definition = shell(&format!("echo ready {}; sleep 1000", unique()));
    definition["maxDuration"] = json!("2s");
    let id = server.submit(&definition).await;
    server.until_said(&id, "ready").await;
    server.kill().await;
    server.start_again().await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finishedReason"], "TimedOut", "{finished}");
    assert!(log_text(&finished).starts_with("ready"), "{finished}");
}

#[tokio::test]
async fn a_job_can_be_cancelled_after_its_container_was_taken_over() {
    let mut server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo ready {}; sleep 1000", unique()))).await;
    server.until_said(&id, "ready").await;
    server.kill().await;
    let mut events = server.engine().events(&server).await;
    server.start_again().await;
    server.post(&format!("/q/local/j/{id}/cancel"), &json!({})).await;
    events.until("destroy", &id).await;
    crate::outputs::until_cleared(&server).await;
}

#[tokio::test]
async fn an_upload_that_is_under_way_when_the_server_is_told_to_stop_comes_to_its_end() {
    // In memory: how long a disk takes is not what this is about.
    let mut on = OnSmallDisk::start_with(200, Options::without_engine()).await;
    let server = &mut on.server;
    let address = server.address.trim_start_matches("http://").to_owned();
    let half = Raw::new("PUT", "/f/half").header("Content-Length", 4).bare_body("on");
    let mut upload = half.send_and_stay(server).await;
    eventually("the upload is taken up", async || {
        String::from_utf8_lossy(&server.get("/metrics").await.1).contains("\ndeskgrid_uploads_under_way 1\n")
    })
    .await;
    let rest = async {
        eventually("the port is closed", async || TcpStream::connect(&address).await.is_err()).await;
        upload.write_all(b"ce").await.expect("the connection stays open");
        let mut answer = String::new();
        upload.read_to_string(&mut answer).await.expect("it ends in good order");
        answer
    };
    let (code, answer) = tokio::join!(server.terminate(), rest);
    assert_eq!(code, Some(0));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
