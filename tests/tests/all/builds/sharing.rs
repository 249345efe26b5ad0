//! One build for all who want it, none where it is done, and none that nobody wants.

use deskgrid_tests::{BUSYBOX, Deskgrid, Page, eventually, log_text, unique};
use serde_json::{Value, json};

use super::{BUILDERS, build_log, has_image, image_of, job, server_with};
use crate::administration::Desk;

/// A block whose build takes until someone ends it; the word is in the command line of its step.
fn endless(word: &str) -> Value {
    json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo begun; : {word}; while true; do sleep 1; done\n")})
}

/// Whether some process of this computer, of a build too, has this word in its command line.
fn is_at_work(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    // The step's own shell, not the server that knows the Dockerfile.
    lines.any(|line| line.starts_with(b"/bin/sh") && String::from_utf8_lossy(&line).contains(word))
}

async fn cancel(server: &Deskgrid, id: &str) {
    server.post(&format!("/q/local/j/{id}/cancel"), &json!({})).await;
}

/// Nothing of the build is left in the engine.
async fn assert_nothing_left(server: &Deskgrid, build: &Value, word: &str) {
    eventually("the step ends", async || !is_at_work(word)).await;
    let has_container = async || {
        let all = server.engine().get("/containers/json?all=true").await;
        all.as_array().unwrap().iter().any(|container| container["Command"].to_string().contains(word))
    };
    eventually("its container goes", async || !has_container().await).await;
    assert!(!has_image(&server.engine(), &image_of(build)).await);
}

#[tokio::test]
async fn a_build_that_is_cancelled_ends_in_the_engine_with_either_builder() {
    for (_, choice) in BUILDERS {
        let server = server_with(choice).await;
        let word = unique();
        let build = endless(&word);
        let mut page = Page::open(&server, "local").await;
        let id = server.submit(&job(&build, "true")).await;
        eventually("the step begins", async || is_at_work(&word)).await;
        cancel(&server, &id).await;
        page.until_true(|page| !page.jobs.contains_key(&id)).await;
        assert_nothing_left(&server, &build, &word).await;
    }
}

#[tokio::test]
async fn the_steps_of_a_build_are_counted_while_it_goes_on_with_either_builder() {
    for (builder, choice) in BUILDERS {
        let server = server_with(choice).await;
        let id = server.submit(&job(&endless(&unique()), "true")).await;
        server.until_said(&id, "begun").await;
        let live = Desk::of(&server).row(&id).await["live"].clone();
        assert_eq!((&live["step"], &live["done"]), (&json!("build"), &json!(1)), "{builder}: {live}");
        // For the classic one our labels are steps too.
        assert!([json!(2), json!(4)].contains(&live["total"]), "{builder}: {live}");
        cancel(&server, &id).await;
        server.finished(&id).await;
    }
}

#[tokio::test]
async fn two_jobs_with_the_same_block_share_one_build_and_both_have_its_log() {
    let server = Deskgrid::start_with_cpus(4).await;
    let dockerfile = format!(
        "FROM {BUSYBOX}\nRUN sleep 4; cat /proc/sys/kernel/random/uuid > /id; echo made {}\n",
        unique()
    );
    let build = json!({ "dockerfile": dockerfile });
    let (one, two) = (job(&build, "cat /id"), job(&build, "/bin/sh -c 'cat /id'"));
    let ids = [server.submit(&one).await, server.submit(&two).await];
    let ends = [server.finished(&ids[0]).await, server.finished(&ids[1]).await];
    assert_eq!(log_text(&ends[0]), log_text(&ends[1]));
    for id in &ids {
        assert!(build_log(&server, id).await.contains("made "), "{id}");
    }
    // Its image is there now: nothing is built and nothing said.
    let third = server.submit(&job(&build, "/bin/sh -c 'cat /id /dev/null'")).await;
    assert_eq!(log_text(&server.finished(&third).await), log_text(&ends[0]));
    assert_eq!(build_log(&server, &third).await, "");
}

#[tokio::test]
async fn a_build_goes_on_when_one_of_two_jobs_is_cancelled() {
    let server = Deskgrid::start_with_cpus(4).await;
    let flag = unique();
    let dockerfile = format!("FROM {BUSYBOX}\nRUN echo begun; : {flag}; sleep 8; echo {flag} > /id\n");
    let build = json!({ "dockerfile": dockerfile });
    let first = server.submit(&job(&build, "cat /id")).await;
    server.until_said(&first, "begun").await;
    let second = server.submit(&job(&build, "/bin/sh -c 'cat /id'")).await;
    // It hears what was told before it came, although nothing more is told.
    server.until_said(&second, "begun").await;
    assert!(build_log(&server, &second).await.contains("Another job has begun this build"));
    cancel(&server, &first).await;
    assert_eq!(log_text(&server.finished(&second).await).trim(), flag);
}

#[tokio::test]
async fn a_job_whose_build_was_interrupted_by_a_restart_is_built_again() {
    let mut server = Deskgrid::start().await;
    let word = unique();
    let flag = format!("/tmp/{word}");
    // Tells the two attempts apart by a file that the first one cannot leave in the image.
    let dockerfile = format!("FROM {BUSYBOX}\nRUN echo begun; : {word}; sleep 4; touch {flag}\n");
    let id = server.submit(&job(&json!({ "dockerfile": dockerfile }), &format!("ls {flag}"))).await;
    eventually("the step begins", async || is_at_work(&word)).await;
    server.kill().await;
    eventually("the step ends", async || !is_at_work(&word)).await;
    server.start_again().await;
    assert_eq!(log_text(&server.finished(&id).await).trim(), flag);
}
