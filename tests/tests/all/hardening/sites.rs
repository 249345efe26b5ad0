//! What the person lets the jobs of one site do, by the settings file.

use deskgrid_tests::{Deskgrid, log_text, shell, unique};
use serde_json::{Value, json};

use super::reach::{FarAway, is_open, tries};

/// Starts a server that allows these sites, each with further lines of the settings file.
async fn start(sites: &[(&str, &str)]) -> Deskgrid {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines: Vec<_> = sites
        .iter()
        .map(|(origin, lines)| format!("[[sites]]\norigin = \"{origin}\"\ndecision = \"allow\"\n{lines}\n"))
        .collect();
    std::fs::write(folder.path().join("settings.toml"), lines.join("\n")).expect("a settings file");
    Deskgrid::start_over(folder, deskgrid_tests::Options::default()).await
}

/// Runs a job as a page of `origin` does.
async fn run_as(server: &Deskgrid, origin: &str, definition: &Value) -> (String, Value) {
    let request = server.http().post(server.url("/q/local")).header("origin", origin);
    let answer = request.json(&json!({"definition": definition})).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200, "{origin}");
    let answer: Value = answer.json().await.expect("JSON");
    let id = answer["jobId"].as_str().expect("an id").to_owned();
    let finished = server.finished(&id).await;
    (id, finished)
}

#[tokio::test]
async fn compatible_mode_gives_a_site_the_usual_rights_of_the_engine_and_no_other_site() {
    let (kind, strict) = ("https://kind.example", "https://strict.example");
    let server = start(&[(kind, "compatible = true"), (strict, "")]).await;
    let script =
        || shell(&format!(": {}; mknod /tmp/memory c 1 1 && echo made; cat /proc/self/status", unique()));
    let (_, finished) = run_as(&server, kind, &script()).await;
    let log = log_text(&finished);
    assert!(log.starts_with("made\n") && log.contains("CapEff:\t00000000a80425fb"), "{log}");
    assert!(log.contains("NoNewPrivs:\t0"), "{log}");
    let (_, finished) = run_as(&server, strict, &script()).await;
    assert!(!log_text(&finished).contains("made\n"), "{finished}");
    let finished = server.run(&script()).await;
    assert!(!log_text(&finished).contains("made\n"), "{finished}");
}

#[tokio::test]
async fn a_site_without_a_network_reaches_nothing_and_still_gets_its_outputs() {
    let closed = "https://closed.example";
    let server = start(&[(closed, "network = \"none\"")]).await;
    let far_away = FarAway::start();
    let tries = tries(std::slice::from_ref(&far_away.address));
    let script = format!("{tries} ls /sys/class/net; echo done > /outputs/x");
    let (_, finished) = run_as(&server, closed, &shell(&script)).await;
    let log = log_text(&finished);
    assert!(!is_open(&log, &far_away.address) && log.ends_with("\nlo\n"), "{log}");
    assert_eq!(server.output(&finished, "x").await, b"done\n");
}

#[tokio::test]
async fn a_site_cannot_spoil_what_others_keep_in_the_job_cache() {
    let (one, other) = ("https://one.example", "https://other.example");
    let server = start(&[(one, ""), (other, "")]).await;
    let name = unique();
    let write = shell(&format!("echo spoilt > /job-cache/{name}"));
    run_as(&server, one, &write).await;
    let read =
        |for_whom: &str| shell(&format!(": {for_whom}; cat /job-cache/{name} 2>/dev/null || echo nothing"));
    let (_, finished) = run_as(&server, other, &read("other")).await;
    assert!(log_text(&finished).ends_with("nothing\n"), "{finished}");
    let (_, finished) = run_as(&server, "https://metapage.io", &read("shipped")).await;
    assert!(log_text(&finished).ends_with("nothing\n"), "{finished}");
    let (_, finished) = run_as(&server, one, &read("one")).await;
    assert_eq!(log_text(&finished), "spoilt\n");
    let finished = server.run(&read("program")).await;
    assert!(log_text(&finished).ends_with("nothing\n"), "{finished}");
}
