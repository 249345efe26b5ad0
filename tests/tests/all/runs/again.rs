//! The same job once more: answered from its result, or run again where this computer was at fault.

use deskgrid_tests::{BUSYBOX, Deskgrid, Page, sha256, shell, unique};
use serde_json::json;

#[tokio::test]
async fn a_repeated_submission_is_answered_from_the_result_without_a_container() {
    let server = Deskgrid::start().await;
    let definition = shell(&format!("cat /proc/sys/kernel/random/uuid | tee /outputs/when; : {}", unique()));
    let id = server.submit(&definition).await;
    let first = server.finished(&id).await;
    let mut events = server.engine().events(&server).await;
    let mut page = Page::open(&server, "local").await;
    page.submit(&id, &definition, &json!({})).await;
    let record = page.until(&id, "Finished").await;
    assert_eq!(record["finishedReason"], "Success");
    assert_eq!(server.submit(&definition).await, id);
    let again = server.finished(&id).await;
    assert_eq!(again["finished"], first["finished"]);
    // Of all containers of this server, the next one is that of another job.
    let other = server.submit(&shell(&format!(": {}", unique()))).await;
    assert_eq!(events.next_of("create").await, other);
    assert_eq!(page.states_seen(&id), ["Finished"]);
}

#[tokio::test]
async fn a_job_that_failed_by_itself_is_answered_with_that_failure() {
    let server = Deskgrid::start().await;
    let definition = json!({"image": BUSYBOX, "command": "no-such-program", "env": {"ONLY": unique()}});
    let id = server.submit(&definition).await;
    let first = server.finished(&id).await;
    server.submit(&definition).await;
    let again = server.finished(&id).await;
    assert_eq!(again["finished"], first["finished"]);
}

#[tokio::test]
async fn a_job_that_failed_by_fault_of_this_computer_runs_again_when_submitted_again() {
    let server = Deskgrid::start().await;
    let bytes = unique().into_bytes();
    let key = sha256(&bytes);
    let mut definition = shell("cat /inputs/late > /outputs/late");
    definition["inputs"] = json!({"late": {"type": "key", "value": key}});
    let id = server.submit(&definition).await;
    let first = server.finished(&id).await;
    assert_eq!(first["finishedReason"], "Error");
    let words = first["finished"]["result"]["error"].as_str().expect("words");
    println!("{words}");
    assert!(words.contains(&key) && words.contains("late"), "{words}");
    assert_eq!(server.put(&key, bytes.clone()).await, 200);
    assert_eq!(server.submit(&definition).await, id);
    let again = server.finished(&id).await;
    assert_eq!(again["finishedReason"], "Success", "{again}");
    assert_eq!(server.output(&again, "late").await, bytes);
}
