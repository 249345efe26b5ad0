//! The commands that people type, against a running server and without one.

use deskgrid_tests::command::{command, finish};
use deskgrid_tests::{BUSYBOX, Deskgrid, Outcome, deskgrid, shell, unique};
use serde_json::Value;

/// Runs a command of the program against `server`.
async fn on(server: &Deskgrid, words: &[&str]) -> Outcome {
    let mut command = command(&words[..1]);
    command.args(["--server", &server.address]).args(&words[1..]);
    finish(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn run_shows_both_streams_and_ends_with_the_exit_code_of_the_container() {
    let server = Deskgrid::start().await;
    let mark = unique();
    let script = format!("echo out {mark}; echo err >&2; exit 7");
    let outcome = on(&server, &["run", BUSYBOX, "--", "sh", "-c", &script]).await;
    assert_eq!(outcome.code, 7, "{outcome:?}");
    assert_eq!(outcome.stdout, format!("out {mark}\n"));
    assert!(outcome.stderr.contains("err\n"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_reach_the_container_as_they_were_typed() {
    let server = Deskgrid::start().await;
    let words = ["it's", "$HOME", "a  b", "*", "\"q\"", "back\\slash", "ü", ""];
    let mut line = vec!["run", BUSYBOX, "--", "sh", "-c", "for word; do echo \"[$word]\"; done", "sh"];
    line.extend(words);
    let outcome = on(&server, &line).await;
    let expected: String = words.iter().map(|word| format!("[{word}]\n")).collect();
    assert_eq!((outcome.code, outcome.stdout), (0, expected), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_go_in_and_outputs_are_saved() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(path("set/sub")).unwrap();
    std::fs::write(path("set/sub/a.txt"), "from a folder\n").unwrap();
    std::fs::write(path("one.txt"), unique()).unwrap();
    let script = "cat /inputs/set/sub/a.txt; mkdir /outputs/deep; cp /inputs/renamed.txt '/outputs/deep/b c.txt'; \
                  echo $COLOUR";
    let outcome = on(
        &server,
        &[
            "run",
            BUSYBOX,
            "--input",
            &path("set"),
            "--input",
            &format!("{}:renamed.txt", path("one.txt")),
            "--env",
            "COLOUR=green blue",
            "--output-dir",
            &path("out"),
            "--",
            "sh",
            "-c",
            script,
        ],
    )
    .await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stdout, "from a folder\ngreen blue\n");
    let saved = std::fs::read(path("out/deep/b c.txt")).unwrap();
    assert_eq!(saved, std::fs::read(path("one.txt")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_listed_read_cancelled_and_looked_at() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo hello {}; sleep 1000", unique()))).await;
    server.until_said(&id, "hello").await;
    let status = on(&server, &["status"]).await;
    assert!(status.code == 0 && status.stdout.contains(&id[..12]), "{status:?}");
    assert!(status.stdout.contains("engine") && status.stdout.contains("1 running"), "{status:?}");
    let logs = on(&server, &["logs", &id[..12]]).await;
    assert!(logs.code == 0 && logs.stdout.starts_with("hello"), "{logs:?}");
    let cancel = on(&server, &["cancel", &id]).await;
    assert_eq!(cancel.code, 0, "{cancel:?}");
    let status = on(&server, &["status"]).await;
    assert!(status.stdout.contains("0 running"), "{status:?}");

    let done = server.submit(&shell(&format!("echo {}; echo data > /outputs/file", unique()))).await;
    server.finished(&done).await;
    let result = on(&server, &["result", &done, "--json"]).await;
    let document: Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!(result.code, 0, "{result:?}");
    assert!(document.to_string().contains("\"StatusCode\":0"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_nowhere_is_said_in_words() {
    let server = Deskgrid::start().await;
    let outcome = on(&server, &["run", "localhost:1/no/such:image", "--", "true"]).await;
    assert_eq!(outcome.code, 125, "{outcome:?}");
    assert!(outcome.stderr.contains("localhost:1/no/such:image"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_each_command_says_where_it_looked_and_what_to_do() {
    for words in [
        &["run", "--server", "http://localhost:1", BUSYBOX][..],
        &["status", "--server", "http://localhost:1"],
        &["logs", "--server", "http://localhost:1", "abc"],
        &["cancel", "--server", "http://localhost:1", "abc"],
        &["result", "--server", "http://localhost:1", "abc"],
    ] {
        let outcome = deskgrid(words).await;
        assert_ne!(outcome.code, 0, "{words:?}");
        let said = &outcome.stderr;
        assert!(said.contains("http://localhost:1") && said.contains("deskgrid serve"), "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_what_is_fine_and_what_is_not() {
    let host = deskgrid_tests::server::test_engine().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let data = folder.path().join("data");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let written =
        |engine: &str| format!("port = {port}\ndata_directory = {data:?}\ndocker_host = {engine:?}\n");
    let config = ["doctor", "--json", "--config", settings.to_str().unwrap()];

    std::fs::write(&settings, written(&host)).unwrap();
    let fine = deskgrid(&config).await;
    assert_eq!(fine.code, 0, "{fine:?}");
    serde_json::from_str::<Value>(&fine.stdout).unwrap();

    std::fs::write(&settings, written("unix:///nonexistent/docker.sock")).unwrap();
    let sick = deskgrid(&config).await;
    assert_eq!(sick.code, 1, "{sick:?}");
    assert!(sick.stdout.contains("/nonexistent/docker.sock"), "{sick:?}");
}
