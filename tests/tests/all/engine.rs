//! An engine that comes, goes and comes back: jobs wait, and none is lost.

use deskgrid_tests::command::{command, finish};
use deskgrid_tests::{Deskgrid, Options, Page, PrivateEngine, log_text, shell, unique};
use serde_json::Value;

async fn server_of(engine: &PrivateEngine) -> Deskgrid {
    let options = Options {
        docker_host: Some(engine.host()),
        args: vec!["--cpus".into(), "2".into()],
        ..Options::default()
    };
    Deskgrid::start_with(options).await
}

/// Waits until a page hears of as many workers: none while there is no engine.
async fn until_workers(page: &mut Page, count: usize) {
    let has = |frame: &Value| frame["payload"]["workers"].as_array().is_some_and(|all| all.len() == count);
    page.until_true(|page| {
        let last = page.frames.iter().rev().find(|frame| frame["type"] == "Workers");
        last.is_some_and(has)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_while_the_engine_is_away_and_run_when_it_is_back() {
    let engine = PrivateEngine::with_busybox().await;
    let server = server_of(&engine).await;
    let before = server.run(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(before["finishedReason"], "Success", "{before}");

    let mut page = Page::open(&server, "local").await;
    until_workers(&mut page, 1).await;
    engine.stop().await;
    until_workers(&mut page, 0).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(server.submit(&shell(&format!("echo {}", unique()))).await);
    }
    let jobs = server.get_json("/q/local").await;
    assert!(waiting.iter().all(|id| jobs["data"][id]["state"] == "Queued"), "{jobs}");
    let mut status = command(&["status", "--server", &server.address]);
    status.env("NO_COLOR", "1");
    let status = finish(status).await;
    assert!(status.stdout.contains("went away") || status.stdout.contains("does not answer"), "{status:?}");

    engine.start().await;
    for id in waiting {
        assert_eq!(server.finished(&id).await["finishedReason"], "Success");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_before_its_engine_finds_it_when_it_comes() {
    let engine = PrivateEngine::with_busybox().await;
    engine.stop().await;
    let server = server_of(&engine).await;
    let id = server.submit(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(server.get_json("/q/local").await["data"][&id]["state"], "Queued");
    engine.start().await;
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
}

/// What a job is like whose engine ends while it runs and comes back.
async fn runs_again_after(end: impl AsyncFnOnce(&PrivateEngine)) {
    let engine = PrivateEngine::with_busybox().await;
    let server = server_of(&engine).await;
    let mark = unique();
    // The first run waits for ever, the second finds what the first one left.
    let script = format!(
        "echo began {mark}; if [ -e /job-cache/{mark} ]; then rm /job-cache/{mark}; exit 5; fi; \
         touch /job-cache/{mark}; echo waits; sleep 1000"
    );
    let id = server.submit(&shell(&script)).await;
    server.until_said(&id, "waits").await;
    end(&engine).await;
    engine.start().await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 5, "{finished}");
    assert_eq!(log_text(&finished), format!("began {mark}\n"), "the log is that of the run that counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_engine_is_killed_runs_again() {
    runs_again_after(async |engine| engine.kill().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_engine_is_stopped_runs_again_and_does_not_count_as_ended() {
    runs_again_after(async |engine| engine.stop().await).await;
}
