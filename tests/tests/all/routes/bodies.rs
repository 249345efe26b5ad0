//! Submissions that cannot be taken: each is refused in words, and leaves nothing in the queue.

use deskgrid_tests::{Deskgrid, Raw};
use serde_json::{Value, json};

const MEBIBYTE: usize = 1024 * 1024;

/// Posts `body` and expects a refusal with `status`; returns its words.
async fn refused(server: &Deskgrid, path: &str, body: Vec<u8>, status: u16) -> String {
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let answer = Raw::new("POST", path).body(body).send(server).await;
    assert_eq!(answer.status, status, "{shown}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert!(json["code"].is_string(), "{json}");
    json["error"].as_str().expect("words").to_owned()
}

async fn is_empty(server: &Deskgrid) -> bool {
    server.get_json("/q/local").await["data"] == json!({})
}

#[tokio::test]
async fn what_is_no_submission_is_refused_in_words_under_both_paths() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/q/local", "/q/local/j"] {
        for (body, word) in [
            ("", "object"),
            ("undefined", "object"),
            ("[]", "object"),
            ("{", "EOF"),
            (r#"{"definition": {"image": "a"}"#, "EOF"),
            ("{}", "definition"),
            (r#"{"definition": null}"#, "definition"),
            (r#"{"definition": "text"}"#, "definition"),
            (r#"{"definition": {}}"#, "neither image nor build"),
            (r#"{"definition": {"command": "x"}}"#, "neither image nor build"),
            (r#"{"definition": {"image": 5}}"#, "image"),
            (r#"{"definition": {"image": "a", "maxDuration": "soon"}}"#, "maxDuration"),
            (r#"{"definition": {"image": "a", "shmSize": "much"}}"#, "shmSize"),
            (r#"{"definition": {"image": "a", "requirements": {"memory": "much"}}}"#, "requirements.memory"),
            (r#"{"definition": {"image": "a", "command": 5}}"#, "command"),
            (r#"{"definition": {"image": "a"}, "control": 1}"#, "control"),
            (r#"{"definition": {"image": "a"}, "control": {"namespace": "a\nb"}}"#, "namespace"),
            (r#"{"definition": {"image": "a"}, "id": 5}"#, "id"),
        ] {
            let words = refused(&server, path, body.into(), 400).await;
            assert!(words.contains(word), "{body}: {words}");
        }
    }
    let words = refused(&server, "/q/local", b"{\"definition\": \"\xff\"}".to_vec(), 400).await;
    assert!(words.contains("UTF-8"), "{words}");
    assert!(is_empty(&server).await);
}

#[tokio::test]
async fn a_body_that_is_nested_too_deeply_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    for depth in [200, 100_000, 10 * MEBIBYTE] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let inside = format!(r#"{{"definition": {{"image": "a", "tags": {nested}}}}}"#);
        let words = refused(&server, "/q/local", inside.into_bytes(), 400).await;
        assert!(words.contains("recursion limit") || words.contains("deep"), "{words}");
        refused(&server, "/q/local", nested.into_bytes(), 400).await;
    }
    assert!(is_empty(&server).await);
}

#[tokio::test]
async fn a_body_of_65_mebibytes_is_refused_and_the_client_gets_to_read_why() {
    let server = Deskgrid::start_without_engine().await;
    let text = "x".repeat(65 * MEBIBYTE);
    let body = json!({"definition": {"image": "a", "inputs": {"x": {"value": text}}}});
    let words = refused(&server, "/q/local", body.to_string().into_bytes(), 413).await;
    assert!(words.contains("64 MB"), "{words}");
    assert!(is_empty(&server).await);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_at_the_same_size() {
    let server = Deskgrid::start_without_engine().await;
    let pieces = futures_util::stream::iter((0..65).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEBIBYTE])));
    let request = server.http().post(server.url("/q/local")).body(reqwest::Body::wrap_stream(pieces));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let json: Value = answer.json().await.unwrap();
    assert!(json["error"].as_str().unwrap().contains("64 MB"), "{json}");
}

#[tokio::test]
async fn a_body_of_60_mebibytes_is_taken_and_comes_back_word_for_word() {
    let server = Deskgrid::start_without_engine().await;
    let definition = json!({"image": "a", "inputs": {"x": {"value": "x".repeat(60 * MEBIBYTE)}}});
    let id = server.submit(&definition).await;
    assert_eq!(server.get_json(&format!("/j/{id}/definition.json")).await["data"], definition);
    let (status, input) = server.get(&format!("/j/{id}/inputs/x")).await;
    assert_eq!((status, input.len()), (200, 60 * MEBIBYTE));
}

#[tokio::test]
async fn any_content_type_will_do() {
    let server = Deskgrid::start_without_engine().await;
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let request = Raw::new("POST", "/q/local").header("Content-Type", kind);
        let answer = request.body(r#"{"definition":{"image":"a"}}"#).send(&server).await;
        assert_eq!((answer.status, &answer.json()["success"]), (200, &json!(true)), "{kind}");
    }
}
