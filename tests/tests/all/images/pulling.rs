//! Pulls that work: once for all who wait, told line by line, and broken off when nobody waits.

use deskgrid_tests::registry::elsewhere;
use deskgrid_tests::{Deskgrid, Line, Page, Picture, Registry, log_text, unique};
use serde_json::json;
use tokio::time::Instant;

use super::{build_log, forget, job};
use crate::administration::Desk;

const MEGABYTE: usize = 1 << 20;

#[tokio::test]
async fn an_image_is_pulled_once_for_all_jobs_that_wait_and_never_again() {
    let mut registry = Registry::own().await;
    let server = Deskgrid::start_with_cpus(4).await;
    let name = registry.push(Picture::new()).await;
    // Without a tag the latest is meant.
    let image = format!("{}/{name}", registry.address);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(server.submit(&job(&image, "wc -c < /bytes")).await);
    }
    for id in &ids {
        assert_eq!(log_text(&server.finished(id).await).trim(), "1000");
    }
    let mut fetched = registry.fetched(&format!("/v2/{name}/blobs/"));
    let count = fetched.len();
    fetched.sort();
    fetched.dedup();
    assert!(fetched.len() == count && count == 3, "a config and two layers, once each: {fetched:?}");
    registry.stop().await;
    let finished = server.run(&job(&format!("{image}:latest"), "echo here")).await;
    assert_eq!(log_text(&finished), "here\n", "nobody is asked for an image that is here");
    let id = server.submit(&job(&image, "echo again")).await;
    assert_eq!(log_text(&server.finished(&id).await), "again\n");
    assert!(build_log(&server, &id).await.is_empty(), "nor is anything said");
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_page_reads_the_lines_of_the_docker_command_line_and_no_more_than_a_few_a_second() {
    let registry = Registry::open();
    let server = Deskgrid::start().await;
    let name = registry.push(Picture { bytes: 100 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::of_speed(&registry.address, 25 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let mut page = Page::open(&server, "local").await;
    let (id, start) = (unique(), Instant::now());
    page.submit(&id, &job(&image, "echo on"), &json!({})).await;
    page.until(&id, "Finished").await;
    let seconds = start.elapsed().as_secs_f64();
    let told = page.frames.iter().filter(|frame| frame["payload"]["step"] == "docker image pull");
    let lines: Vec<_> = told.flat_map(|frame| frame["payload"]["logs"].as_array().unwrap().clone()).collect();
    let lines: Vec<_> = lines.iter().map(|line| line[0].as_str().unwrap().trim_end().to_owned()).collect();
    assert_eq!(lines, build_log(&server, &id).await);
    assert_eq!(lines[0], format!("latest: Pulling from {name}"));
    assert!(lines.iter().any(|line| line.ends_with(": Pulling fs layer")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("Digest: sha256:")), "{lines:?}");
    assert_eq!(lines.last().unwrap(), &format!("Status: Downloaded newer image for {image}"));
    // `<layer>: Downloading [=====>    ] 52.4MB/104.9MB`
    let counted: Vec<_> = lines.iter().filter(|line| line.contains("MB/104.9MB")).collect();
    assert!(counted.iter().any(|line| line.contains(": Downloading [==")), "{lines:?}");
    // Two of each layer a second, and one more of each kind.
    assert!((counted.len() as f64) <= 2.0 * seconds + 3.0, "{} in {seconds} s: {counted:?}", counted.len());
    page.close().await;
    forget(&server, &image).await;
}

#[tokio::test]
async fn of_many_layers_at_once_a_page_reads_a_few_counts_a_second() {
    const LAYERS: usize = 30;
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let name = registry.push(Picture { bytes: MEGABYTE, layers: LAYERS, ..Picture::new() }).await;
    let line = Line::of_speed(&registry.address, 4 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let mut page = Page::open(&server, "local").await;
    let (id, start) = (unique(), Instant::now());
    page.submit(&id, &job(&image, "echo on"), &json!({})).await;
    page.until(&id, "Finished").await;
    let seconds = start.elapsed().as_secs_f64();
    let lines = build_log(&server, &id).await;
    let here = lines.iter().filter(|line| line.ends_with(": Pull complete")).count();
    assert_eq!(here, LAYERS + 1, "the shell's layer is one too: {lines:?}");
    let counted =
        lines.iter().filter(|line| line.contains(": Downloading [") || line.contains(": Extracting ["));
    // The engine fetches three at a time and unpacks one; of each kind every layer has one count in any case.
    let most = 2.0 * 4.0 * seconds + 2.0 * LAYERS as f64;
    assert!((counted.clone().count() as f64) <= most, "{} in {seconds} s", counted.count());
    let frames = page.frames.iter().filter(|frame| frame["payload"]["step"] == "docker image pull").count();
    assert!(frames <= lines.len(), "{frames} frames for {} lines", lines.len());
    page.close().await;
    forget(&server, &image).await;
}

#[tokio::test]
async fn the_administration_sees_the_bytes_and_layers_of_a_pull_while_it_goes_on() {
    let registry = Registry::open();
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::of_speed(&registry.address, 5 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let id = server.submit(&job(&image, "echo on")).await;
    deskgrid_tests::eventually("bytes are counted", async || {
        let shown = desk.row(&id).await["live"].clone();
        shown["step"] == "image"
            && shown["done"].as_u64() > Some(5 << 20)
            && shown["total"].as_u64() > Some(20 << 20)
            // The shell's layer is small and comes first, the other one is on its way.
            && shown["layers"]["total"] == 2
    })
    .await;
    server.finished(&id).await;
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_stops_waiting_at_once_and_the_pull_ends_with_the_last_one() {
    let registry = Registry::open();
    let server = Deskgrid::start_with_cpus(2).await;
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 10 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let first = server.submit(&job(&image, "echo one")).await;
    let second = server.submit(&job(&image, "echo two")).await;
    line.until_held().await;
    server.until_said(&first, "Pulling from").await;
    server.until_said(&second, "Pulling from").await;
    let cancel =
        async |id: &str| server.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!({})).await;
    assert_eq!(cancel(&first).await.0, 200);
    server.finished(&first).await;
    let row = Desk::of(&server).row(&first).await;
    assert_eq!(row["reason"], "Cancelled", "although nothing comes on the line");
    line.give(MEGABYTE as u64);
    line.until_held().await;
    assert_eq!(cancel(&second).await.0, 200);
    server.finished(&second).await;
    // The engine hangs up with the next bytes that come, and not before.
    deskgrid_tests::eventually("the engine hangs up", async || {
        line.give(64 << 10);
        line.is_hung_up()
    })
    .await;
    let images = server.engine().get(&format!("/images/{image}/json")).await;
    assert!(images["message"].as_str().unwrap().contains("No such image"), "{images}");
}

#[tokio::test]
async fn one_who_waits_on_gets_the_image_when_another_is_cancelled() {
    let registry = Registry::open();
    let server = Deskgrid::start_with_cpus(2).await;
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 10 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let first = server.submit(&job(&image, "echo one")).await;
    let second = server.submit(&job(&image, "echo two")).await;
    server.until_said(&second, "Pulling from").await;
    line.until_held().await;
    server.post(&format!("/q/local/j/{first}/cancel?namespace=*"), &json!({})).await;
    server.finished(&first).await;
    line.release();
    assert_eq!(log_text(&server.finished(&second).await), "two\n");
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_registry_that_is_away_for_a_moment_is_asked_again() {
    let mut registry = Registry::own().await;
    let server = Deskgrid::start().await;
    let name = registry.push(Picture::new()).await;
    let image = format!("{}/{name}:latest", registry.address);
    registry.stop().await;
    let id = server.submit(&job(&image, "echo on")).await;
    server.until_said(&id, "trying again in").await;
    registry.start_again().await;
    assert_eq!(log_text(&server.finished(&id).await), "on\n");
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_pull_goes_on_when_its_registry_comes_back() {
    let mut registry = Registry::own().await;
    let server = Deskgrid::start().await;
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 10 * MEGABYTE as u64).await;
    let image = format!("{}/{name}:latest", line.address);
    let id = server.submit(&job(&image, "wc -c < /bytes")).await;
    line.until_held().await;
    registry.stop().await;
    line.release();
    // These are the engine's own words.
    server.until_said(&id, "Retrying in").await;
    registry.start_again().await;
    assert_eq!(log_text(&server.finished(&id).await).trim(), (20 * MEGABYTE).to_string());
    forget(&server, &image).await;
}

#[tokio::test]
async fn an_image_for_several_platforms_is_pulled_for_this_one() {
    let registry = Registry::open();
    let server = Deskgrid::start().await;
    let name = registry.push(Picture { in_list: true, ..Picture::new() }).await;
    let image = format!("{}/{name}", registry.address);
    let id = server.submit(&job(&image, "echo on")).await;
    assert_eq!(log_text(&server.finished(&id).await), "on\n");
    assert!(build_log(&server, &id).await.iter().all(|line| !line.contains(elsewhere())));
    forget(&server, &image).await;
}
