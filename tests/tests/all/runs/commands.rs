//! Which words a container is started with.

use deskgrid_tests::{BUSYBOX, Deskgrid, WITH_ENTRYPOINT, log_text, shell, unique};
use serde_json::{Value, json};

/// The log of a job of these members, which ends well.
async fn log_of(server: &Deskgrid, mut definition: Value) -> String {
    definition["env"]["ONLY"] = json!(unique());
    let finished = server.run(&definition).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{definition}: {finished}");
    log_text(&finished)
}

#[tokio::test]
async fn command_and_entrypoint_go_together_as_docker_has_it() {
    let server = Deskgrid::start().await;
    for (image, entrypoint, command, wanted) in [
        (WITH_ENTRYPOINT, None, None, "from the image\n"),
        (WITH_ENTRYPOINT, None, Some("from 'the  job'"), "from the  job\n"),
        (WITH_ENTRYPOINT, Some("printf '[%s]'"), Some("a 'b c' \"\""), "[a][b c][]"),
        // A new entrypoint takes the image's command away.
        (WITH_ENTRYPOINT, Some("echo alone"), None, "alone\n"),
        (BUSYBOX, None, Some("printf '<%s>' one two"), "<one><two>"),
        (BUSYBOX, Some("/bin/sh -c"), Some("'echo $0 $1' zero one"), "zero one\n"),
    ] {
        let mut definition = json!({"image": image, "env": {}});
        for (name, value) in [("entrypoint", entrypoint), ("command", command)] {
            if let Some(value) = value {
                definition[name] = json!(value);
            }
        }
        assert_eq!(log_of(&server, definition.clone()).await, wanted, "{definition}");
    }
}

#[tokio::test]
async fn shell_text_runs_in_a_shell_where_no_entrypoint_would_read_it() {
    let server = Deskgrid::start().await;
    let text = "echo a; echo b | tr b c && echo b*n # and no more";
    let log = log_of(&server, json!({"image": BUSYBOX, "command": text, "env": {}})).await;
    assert_eq!(log, "a\nc\nbin\n");
    let log = log_of(&server, json!({"image": WITH_ENTRYPOINT, "command": text, "env": {}})).await;
    assert_eq!(log, format!("{text}\n"), "the image's entrypoint gets the text as one word");
    let log =
        log_of(&server, json!({"image": BUSYBOX, "entrypoint": "/bin/sh -c", "command": text, "env": {}}))
            .await;
    assert_eq!(log, "a\nc\nbin\n", "an entrypoint of the job gets it too");
}

#[tokio::test]
async fn variables_of_the_job_are_replaced_in_its_command_and_seen_by_its_container() {
    let server = Deskgrid::start().await;
    let definition = json!({"image": BUSYBOX, "command": "sh -c 'echo $WHO; env' $WHO ${MISSING}",
        "env": {"WHO": "the job", "EMPTY": "", "PATH_LIKE": "/a:/b=c"}});
    let log = log_of(&server, definition).await;
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], "the job");
    for wanted in ["WHO=the job", "EMPTY=", "PATH_LIKE=/a:/b=c"] {
        assert!(lines.contains(&wanted), "{wanted} in {log}");
    }
    let log = log_of(
        &server,
        json!({"image": BUSYBOX, "command": "echo $WHO-${WHO}$NOBODY", "env": {"WHO": "me"}}),
    );
    assert_eq!(log.await, "me-me\n");
}

#[tokio::test]
async fn the_working_folder_is_the_one_asked_for_and_the_root_by_default() {
    let server = Deskgrid::start().await;
    assert_eq!(log_of(&server, json!({"image": BUSYBOX, "command": "pwd", "env": {}})).await, "/\n");
    let definition = json!({"image": BUSYBOX, "command": "pwd", "workdir": "/outputs", "env": {}});
    assert_eq!(log_of(&server, definition).await, "/outputs\n");
}

#[tokio::test]
async fn output_and_errors_are_told_apart_and_in_order() {
    let server = Deskgrid::start().await;
    let script = "n=0; trap \"n=\\$((n + 1))\" USR1; wait_for() { while [ $n -lt $1 ]; do sleep 0.1; done; }; \
                  echo out; wait_for 1; echo err >&2; wait_for 2; printf last";
    let id = server.submit(&shell(&format!("{script}; : {}", unique()))).await;
    for heard in ["out", "err"] {
        server.until_said(&id, heard).await;
        server.engine().tell(&id).await;
    }
    let finished = server.finished(&id).await;
    let logs = finished["finished"]["result"]["logs"].as_array().cloned().unwrap_or_default();
    let lines: Vec<_> = logs.iter().map(|line| (line[0].as_str(), line[2] == true)).collect();
    assert_eq!(lines, [(Some("out\n"), false), (Some("err\n"), true), (Some("last"), false)]);
    assert!(logs.iter().all(|line| line[1].is_u64()), "{logs:?}");
}
