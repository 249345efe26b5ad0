//! The engine is out of reach for a while, also right between a request and its answer, or another one answers in its
//! place: what runs goes on, and nothing runs twice.

use deskgrid_tests::crash::record::stream_texts;
use deskgrid_tests::crash::work::lines;
use deskgrid_tests::relay::Relay;
use deskgrid_tests::server::test_engine;
use deskgrid_tests::{Deskgrid, EngineClient, Page, PrivateEngine, log_text, shell, unique, until_told};
use serde_json::{Value, json};

use super::engine::serve;
use crate::restart::{go_on, in_two_halves};

/// A server that reaches its engine through a relay, a page that watches it, and a job that has written some lines.
struct Behind {
    relay: Relay,
    server: Deskgrid,
    page: Page,
    id: String,
}

impl Behind {
    async fn writing() -> Self {
        let mut relay = Relay::to(&test_engine().expect("the set-up names an engine"));
        relay.open();
        let server = serve(relay.host(), &["--cpus", "1"]).await;
        let page = Page::open(&server, "local").await;
        let id = server.submit(&writes_on()).await;
        server.until_said(&id, "line 10").await;
        Self { relay, server, page, id }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_loss_or_repetition_when_its_engine_was_out_of_reach() {
    let Behind { mut relay, server, mut page, id } = Behind::writing().await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.open();
    goes_on_as_if_nothing_was(&server, page, &id).await;
}

/// Reads until the last that the page was told is that there are so many workers.
async fn until_workers(page: &mut Page, count: usize) {
    page.until_true(|page| {
        let last = page.frames.iter().rfind(|frame| frame["type"] == "Workers");
        last.is_some_and(|frame| frame["payload"]["workers"].as_array().is_some_and(|all| all.len() == count))
    })
    .await;
}

/// Writes a line a tenth of a second until it is told to end.
fn writes_on() -> Value {
    let script = "i=0; while :; do echo line $i; i=$((i + 1)); sleep 0.1; done";
    shell(&format!("trap 'exit 0' USR1; {script}; : {}", unique()))
}

/// Sees that a job of [`writes_on`] that `page` watches runs once, and that each of its lines is told once.
async fn goes_on_as_if_nothing_was(server: &Deskgrid, mut page: Page, id: &str) {
    until_workers(&mut page, 1).await;
    server.engine().tell(id).await;
    page.until(id, "Finished").await;
    assert_eq!(page.states_seen(id), ["Queued", "Running", "Finished"], "it ran once");
    let finished = server.finished(id).await;
    let text = lines(log_text(&finished).lines().count(), |number| format!("line {number}\n"));
    assert_eq!((log_text(&finished), &finished["finishedReason"]), (text.clone(), &json!("Success")));
    let told = page.frames.iter().filter(|frame| frame["type"] == "JobStatusPayload");
    let told: String = told.map(|frame| stream_texts(&frame["payload"]["logs"])[0].clone()).collect();
    assert_eq!(told, text, "a page that watches is told of no line twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_when_its_engine_is_out_of_reach_again_right_when_it_is_asked_about_it() {
    let Behind { mut relay, server, mut page, id } = Behind::writing().await;
    let container = server.engine().container_of(&id).await["Id"].as_str().unwrap().to_owned();
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.keep_answers_to(Some(&format!("/containers/{container}/json")));
    relay.open();
    // By the run, and by whoever looks for what an earlier life left.
    relay.until_answered(2).await;
    until_workers(&mut page, 1).await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.keep_answers_to(None);
    relay.open();
    goes_on_as_if_nothing_was(&server, page, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_meanwhile_is_collected_when_its_engine_goes_again_while_it_is_taken_over() {
    let host = test_engine().expect("the set-up names an engine");
    let mut relay = Relay::to(&host);
    relay.open();
    let mut server = serve(relay.host(), &["--cpus", "1"]).await;
    let engine = EngineClient::new(&host);
    let mut events = engine.events(&server).await;
    let id = server.submit(&until_told("echo begun", "echo done >/outputs/done; exit 3")).await;
    server.until_said(&id, "begun").await;
    server.kill().await;
    engine.tell(&id).await;
    events.until("die", &id).await;
    relay.close().await;
    relay.keep_answers_to(Some("/networks/bridge HTTP"));
    relay.open();
    server.start_again().await;
    let mut page = Page::open(&server, "local").await;
    relay.until_answered(1).await;
    until_workers(&mut page, 1).await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.keep_answers_to(None);
    relay.open();
    page.until(&id, "Finished").await;
    assert_eq!(page.states_seen(&id), ["Running", "Finished"], "it is not run again");
    let finished = server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 3, "{finished}");
    assert_eq!(server.output(&finished, "done").await, b"done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_start_the_engine_never_confirmed_is_over_before_the_next_one_begins() {
    let host = test_engine().expect("the set-up names an engine");
    let mut relay = Relay::to(&host);
    relay.keep_answers_to(Some("/start HTTP"));
    relay.open();
    let server = serve(relay.host(), &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    let mut events = EngineClient::new(&host).events(&server).await;
    let flag = format!("/job-cache/{}", unique());
    let script = format!("if [ -e {flag} ]; then echo second run; exit; fi; touch {flag}; sleep 1000");
    let id = server.submit(&shell(&script)).await;
    relay.until_answered(1).await;
    events.until("start", &id).await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    page.ping().await;
    assert_eq!(page.jobs[&id]["state"], "Running", "nobody knows that it does not run, so it does not wait");
    relay.keep_answers_to(None);
    relay.open();
    let (what, _) = events.next_among(&["die", "create"]).await;
    assert_eq!(what, "die", "the first run has to end before there is a second");
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), "second run\n", "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_right_when_its_engine_gets_out_of_reach_is_not_run_again() {
    let mut relay = Relay::to(&test_engine().expect("the set-up names an engine"));
    relay.open();
    let (server, other) = (serve(relay.host(), &["--cpus", "1"]).await, Deskgrid::start().await);
    let mut page = Page::open(&server, "local").await;
    let mark = unique();
    let id = server.submit(&in_two_halves(&mark)).await;
    server.until_said(&id, "first").await;
    // It is asked once more after a container has ended.
    relay.keep_answers_to(Some("/version"));
    go_on(&other, &mark).await;
    relay.until_answered(1).await;
    relay.close().await;
    relay.keep_answers_to(None);
    relay.open();
    page.until(&id, "Finished").await;
    assert_eq!(page.states_seen(&id), ["Queued", "Running", "Finished"], "it ran once");
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), format!("first {mark}\nsecond {mark}\n"));
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4, "{finished}");
    assert_eq!(server.output(&finished, "file").await, b"result\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_loss_or_repetition_when_its_engine_is_upgraded_under_it() {
    let engine = PrivateEngine::that_leaves_containers_alone().await;
    let server = serve(engine.host(), &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    let id = server.submit(&writes_on()).await;
    server.until_said(&id, "line 10").await;
    let before = engine.process();
    engine.stop().await;
    until_workers(&mut page, 0).await;
    engine.start().await;
    assert_ne!(engine.process(), before);
    goes_on_as_if_nothing_was(&server, page, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_engine_was_replaced_by_another_at_the_same_socket_runs_again_there() {
    let (first, second) =
        (PrivateEngine::with_busybox().await, test_engine().expect("the set-up names an engine"));
    let mut relay = Relay::to(&first.host());
    relay.open();
    let server = serve(relay.host(), &["--cpus", "1"]).await;
    let other = Deskgrid::start().await;
    let mark = unique();
    other.run(&shell(&format!("touch /job-cache/{mark}"))).await;
    let mut page = Page::open(&server, "local").await;
    let script = format!(
        "if [ -e /job-cache/{mark} ]; then echo second engine; exit; fi; echo first engine; sleep 1000"
    );
    let id = server.submit(&shell(&script)).await;
    server.until_said(&id, "first engine").await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.lead_to(&second);
    relay.open();
    page.until(&id, "Finished").await;
    assert_eq!(page.states_seen(&id), ["Queued", "Running", "Queued", "Running", "Finished"]);
    assert_eq!(log_text(&server.finished(&id).await), "second engine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_cancelled_job_is_free_although_the_engine_never_said_that_its_container_ended() {
    let host = test_engine().expect("the set-up names an engine");
    let mut relay = Relay::to(&host);
    relay.keep_answers_to(Some("/kill?"));
    relay.open();
    let server = serve(relay.host(), &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    let mut events = EngineClient::new(&host).events(&server).await;
    let id = server.submit(&shell(&format!("echo begun {}; sleep 1000", unique()))).await;
    server.until_said(&id, "begun").await;
    let (_, answer) = server.post(&format!("/q/local/j/{id}/cancel"), &json!({})).await;
    assert_eq!(answer["success"], true, "{answer}");
    relay.until_answered(1).await;
    let next = server.submit(&shell(&format!("echo {}", unique()))).await;
    relay.close().await;
    until_workers(&mut page, 0).await;
    relay.keep_answers_to(None);
    relay.open();
    assert_eq!(server.finished(&next).await["finishedReason"], "Success");
    events.until("destroy", &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_starts_before_what_an_earlier_life_left_in_the_engine_is_gone() {
    const LEFT: usize = 4;
    let host = test_engine().expect("the set-up names an engine");
    let (mut relay, engine) = (Relay::to(&host), EngineClient::new(&host));
    let server = serve(relay.host(), &["--cpus", "1"]).await;
    let id = server.submit(&shell(&format!("echo {}", unique()))).await;
    for run in 0..LEFT {
        let labels = json!({"container.mtfm.io": "true", "container.mtfm.io/id": id,
            "container.mtfm.io/worker": server.worker_id(), "deskgrid.run": format!("9{run}")});
        let body = json!({"Image": deskgrid_tests::BUSYBOX, "Cmd": ["/bin/sleep", "1000"], "Labels": labels});
        let (status, made) = engine.post("/containers/create", &body).await;
        assert_eq!(status, 201, "{made}");
        engine.post(&format!("/containers/{}/start", made["Id"].as_str().unwrap()), &json!({})).await;
    }
    let mut events = engine.events(&server).await;
    relay.open();
    for _ in 0..LEFT {
        let (what, _) = events.next_among(&["destroy", "create"]).await;
        assert_eq!(what, "destroy", "what was left has to go first");
    }
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
}
