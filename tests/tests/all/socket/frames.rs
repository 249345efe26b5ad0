//! Frames as such: who may open a socket, what is no message, how large a message may be, how a socket ends.

use deskgrid_tests::{Deskgrid, Page};
use serde_json::json;

const LARGEST: usize = 64_000_000;

#[tokio::test]
async fn the_socket_opens_under_all_four_addresses_and_no_other() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/q/local/client", "/q/local/browser", "/local/client", "/local/browser"] {
        let mut page = Page::open_at(&server.url(path)).await;
        page.ping().await;
        page.close().await;
    }
    for path in ["/q/local/worker", "/local/worker", "/client"] {
        let refused = Page::open_from(&server.url(path), None).await.err();
        assert!(refused.is_some_and(|status| status >= 400), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn only_allowed_pages_get_a_socket() {
    let server = Deskgrid::start_without_engine().await;
    let url = server.url("/q/local/client");
    for origin in ["https://container.mtfm.io", "https://metapage.io"] {
        Page::open_from(&url, Some(origin)).await.expect("an allowed page").ping().await;
    }
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        assert_eq!(Page::open_from(&url, Some(origin)).await.err(), Some(403), "{origin}");
    }
}

#[tokio::test]
async fn ping_is_answered_with_pong_each_time() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.next_of("JobStates").await;
    for _ in 0..3 {
        page.send_text("PING").await;
        assert_eq!(page.next_text().await.as_deref(), Some("PONG"));
    }
}

#[tokio::test]
async fn what_is_no_message_is_ignored_and_never_answered() {
    let server = Deskgrid::start_without_engine().await;
    let mut page = Page::open(&server, "local").await;
    page.next_of("JobStates").await;
    let nested = "{\"type\":".repeat(100_000);
    for text in [
        "undefined",
        "",
        " ",
        "null",
        "[]",
        "5",
        "ping",
        "PONG",
        "{",
        "{}",
        r#"{"type":"Nothing","payload":{}}"#,
        r#"{"type":"StateChange"}"#,
        r#"{"type":"StateChange","payload":null}"#,
        r#"{"type":"StateChange","payload":{"state":"Queued","job":"x"}}"#,
        r#"{"type":"StateChange","payload":{"state":"Running","job":"x","value":{}}}"#,
        r#"{"type":"StateChange","payload":{"state":"Queued","job":"../x","value":{"enqueued":{"definition":{"image":"a"}}}}}"#,
        r#"{"type":"QueryJob"}"#,
        r#"{"type":"QueryJob","payload":{"jobId":5}}"#,
        r#"{"type":5,"payload":{}}"#,
        &nested,
    ] {
        page.send_text(text).await;
    }
    page.send_binary(vec![0, 159, 146, 150]).await;
    page.send_binary(br#"{"type":"QueryJobStates","payload":{}}"#.to_vec()).await;
    page.send_binary(b"PING".to_vec()).await;
    page.send_text("PING").await;
    assert_eq!(page.next_text().await.as_deref(), Some("PONG"), "and nothing before it");
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
}

#[tokio::test]
async fn a_text_frame_that_is_no_text_closes_its_socket_with_a_reason_and_no_other() {
    let server = Deskgrid::start_without_engine().await;
    let (mut page, mut other) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    other.next_of("JobStates").await;
    page.send_as_text(b"{\"type\":\"\xff\"}").await;
    let (code, reason) = page.closed().await;
    assert!(code == 1002 || code == 1007, "{code}");
    assert!(reason.contains("could not be read"), "{reason}");
    other.ping().await;
}

#[tokio::test]
async fn a_frame_of_64_megabytes_is_taken_and_disturbs_nobody_else() {
    let server = Deskgrid::start_without_engine().await;
    let (mut page, mut other) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    let shell = json!({"type": "StateChange", "payload": {"state": "Queued", "job": "big", "value":
        {"enqueued": {"id": "big", "definition": {"image": "a", "inputs": {"x": {"value": ""}}}}}}})
    .to_string();
    let text = "x".repeat(LARGEST - shell.len());
    let frame = shell.replace(r#""value":"""#, &format!(r#""value":"{text}""#));
    assert_eq!(frame.len(), LARGEST);
    tokio::join!(page.send_text(frame), async {
        for _ in 0..20 {
            other.ping().await;
        }
    });
    other.until("big", "Queued").await;
    page.ping().await;
    let (status, input) = server.get("/j/big/inputs/x").await;
    assert_eq!((status, input.len()), (200, text.len()));
}

#[tokio::test]
async fn a_larger_frame_closes_its_socket_with_a_reason_and_no_other() {
    let server = Deskgrid::start_without_engine().await;
    let (mut page, mut other) = (Page::open(&server, "local").await, Page::open(&server, "local").await);
    other.next_of("JobStates").await;
    // The server may close before it has taken everything.
    page.try_send_text("x".repeat(LARGEST + 1)).await;
    let (code, reason) = page.closed().await;
    assert_eq!(code, 1009);
    assert!(reason.contains("64 MB") && reason.contains("upload"), "{reason}");
    other.ping().await;
    Page::open(&server, "local").await.ping().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_every_socket() {
    let mut server = Deskgrid::start_without_engine().await;
    let mut pages = [Page::open(&server, "local").await, Page::open(&server, "other").await];
    for page in &mut pages {
        page.ping().await;
    }
    let (code, [one, two]) = {
        let [first, second] = &mut pages;
        tokio::join!(server.terminate(), async { [first.closed().await, second.closed().await] })
    };
    assert_eq!(code, Some(0));
    for (code, reason) in [one, two] {
        assert_eq!((code, reason.as_str()), (1001, "Deskgrid is stopping."));
    }
}
