//! What a job writes: complete on disk, live to those who watch, bounded in memory and in results.

use std::time::{Duration, Instant};

use deskgrid_tests::{Deskgrid, Events, Page, shell, unique};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The whole run log, page by page, and the number of pages.
async fn whole_log(server: &Deskgrid, id: &str) -> (Vec<String>, usize) {
    let (mut lines, mut pages) = (Vec::new(), 0);
    loop {
        let page = server.get_json(&format!("/j/{id}/run-logs.json?since={}", lines.len())).await;
        let texts =
            page["data"].as_array().expect("lines").iter().map(|line| line[0].as_str().expect("text"));
        assert_eq!(page["sliceStart"], lines.len());
        lines.extend(texts.map(str::to_owned));
        assert_eq!(page["nextCursor"], lines.len());
        pages += 1;
        if page["isFinal"] == true {
            return (lines, pages);
        }
    }
}

/// The most memory that the server has ever had, in bytes.
fn peak_memory(server: &Deskgrid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[tokio::test]
async fn two_hundred_thousand_lines_are_complete_by_pages_and_bounded_in_the_result() {
    let server = Deskgrid::start().await;
    let padding = unique().repeat(4);
    let script = format!("awk 'BEGIN {{ for (i = 0; i < 200000; i++) print \"line\", i, \"{padding}\" }}'");
    let id = server.submit(&shell(&script)).await;
    let finished = server.finished(&id).await;
    let (lines, pages) = whole_log(&server, &id).await;
    assert_eq!(lines.len(), 200_000);
    let wrong =
        lines.iter().enumerate().find(|(number, line)| **line != format!("line {number} {padding}\n"));
    assert_eq!(wrong, None);
    assert!(pages > 1, "a page is bounded");
    let logs = finished["finished"]["result"]["logs"].as_array().expect("lines");
    assert!(logs.len() < 200_000 && logs.len() > 1000, "{}", logs.len());
    assert_eq!(logs[0][0], lines[0]);
    assert_eq!(logs[logs.len() - 1][0], lines[199_999]);
    let cut: Vec<_> =
        logs.iter().filter_map(|line| line[0].as_str()).filter(|text| text.starts_with('…')).collect();
    println!("{cut:?}");
    assert_eq!(cut.len(), 1, "one line says what was cut");
    assert!(cut[0].contains(&format!("{} lines", 200_000 - logs.len() + 1)), "{cut:?}");
    assert!(cut[0].contains("/run-logs.json"), "{cut:?}");
}

#[tokio::test]
async fn a_character_that_is_split_over_two_writes_stays_whole() {
    let server = Deskgrid::start().await;
    let script = "printf 'gr\\303'; sleep 0.5; printf '\\274\\303'; sleep 0.5; printf '\\237e \\360\\237'; \
                  sleep 0.5; printf '\\230\\200\\n'; printf '\\377 no UTF-8\\n'";
    let id = server.submit(&shell(&format!("{script}; : {}", unique()))).await;
    server.finished(&id).await;
    let (lines, _) = whole_log(&server, &id).await;
    assert_eq!(lines.concat(), "grüße 😀\n\u{fffd} no UTF-8\n", "{lines:?}");
}

#[tokio::test]
async fn the_text_of_a_progress_bar_arrives_live_without_a_newline() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &shell(&format!("printf '\\r 10 %% of {}'; sleep 1000", unique())), &json!({})).await;
    let frame = page.next_of("JobStatusPayload").await;
    assert_eq!((&frame["payload"]["jobId"], &frame["payload"]["step"]), (&json!(id), &json!("Running")));
    assert!(frame["payload"]["logs"][0][0].as_str().is_some_and(|text| text.contains("10 % of")), "{frame}");
    assert_eq!(page.jobs[&id]["state"], "Running");
}

#[tokio::test]
async fn lines_arrive_live_on_socket_and_stream_and_are_the_same_afterwards() {
    let server = Deskgrid::start().await;
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    let script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done";
    page.submit(&id, &shell(&format!("{script}; : {}", unique())), &json!({})).await;
    page.until(&id, "Queued").await;
    let mut events = Events::open(&server, &id).await;
    page.until(&id, "Finished").await;
    events.to_end().await;
    let live = |frame: &Value| frame["payload"]["logs"].as_array().cloned().unwrap_or_default();
    let frames = page.frames.iter().filter(|frame| frame["type"] == "JobStatusPayload");
    let lines: Vec<_> =
        frames.flat_map(live).filter_map(|line| line[0].as_str().map(str::to_owned)).collect();
    assert_eq!(lines, ["line 1\n", "line 2\n", "line 3\n", "line 4\n", "line 5\n"]);
    assert_eq!(events.text_of("run-log"), lines.concat());
    assert_eq!(whole_log(&server, &id).await.0, lines);
}

#[tokio::test]
async fn three_hundred_megabytes_of_output_do_not_grow_the_servers_memory() {
    let server = Deskgrid::start().await;
    let script = format!("yes {} | head -c 300000000", unique().repeat(200));
    let mut page = Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &shell(&script), &json!({})).await;
    page.until(&id, "Finished").await;
    let finished = server.get_json(&format!("/j/{id}/result.json")).await["data"].take();
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0);
    let logs = finished["finished"]["result"]["logs"].as_array().expect("lines");
    assert!(logs.iter().any(|line| line[0].as_str().is_some_and(|text| text.starts_with('…'))));
    let peak = peak_memory(&server);
    println!("{} MB", peak / 1_000_000);
    assert!(peak < 100_000_000, "{peak}");
}

#[tokio::test]
async fn millions_of_short_lines_do_not_grow_the_servers_memory_and_reach_every_client() {
    let server = Deskgrid::start().await;
    let mut idle = Page::open(&server, "local").await;
    let id = server.submit(&shell(&format!("yes | head -n 2000000; : {}", unique()))).await;
    let mut events = Events::open(&server, &id).await;
    let (mut lines, mut heard) = (0, Instant::now());
    while let Some((name, data)) = events.next().await {
        // Whoever reads nothing for long is hung up on.
        if heard.elapsed() > Duration::from_secs(10) {
            idle.ping().await;
            heard = Instant::now();
        }
        if name == "run-log" {
            lines += data["lines"].as_array().map_or(0, Vec::len);
            assert_eq!(data["cursor"], lines);
        }
        events.seen.clear();
    }
    assert_eq!(lines, 2_000_000);
    assert!(peak_memory(&server) < 100_000_000, "{}", peak_memory(&server));
    idle.until(&id, "Finished").await;
}

#[tokio::test]
async fn clients_that_never_read_neither_slow_a_job_nor_cost_memory() {
    let server = Deskgrid::start().await;
    let before = peak_memory(&server);
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(Page::open(&server, "local").await);
    }
    let script = format!("yes {} | head -c 50000000", unique().repeat(50));
    let id = server.submit(&shell(&script)).await;
    let stream =
        server.http().get(server.url(&format!("/q/local/j/{id}/stream"))).send().await.expect("a stream");
    // The run ends although none of them has read a byte.
    let mut page = Page::open(&server, "local").await;
    page.until(&id, "Finished").await;
    let grown = peak_memory(&server) - before;
    assert!(grown < 40_000_000, "{grown}");
    // Whoever begins to read learns the end all the same.
    join_all(idle.iter_mut().map(|page| page.until(&id, "Finished"))).await;
    drop(stream);
    let bytes: usize = whole_log(&server, &id).await.0.iter().map(String::len).sum();
    assert_eq!(bytes, 50_000_000);
}
