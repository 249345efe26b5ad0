//! The commands that people type, against a running server and without one.

use std::process::Stdio;

use deskgrid_tests::command::{command, finish};
use deskgrid_tests::{BUSYBOX, Deskgrid, Outcome, deskgrid, shell, unique};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

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
    let expected = words.map(|word| format!("[{word}]\n")).concat();
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

#[tokio::test]
async fn output_is_shown_while_the_job_runs_and_ctrl_c_cancels_it() {
    let server = Deskgrid::start().await;
    let script = format!("printf 'now {}'; sleep 1000", unique());
    let mut run = command(&["run", "--server", &server.address, BUSYBOX, "--", "sh", "-c", &script]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = run.stdout.take().expect("a pipe");
    let mut shown = [0; 4];
    stdout.read_exact(&mut shown).await.expect("output while it runs");
    assert_eq!(&shown, b"now ");
    let process = run.id().expect("it runs").to_string();
    let sent = tokio::process::Command::new("kill").args(["-INT", &process]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = run.wait_with_output().await.expect("it was ours");
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    println!("{words}");
    assert_eq!((ended.status.code(), words.contains("is cancelled")), (Some(130), true), "{words}");
    assert_eq!(server.get_json("/q/local").await["data"], serde_json::json!({}));
}

#[tokio::test]
async fn limits_are_passed_on_and_an_end_by_time_has_an_exit_code_of_its_own() {
    let server = Deskgrid::start().await;
    let script = format!("pwd; sleep 1000; : {}", unique());
    let limits = ["--cpus", "0.5", "--memory", "64m", "--max-duration", "4s", "--workdir", "/tmp"];
    let line = [&["run", BUSYBOX][..], &limits, &["--", "sh", "-c", &script]].concat();
    let outcome = on(&server, &line).await;
    println!("{}", outcome.stderr);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (124, "/tmp\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("ran out of time"), "{outcome:?}");
    let outcome = on(&server, &["run", BUSYBOX, "--cpus", "64", "--", "true"]).await;
    println!("{}", outcome.stderr);
    assert_eq!(outcome.code, 125);
    assert!(outcome.stderr.contains("64 wanted"), "{outcome:?}");
}

#[tokio::test]
async fn a_job_that_was_run_before_is_answered_at_once_with_the_same_output() {
    let server = Deskgrid::start().await;
    let script = format!("cat /proc/sys/kernel/random/uuid; exit 3; : {}", unique());
    let first = on(&server, &["run", BUSYBOX, "--", "sh", "-c", &script]).await;
    let again = on(&server, &["run", BUSYBOX, "--", "sh", "-c", &script]).await;
    assert_eq!((first.code, again.code), (3, 3));
    assert_eq!(first.stdout, again.stdout);
}

#[tokio::test]
async fn outputs_of_a_finished_job_are_listed_and_saved_later() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("mkdir /outputs/d; echo {} > '/outputs/d/ü 1'", unique()))).await;
    let finished = server.finished(&id).await;
    let listed = on(&server, &["result", &id]).await;
    println!("{}", listed.stderr);
    assert!(listed.code == 0 && listed.stderr.contains("succeeded"), "{listed:?}");
    assert!(listed.stderr.contains("1 output:\n  d/ü 1\n"), "{listed:?}");
    let folder = tempfile::tempdir().unwrap();
    let saved = on(&server, &["result", &id, "--output-dir", folder.path().to_str().unwrap()]).await;
    assert_eq!(saved.code, 0, "{saved:?}");
    assert_eq!(std::fs::read(folder.path().join("d/ü 1")).unwrap(), server.output(&finished, "d/ü 1").await);
}

#[tokio::test]
async fn logs_can_be_followed_to_the_end_of_the_job() {
    let server = Deskgrid::start().await;
    let script = "for i in 1 2 3; do echo $i; sleep 0.3; done; echo oh >&2";
    let id = server.submit(&shell(&format!("{script}; : {}", unique()))).await;
    let followed = on(&server, &["logs", &id, "--follow"]).await;
    assert_eq!((followed.code, followed.stdout.as_str()), (0, "1\n2\n3\n"), "{followed:?}");
    assert!(followed.stderr.ends_with("oh\n"), "{followed:?}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_what_to_do() {
    let server = Deskgrid::start().await;
    for (words, wanted) in [
        (&["logs", "nobody"][..], "No job nobody in the queue local."),
        (&["result", "nobody"], "deskgrid status"),
        (&["cancel", "nobody"], "No job nobody"),
        (&["run", BUSYBOX, "--input", "/no/such/file", "--", "true"], "/no/such/file"),
        (&["run", BUSYBOX, "--memory", "lots", "--", "true"], "requirements.memory"),
        (&["run", BUSYBOX, "--max-duration", "soon", "--", "true"], "maxDuration"),
    ] {
        let outcome = on(&server, words).await;
        println!("{}", outcome.stderr);
        assert_ne!(outcome.code, 0, "{words:?}");
        assert!(outcome.stderr.contains(wanted), "{words:?}: {}", outcome.stderr);
    }
}
