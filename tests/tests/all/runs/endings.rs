//! How runs end: exit codes, memory, time.

use deskgrid_tests::{BUSYBOX, Deskgrid, Options, log_text, shell, unique};
use serde_json::json;

#[tokio::test]
async fn an_exit_code_is_told_as_the_container_gave_it() {
    let server = Deskgrid::start().await;
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("sleep 100 & kill -9 $!; wait $!", 137)] {
        let finished = server.run(&shell(&format!(": {}; {script}", unique()))).await;
        assert_eq!(finished["finishedReason"], "Success", "{finished}");
        let result = &finished["finished"]["result"];
        assert_eq!(result["StatusCode"], code, "{script}: {finished}");
        assert_eq!(result["isTimedOut"], false);
        assert!(result["duration"].is_u64(), "{finished}");
        assert!(!log_text(&finished).contains("memory"), "{finished}");
    }
}

#[tokio::test]
async fn a_container_that_ran_out_of_memory_says_so_and_what_its_limit_was() {
    let server = Deskgrid::start().await;
    let finished = server
        .run(&json!({"image": BUSYBOX, "command": "dd if=/dev/zero of=/dev/null bs=200M count=1",
            "env": {"ONLY": unique()}, "requirements": {"memory": "32m"}}))
        .await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 137, "{finished}");
    let log = log_text(&finished);
    assert!(log.contains("ran out of memory") && log.contains("its limit was 32 MB"), "{log}");
    assert!(log.contains("requirements.memory"), "{log}");
}

#[tokio::test]
async fn the_time_limit_of_a_job_ends_its_container_and_keeps_its_log() {
    let server = Deskgrid::start().await;
    let mut definition = shell(&format!("echo {}; echo x > /outputs/x; sleep 1000", unique()));
    definition["maxDuration"] = json!("4s");
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finishedReason"], "TimedOut");
    let result = &finished["finished"]["result"];
    assert_eq!((&result["isTimedOut"], &result["outputs"]), (&json!(true), &json!({})), "{finished}");
    assert!(result.get("StatusCode").is_none(), "{finished}");
    assert!(log_text(&finished).contains("at its time limit"), "{finished}");
    assert!(
        result["logs"][0][0]
            .as_str()
            .is_some_and(|text| definition["command"].to_string().contains(text.trim()))
    );
    // A result of this kind answers the same job again.
    assert_eq!(server.submit(&definition).await, id);
    assert_eq!(server.get_json("/q/local").await["data"][&id]["state"], "Finished");
}

#[tokio::test]
async fn the_smallest_of_all_time_limits_counts() {
    let args = vec!["--max-job-duration".to_owned(), "1s".to_owned()];
    let server = Deskgrid::start_with(Options { args, ..Options::default() }).await;
    let mut definition = shell(&format!("sleep 1000; : {}", unique()));
    definition["maxDuration"] = json!("20m");
    definition["requirements"] = json!({"maxDuration": "10m"});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finishedReason"], "TimedOut", "{finished}");
    assert!(log_text(&finished).contains("after 1 s"), "{finished}");
}
