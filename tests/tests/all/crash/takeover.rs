//! What a start makes of containers that it finds: as if nobody had been away.

use std::time::Duration;

use deskgrid_tests::crash::Client;
use deskgrid_tests::crash::record::stream_texts;
use deskgrid_tests::crash::work::lines;
use deskgrid_tests::{Deskgrid, log_text, shell, unique, until_told};
use serde_json::json;

#[tokio::test]
async fn a_job_that_ended_while_nobody_watched_is_not_out_of_time_however_long_that_was() {
    let mut server = Deskgrid::start().await;
    let mut definition = until_told("echo begun", "echo done >/outputs/done; exit 3");
    definition["maxDuration"] = json!("15s");
    let mut events = server.engine().events(&server).await;
    let id = server.submit(&definition).await;
    server.until_said(&id, "begun").await;
    server.kill().await;
    server.engine().tell(&id).await;
    events.until("die", &id).await;
    // Time itself is what this is about.
    tokio::time::sleep(Duration::from_secs(15)).await;
    server.start_again().await;
    let finished = server.finished(&id).await;
    assert_eq!(
        (&finished["finishedReason"], &finished["finished"]["result"]["StatusCode"]),
        (&json!("Success"), &json!(3))
    );
    assert_eq!(server.output(&finished, "done").await, b"done\n");
    assert!(finished["finished"]["result"]["duration"].as_u64().unwrap() < 15_000, "{finished}");
}

#[tokio::test]
async fn the_last_words_of_a_container_that_was_taken_over_are_in_its_log_without_a_newline_too() {
    let mut server = Deskgrid::start().await;
    let script = format!("echo begun; sleep 1.5; printf 'no newline'; : {}", unique());
    let id = server.submit(&shell(&script)).await;
    server.until_said(&id, "begun").await;
    server.kill().await;
    server.start_again().await;
    assert_eq!(log_text(&server.finished(&id).await), "begun\nno newline");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_a_log_with_a_cursor_gets_each_line_once_however_often_the_server_dies() {
    let mut server = Deskgrid::start().await;
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i + 1)); sleep 0.01; done";
    let id = server.submit(&shell(&format!("{script}; : {}", unique()))).await;
    server.until_said(&id, "line 30").await;
    let client = Client::of(&server);
    let read = async {
        let (mut text, mut cursor) = (String::new(), 0);
        loop {
            let slice = client.get_json(&format!("/j/{id}/run-logs.json?since={cursor}")).await;
            let next = slice["nextCursor"].as_u64().unwrap();
            assert!(next >= cursor, "a log does not get shorter: {next} after {cursor}");
            text.push_str(&stream_texts(&slice["data"])[0]);
            if slice["isFinal"] == true && next == cursor {
                return text;
            }
            cursor = next;
        }
    };
    let die = async {
        for _ in 0..4 {
            server.kill().await;
            server.start_again().await;
        }
    };
    let (text, ()) = tokio::join!(read, die);
    let expected = lines(300, |number| format!("line {number}\n"));
    assert_eq!(text, expected);
}
