use deskgrid_tests::relay::Relay;
use deskgrid_tests::server::test_engine;
use deskgrid_tests::{
    Deskgrid, EngineClient, OnSmallDisk, Options, deskgrid, eventually, log_text, shell, unique, until_told,
};

use crate::administration::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_with_the_reason_while_the_data_folder_may_only_be_read_and_run_when_it_is_over() {
    let on = OnSmallDisk::start(&["--cpus", "1"]).await;
    let desk = Desk::of(&on.server);
    let read_only = on.disk.read_only_for_now();
    let id = on.server.submit(&shell(&format!("echo {}; echo kept > /outputs/file", unique()))).await;
    eventually("the job says what it waits for", async || {
        desk.row(&id).await["waiting"]["why"].as_str().is_some_and(|why| why.contains("may only be read"))
    })
    .await;
    let notices = desk.get("/api/desk").await["notices"].clone();
    assert_eq!(notices[0]["code"], "disk-read-only", "{notices}");
    drop(read_only);
    let finished = on.server.finished(&id).await;
    assert_eq!(finished["finishedReason"], "Success", "{finished}");
    assert_eq!(on.server.output(&finished, "file").await, b"kept\n");
    assert_eq!(desk.get("/api/desk").await["notices"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notice_of_a_data_folder_that_may_only_be_read_goes_also_when_no_job_waits_any_more() {
    let on = OnSmallDisk::start(&[]).await;
    let desk = Desk::of(&on.server);
    let read_only = on.disk.read_only_for_now();
    let id = on.server.submit(&shell(&format!("echo {}", unique()))).await;
    until_noticed(&on).await;
    on.server.post(&format!("/q/local/j/{id}/cancel"), &serde_json::json!(null)).await;
    drop(read_only);
    eventually("it is over", async || desk.get("/api/desk").await["notices"] == serde_json::json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_outputs_of_a_job_that_ends_while_the_data_folder_may_only_be_read_are_kept_afterwards() {
    let on = OnSmallDisk::start(&["--cpus", "1"]).await;
    let (other, mark) = (Deskgrid::start().await, unique());
    let mut events = on.server.engine().events(&on.server).await;
    let script = format!(
        "while [ ! -e /job-cache/{mark} ]; do sleep 0.1; done; echo words; echo kept > /outputs/file; exit 4"
    );
    let id = on.server.submit(&shell(&script)).await;
    events.until("start", &id).await;
    let read_only = on.disk.read_only_for_now();
    crate::restart::go_on(&other, &mark).await;
    events.until("die", &id).await;
    until_noticed(&on).await;
    drop(read_only);
    let finished = on.server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4, "{finished}");
    assert_eq!(log_text(&finished), "words\n");
    assert_eq!(on.server.output(&finished, "file").await, b"kept\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_taken_over_and_runs_once_though_the_data_folder_may_only_be_read_in_the_middle_of_it() {
    let host = test_engine().expect("the set-up names an engine");
    let mut relay = Relay::to(&host);
    relay.open();
    let options = Options { docker_host: Some(relay.host()), ..Options::default() };
    let mut on = OnSmallDisk::start_with(200, options).await;
    let engine = EngineClient::new(&host);
    let mut events = engine.events(&on.server).await;
    let definition = until_told("echo begun", "echo over; echo kept > /outputs/file; exit 4");
    let id = on.server.submit(&definition).await;
    on.server.until_said(&id, "begun").await;
    on.server.kill().await;
    engine.tell(&id).await;
    events.until("die", &id).await;
    // What comes before this question needs the disk, and what comes after it.
    relay.keep_answers_to(Some("/networks/bridge HTTP"));
    on.server.start_again().await;
    relay.until_answered(1).await;
    let read_only = on.disk.read_only_for_now();
    relay.close().await;
    relay.keep_answers_to(None);
    relay.open();
    until_noticed(&on).await;
    drop(read_only);
    let finished = on.server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4, "{finished}");
    assert_eq!(log_text(&finished), "begun\nover\n", "it ran once");
    assert_eq!(on.server.output(&finished, "file").await, b"kept\n");
}

async fn until_noticed(on: &OnSmallDisk) {
    let desk = Desk::of(&on.server);
    eventually("it is known", async || desk.get("/api/desk").await["notices"][0]["code"] == "disk-read-only")
        .await;
}

#[tokio::test]
async fn a_data_folder_that_may_not_be_written_to_is_told_as_that_and_left_as_it_is() {
    let mut on = OnSmallDisk::start(&[]).await;
    let done = on.server.run(&shell(&format!("echo {} > /outputs/kept", unique()))).await;
    on.server.terminate().await;
    on.disk.set_read_only(true);
    let (data, settings) = (on.server.data(), on.server.settings());
    let args = [
        "serve",
        "--port",
        "0",
        "--data-directory",
        &data.to_string_lossy(),
        "--config",
        &settings.to_string_lossy(),
    ];
    let outcome = deskgrid(&args).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("Read-only file system") && outcome.stderr.contains("--data-directory"),
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    on.disk.set_read_only(false);
    on.server.start_again().await;
    assert_eq!(on.server.output(&done, "kept").await.last(), Some(&b'\n'));
}
