//! The engine hangs, is out of reach, dies together with the server, or somebody removes by hand what jobs need.

use std::collections::HashSet;

use deskgrid_tests::crash::work;
use deskgrid_tests::registry::{Picture, Registry};
use deskgrid_tests::user::is_root;
use deskgrid_tests::{Deskgrid, Options, Page, PrivateEngine, eventually, log_text, shell, unique};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

pub(super) async fn serve(host: String, args: &[&str]) -> Deskgrid {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Deskgrid::start_with(Options { args, docker_host: Some(host), ..Options::default() }).await
}

/// Writes a line a tenth of a second, and ends after so many.
pub(super) fn writes(lines: usize) -> (Value, String) {
    let script = format!("i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i + 1)); sleep 0.1; done");
    let text = work::lines(lines, |number| format!("line {number}\n"));
    (shell(&format!("{script}; : {}", unique())), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_holds_nobody_up_and_all_goes_on_when_it_answers_again() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(engine.host(), &["--cpus", "2"]).await;
    let (definition, text) = writes(40);
    let running = server.submit(&definition).await;
    server.until_said(&running, "line 5").await;
    engine.hang().await;
    let waiting = server.submit(&shell(&format!("echo {}", unique()))).await;
    let mut page = Page::open(&server, "local").await;
    page.until(&waiting, "Running").await;
    let key = deskgrid_tests::sha256("meanwhile");
    assert_eq!(server.put(&key, b"meanwhile".to_vec()).await, 200);
    let cancelled = server.submit(&shell(&format!("echo {}", unique()))).await;
    let (_, answer) = server.post(&format!("/q/local/j/{cancelled}/cancel"), &json!({})).await;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(server.get("/health").await.1, b"OK");
    engine.go_on().await;
    assert_eq!(server.finished(&waiting).await["finishedReason"], "Success");
    let finished = server.finished(&running).await;
    assert_eq!((log_text(&finished), &finished["finishedReason"]), (text, &json!("Success")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_went_down_with_the_whole_computer_runs_again() {
    let engine = PrivateEngine::with_busybox().await;
    let mut server = serve(engine.host(), &["--cpus", "1"]).await;
    let mark = unique();
    let id = server
        .submit(&shell(&format!(
            "if [ -e /job-cache/{mark} ]; then echo second run; exit; fi; touch /job-cache/{mark}; echo first run; \
             sleep 1000"
        )))
        .await;
    server.until_said(&id, "first run").await;
    server.kill().await;
    engine.kill().await;
    engine.start().await;
    let container = engine.client().container_of(&id).await;
    assert_eq!(container["State"]["Running"], false, "the engine has taken it down");
    server.start_again().await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    assert_eq!(log_text(&finished), "second run\n");
}

#[tokio::test]
async fn a_container_that_is_removed_again_and_again_fails_the_job_with_words() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    let mut events = server.engine().events(&server).await;
    page.submit(&id, &shell(&format!("sleep 1000; : {id}")), &json!({})).await;
    for _ in 0..4 {
        events.until("start", &id).await;
        let container = server.engine().container_of(&id).await;
        server.engine().remove(container["Id"].as_str().unwrap()).await;
    }
    let record = page.until(&id, "Finished").await;
    assert_eq!(record["finishedReason"], "Error", "{record}");
    let waits = page.states_seen(&id).iter().filter(|state| *state == "Queued").count();
    assert!(waits <= 4, "it is queued again three times at most: {:?}", page.states_seen(&id));
    let finished = server.finished(&id).await;
    let words = finished["finished"]["result"]["error"].as_str().unwrap();
    assert!(words.contains("lost 4 times") && words.contains("run the job again"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_deleted_between_check_and_use_is_fetched_again() {
    let (registry, server) = (Registry::own().await, Deskgrid::start().await);
    let engine = server.engine();
    let image = format!("{}/{}", registry.address, registry.push(Picture::new()).await);
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/input", elsewhere.local_addr().unwrap());
    let mut definition = shell(&format!("cat /inputs/late; : {}", unique()));
    definition["image"] = json!(image);
    definition["inputs"] = json!({"late": {"type": "url", "value": url}});
    let id = server.submit(&definition).await;
    let (mut download, _) = elsewhere.accept().await.unwrap();
    let path = format!("/images/{image}/json");
    eventually("the image is there", async || engine.has(&path).await).await;
    let shown = format!("/api/jobs/{id}");
    let door = deskgrid_tests::Door::of(&server.data());
    eventually("the job knows that it is", async || is_left(&door.get(&shown).await, "image")).await;
    engine.remove_image(&image).await;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhere\n";
    download.write_all(answer).await.unwrap();
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), "here\n", "{finished}");
    eventually("nothing uses the image", async || {
        engine.remove_image(&image).await;
        !engine.has(&path).await
    })
    .await;
}

/// Whether a job as the window sees it has come to the end of this stage.
fn is_left(job: &Value, stage: &str) -> bool {
    let stages = job["timeline"].as_array().unwrap_or_else(|| panic!("{job}"));
    stages.iter().any(|one| one["name"] == stage && !one["end"].is_null())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_and_a_volume_that_somebody_removed_are_made_again() {
    let engine = PrivateEngine::with_busybox().await;
    let server = serve(engine.host(), &[]).await;
    let job = || shell(&format!("echo kept >/job-cache/file; echo {}", unique()));
    server.run(&job()).await;
    let client = engine.client();
    let both = ["/networks/metaframe-container-worker-network", "/volumes/metaframe-container-worker-cache"];
    // The container that uses them is removed first.
    for one in both {
        eventually("it can be removed", async || {
            client.delete(one).await;
            !client.has(one).await
        })
        .await;
    }
    let finished = server.run(&job()).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    for one in both {
        assert!(client.has(one).await, "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_disk_is_full_is_told_as_that_and_the_job_runs_when_there_is_room() {
    if !is_root() {
        return;
    }
    let engine = PrivateEngine::on_disk_of("100m").await;
    engine.start().await;
    engine.make_busybox().await;
    let server = serve(engine.host(), &[]).await;
    let ballast = engine.disk().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    // Until there is no room, which is an error.
    let filled = std::io::copy(&mut std::io::repeat(0), &mut file);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let definition = shell(&format!("echo {}", unique()));
    let finished = server.run(&definition).await;
    let words = finished["finished"]["result"]["error"].as_str().unwrap_or_else(|| panic!("{finished}"));
    assert!(words.contains("disk is full") && words.contains("docker system prune"), "{words}");
    drop(file);
    std::fs::remove_file(ballast).unwrap();
    let finished = server.run(&definition).await;
    assert_eq!(finished["finishedReason"], "Success", "an error of this computer is no answer: {finished}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_sweeps_our_containers_and_nothing_that_merely_looks_like_them() {
    let mut server = Deskgrid::start().await;
    let (engine, worker) = (server.engine(), server.worker_id());
    // It sweeps more than once.
    server.kill().await;
    let name = unique();
    let labels = |worker: Option<&str>, job: &str| {
        let mut labels =
            json!({"container.mtfm.io": "true", "container.mtfm.io/id": job, "deskgrid.run": "1"});
        if let Some(worker) = worker {
            labels["container.mtfm.io/worker"] = json!(worker);
        }
        labels
    };
    let longer = format!("{worker}0");
    let strangers = [labels(None, "no-worker"), labels(Some(&longer), "longer"), labels(Some(""), "empty")];
    let ours = [labels(Some(&worker), "created"), labels(Some(&worker), "running")];
    let mut kept = Vec::new();
    for (place, labels) in strangers.iter().chain(&ours).enumerate() {
        let body = json!({"Image": deskgrid_tests::BUSYBOX, "Cmd": ["/bin/sleep", "1000"], "Labels": labels});
        let (status, made) = engine.post("/containers/create", &body).await;
        assert_eq!(status, 201, "{made}");
        let id = made["Id"].as_str().unwrap().to_owned();
        if labels["container.mtfm.io/id"] == "running" {
            engine.post(&format!("/containers/{id}/start"), &json!({})).await;
        }
        kept.extend((place < strangers.len()).then_some(id));
    }
    let (network, volume) =
        (format!("metaframe-container-worker-network-{name}"), format!("deskgrid-job-cache-{name}"));
    engine.post("/networks/create", &json!({"Name": network, "Internal": true})).await;
    engine.post("/volumes/create", &json!({"Name": volume, "Labels": {"deskgrid.job-cache": ""}})).await;
    let mut events = engine.events(&server).await;
    server.start_again().await;
    events.until_all("destroy", HashSet::from(["created".to_owned(), "running".to_owned()])).await;
    for id in &kept {
        assert!(engine.has(&format!("/containers/{id}/json")).await, "it is none of ours");
        engine.remove(id).await;
    }
    assert_eq!(engine.delete(&format!("/networks/{network}")).await, 204, "it was left alone");
    assert_eq!(engine.delete(&format!("/volumes/{volume}")).await, 204, "a cache is no orphan");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_the_engine_makes_after_the_sweep_does_not_stay() {
    let mut server = Deskgrid::start().await;
    let labels = json!({"container.mtfm.io/worker": server.worker_id(), "container.mtfm.io/id": "late", "deskgrid.run": "1"});
    let (engine, done) = (server.engine(), server.run(&shell(&format!("echo {}", unique()))).await);
    assert_eq!(done["finishedReason"], "Success", "the first sweep is over");
    server.kill().await;
    server.start_again().await;
    let done = server.run(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(done["finishedReason"], "Success");
    let mut events = engine.events(&server).await;
    let body = json!({"Image": deskgrid_tests::BUSYBOX, "Cmd": ["/bin/sleep", "1000"], "Labels": labels});
    assert_eq!(engine.post("/containers/create", &body).await.0, 201);
    events.until("destroy", "late").await;
}
