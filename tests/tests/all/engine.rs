//! The container engine stops, crashes, comes back or is not there at all: jobs wait, and none is lost.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use deskgrid_tests::user::OrdinaryUser;
use deskgrid_tests::{
    BUSYBOX, Deskgrid, EngineClient, Options, Page, PrivateEngine, deskgrid, eventually, log_text, shell,
    unique,
};
use serde_json::{Value, json};

async fn serve(engine: &PrivateEngine, args: &[&str]) -> Deskgrid {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Deskgrid::start_with(Options { args, docker_host: Some(engine.host()), ..Options::default() }).await
}

/// A job whose first run does not end by itself, and whose second one does.
fn done_at_the_second_run() -> Value {
    let flag = format!("/job-cache/{}", unique());
    shell(&format!(
        "if [ -e {flag} ]; then echo second run; echo done > /outputs/done; exit; fi; \
         touch {flag}; trap 'exit 1' TERM; echo first run; sleep 1000 & wait"
    ))
}

/// Reads frames until the page was told that there is a worker, or that there is none.
async fn until_workers(page: &mut Page, count: usize) {
    page.until_true(|page| {
        let last = page.frames.iter().rfind(|frame| frame["type"] == "Workers");
        last.is_some_and(|frame| frame["payload"]["workers"].as_array().is_some_and(|all| all.len() == count))
    })
    .await;
}

async fn submit(page: &mut Page, definition: &Value) -> String {
    let id = unique();
    page.submit(&id, definition, &json!({})).await;
    page.until_true(|page| page.jobs.contains_key(&id)).await;
    id
}

/// What `deskgrid status` shows.
async fn status(server: &Deskgrid) -> String {
    let status = deskgrid(&["status", "--server", &server.address]).await;
    assert_eq!(status.code, 0, "{}", status.stderr);
    println!("{}", status.stdout);
    status.stdout
}

#[tokio::test]
async fn jobs_wait_while_the_engine_is_stopped_and_run_when_it_is_back() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(&engine, &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    until_workers(&mut page, 1).await;
    assert!(status(&server).await.contains("is ready, with"));
    engine.stop().await;
    until_workers(&mut page, 0).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(submit(&mut page, &shell(&format!("echo {}", unique()))).await);
    }
    assert!(ids.iter().all(|id| page.jobs[id]["state"] == "Queued"), "{:?}", page.jobs);
    let shown = status(&server).await;
    assert!(shown.contains(&engine.host()) && shown.contains("Start that engine"), "{shown}");
    assert!(shown.contains("0 running, 3 queued"), "{shown}");
    engine.start().await;
    for id in ids {
        let record = page.until(&id, "Finished").await;
        assert_eq!(record["finishedReason"], "Success");
        assert_eq!(page.states_seen(&id), ["Queued", "Running", "Finished"]);
    }
    until_workers(&mut page, 1).await;
}

#[tokio::test]
async fn a_job_that_an_engine_took_down_when_it_was_stopped_runs_again_before_those_behind_it() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(&engine, &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    let first = submit(&mut page, &done_at_the_second_run()).await;
    let second = submit(&mut page, &shell(&format!("echo {}", unique()))).await;
    server.until_said(&first, "first run").await;
    engine.stop().await;
    page.until(&first, "Queued").await;
    engine.start().await;
    page.until(&second, "Finished").await;
    assert_eq!(page.jobs[&first]["finishedReason"], "Success");
    assert_eq!(page.states_seen(&first), ["Queued", "Running", "Queued", "Running", "Finished"]);
    assert_eq!(page.states_seen(&second), ["Queued", "Running", "Finished"]);
    let finished = server.finished(&first).await;
    assert_eq!(log_text(&finished), "second run\n", "the log is that of the run that counts");
    assert_eq!(server.output(&finished, "done").await, b"done\n");
    until_no_containers(&engine, &server).await;
}

#[tokio::test]
async fn a_job_whose_engine_was_killed_runs_again_and_ends() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(&engine, &["--cpus", "1"]).await;
    let mut page = Page::open(&server, "local").await;
    let id = submit(&mut page, &done_at_the_second_run()).await;
    server.until_said(&id, "first run").await;
    engine.kill().await;
    until_workers(&mut page, 0).await;
    engine.start().await;
    let record = page.until(&id, "Finished").await;
    assert_eq!(record["finishedReason"], "Success", "{record}");
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), "second run\n");
    assert_eq!(server.output(&finished, "done").await, b"done\n");
    until_no_containers(&engine, &server).await;
}

async fn until_no_containers(engine: &PrivateEngine, server: &Deskgrid) {
    let (client, worker) = (engine.client(), server.worker_id());
    eventually("no container is left", async || {
        client.labelled(deskgrid_tests::engine::WORKER_LABEL, &worker).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_comes_after_the_server_is_found() {
    let engine = PrivateEngine::new();
    let server = serve(&engine, &[]).await;
    let mut page = Page::open(&server, "local").await;
    until_workers(&mut page, 0).await;
    let id = submit(&mut page, &shell(&format!("echo {}", unique()))).await;
    assert_eq!(page.jobs[&id]["state"], "Queued");
    let shown = status(&server).await;
    assert!(shown.contains("does not answer") && shown.contains(&engine.host()), "{shown}");
    engine.start().await;
    until_workers(&mut page, 1).await;
    let record = page.until(&id, "Finished").await;
    // This engine has no images and no network: the job ends with words instead of waiting for ever.
    assert_eq!(record["finishedReason"], "Error");
    let finished = server.finished(&id).await;
    let words = finished["finished"]["result"]["error"].as_str().expect("words").to_owned();
    println!("{words}");
    assert!(words.contains("registry cannot be reached"), "{words}");
    engine.make_busybox().await;
    page.submit(&id, &server.get_json(&format!("/j/{id}/definition.json")).await["data"], &json!({})).await;
    page.until_true(|page| page.jobs[&id]["finishedReason"] == "Success").await;
}

#[tokio::test]
async fn an_engine_that_does_not_let_this_user_in_is_told_as_that() {
    let Some(user) = OrdinaryUser::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
    let socket = folder.path().join("docker.sock");
    // The socket of an engine of others: whether it still answers does not matter.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600)).expect("ours");
    let docker_host = Some(format!("unix://{}", socket.display()));
    let server = Deskgrid::start_with(Options { docker_host, ..user.options() }).await;
    eventually("the state of the engine is known", async || {
        server.get_json("/q/local/status").await["engine"]["state"] == "engine-no-permission"
    })
    .await;
    let shown = status(&server).await;
    assert!(shown.contains("this user may not use it") && shown.contains("usermod -aG docker"), "{shown}");
}

#[tokio::test]
async fn a_job_whose_container_someone_removed_runs_again() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let id = submit(&mut page, &done_at_the_second_run()).await;
    server.until_said(&id, "first run").await;
    let container = server.engine().container_of(&id).await;
    server.engine().remove(container["Id"].as_str().expect("an id")).await;
    let record = page.until(&id, "Finished").await;
    assert_eq!(record["finishedReason"], "Success", "{record}");
    assert_eq!(log_text(&server.finished(&id).await), "second run\n");
}

/// Makes a network with the name of that of the jobs, beside any other, and returns its id.
async fn made_network(client: &EngineClient) -> String {
    let network = json!({"Name": "metaframe-container-worker-network", "Driver": "bridge"});
    let (status, answer) = client.post("/networks/create", &network).await;
    assert_eq!(status, 201, "an engine of API 1.43 or older makes it: {answer}");
    answer["Id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn of_two_networks_of_the_same_name_the_one_that_a_container_is_in_stays_and_jobs_run() {
    let engine = PrivateEngine::with_busybox().await;
    let client = engine.client();
    let used = made_network(&client).await;
    let container = json!({"Image": BUSYBOX, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": used}});
    let (status, answer) = client.post("/containers/create", &container).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["Id"].as_str().unwrap();
    let (status, answer) = client.post(&format!("/containers/{id}/start"), &json!({})).await;
    assert_eq!(status, 204, "{answer}");
    // The other one has to be that which would stay if both were free.
    loop {
        let other = made_network(&client).await;
        if other < used {
            break;
        }
        assert_eq!(client.delete(&format!("/networks/{other}")).await, 204);
    }
    let server = serve(&engine, &[]).await;
    let finished = server.run(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_network_of_the_same_name_costs_no_job_and_none_of_its_output() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(&engine, &[]).await;
    server.run(&shell(&format!("echo {}", unique()))).await;
    made_network(&engine.client()).await;
    let id = server.submit(&shell(&format!("echo hello {}; sleep 1000", unique()))).await;
    server.until_said(&id, "hello").await;
}
