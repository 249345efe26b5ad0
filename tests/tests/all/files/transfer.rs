//! `/f/:key`: storing, fetching whole and in part, and uploads that go wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deskgrid_tests::{Deskgrid, Raw, eventually, sha256};
use serde_json::json;

/// Every file below `folder`; the database's own files come and go.
pub(super) fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder may go while we look.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => drop(found.insert(entry.path())),
            }
        }
    }
    found.retain(|path| !path.to_string_lossy().contains(".sqlite"));
    found
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_stored_under_its_hash() {
    let server = Deskgrid::start_without_engine().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let hash = sha256(&bytes);
    assert_eq!(server.get(&format!("/f/{hash}/exists")).await, (404, br#"{"exists":false}"#.to_vec()));
    let put = Raw::new("PUT", &format!("/f/{hash}")).body(bytes.clone()).send(&server).await;
    assert_eq!(put.status, 200);
    assert!(put.header("content-type").unwrap().starts_with("text/plain") && put.text().contains("3000000"));
    assert_eq!(server.get(&format!("/f/{hash}/exists")).await, (200, br#"{"exists":true}"#.to_vec()));
    for key in [hash.clone(), hash.to_uppercase()] {
        let answer = Raw::new("GET", &format!("/f/{key}")).send(&server).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == bytes, "the bytes differ");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert_eq!(answer.header("content-length"), Some("3000000"));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert!(answer.header("content-disposition").unwrap().starts_with("attachment"));
        assert_eq!(answer.header("etag"), Some(format!("\"{hash}\"").as_str()));
    }
    assert_eq!(server.put(&hash, bytes).await, 200, "again is harmless");
}

#[tokio::test]
async fn head_tells_everything_but_the_bytes() {
    let server = Deskgrid::start_without_engine().await;
    server.put("data.bin", b"12345".to_vec()).await;
    let answer = Raw::new("HEAD", "/f/data.bin").send(&server).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), Some("5"));
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", sha256("12345")).as_str()));
    assert_eq!(Raw::new("HEAD", "/f/none").send(&server).await.status, 404);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_plain_404() {
    let server = Deskgrid::start_without_engine().await;
    for key in ["none", &sha256("none")] {
        let answer = Raw::new("GET", &format!("/f/{key}")).send(&server).await;
        assert_eq!((answer.status, answer.text().as_str()), (404, "File not found"));
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    }
}

#[tokio::test]
async fn parts_of_a_file_can_be_asked_for() {
    let server = Deskgrid::start_without_engine().await;
    server.put("digits", b"0123456789".to_vec()).await;
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", Some("bytes 0-3/10")),
        ("bytes=4-", 206, "456789", Some("bytes 4-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("bytes=-99", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=-0", 416, "", Some("bytes */10")),
        ("bytes=3-1", 200, "0123456789", None),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("lines=0-1", 200, "0123456789", None),
        ("bytes=a-b", 200, "0123456789", None),
    ] {
        let answer = Raw::new("GET", "/f/digits").header("Range", range).send(&server).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
    }
}

#[tokio::test]
async fn a_client_that_has_the_bytes_does_not_get_them_again() {
    let server = Deskgrid::start_without_engine().await;
    server.put("data", b"data".to_vec()).await;
    let tag = format!("\"{}\"", sha256("data"));
    for known in [tag.clone(), format!("\"x\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let answer = Raw::new("GET", "/f/data").header("If-None-Match", &known).send(&server).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    let other = Raw::new("GET", "/f/data").header("If-None-Match", "\"x\"").send(&server).await;
    assert_eq!((other.status, other.text().as_str()), (200, "data"));
    for (known, status) in [(tag.as_str(), 206), ("\"x\"", 200)] {
        let request = Raw::new("GET", "/f/data").header("Range", "bytes=1-").header("If-Range", known);
        assert_eq!(request.send(&server).await.status, status, "{known}");
    }
}

#[tokio::test]
async fn a_name_stands_for_its_newest_bytes_and_json_is_told_by_it() {
    let server = Deskgrid::start_without_engine().await;
    for text in [r#"{"a":1}"#, r#"{"a":2}"#] {
        assert_eq!(server.put("data.json", text.into()).await, 200);
        let answer = Raw::new("GET", "/f/data.json").send(&server).await;
        assert_eq!((answer.text().as_str(), answer.header("content-type")), (text, Some("application/json")));
        assert_eq!(server.get(&format!("/f/{}", sha256(text))).await.0, 200);
    }
    for key in ["a", "A-b_c.1", "x".repeat(255).as_str(), "a..b", "-", "trailing."] {
        assert_eq!(server.put(key, key.into()).await, 200, "{key}");
        assert_eq!(server.get(&format!("/f/{key}")).await, (200, key.as_bytes().to_vec()), "{key}");
        assert_eq!(server.get_json(&format!("/f/{key}/exists")).await, json!({"exists": true}), "{key}");
    }
}

#[tokio::test]
async fn the_empty_file_is_a_file() {
    let server = Deskgrid::start_without_engine().await;
    let hash = sha256("");
    for key in [hash.as_str(), "empty"] {
        assert_eq!(Raw::new("PUT", &format!("/f/{key}")).body("").send(&server).await.status, 200);
        assert_eq!(server.get_json(&format!("/f/{key}/exists")).await, json!({"exists": true}));
        let answer = Raw::new("GET", &format!("/f/{key}")).send(&server).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
        let range = Raw::new("GET", &format!("/f/{key}")).header("Range", "bytes=0-").send(&server).await;
        assert!(matches!(range.status, 200 | 416), "{}", range.status);
    }
}

#[tokio::test]
async fn bytes_that_do_not_match_their_hash_are_refused_and_leave_nothing() {
    let server = Deskgrid::start_without_engine().await;
    let before = files_below(&server.data());
    let claimed = sha256("right");
    let answer = Raw::new("PUT", &format!("/f/{claimed}")).body("wrong").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("hash-mismatch")));
    let words = answer.json()["error"].as_str().expect("words").to_owned();
    assert!(words.contains(&claimed) && words.contains(&sha256("wrong")), "{words}");
    for text in ["right", "wrong"] {
        assert_eq!(server.get(&format!("/f/{}/exists", sha256(text))).await.0, 404, "{text}");
    }
    assert_eq!(files_below(&server.data()), before);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Deskgrid::start_without_engine().await;
    let before = files_below(&server.data());
    let whole = vec![7; 100_000];
    let (hash, name) = (sha256(&whole), "broken");
    for key in [hash.as_str(), name] {
        let request = Raw::new("PUT", &format!("/f/{key}")).header("Content-Length", whole.len());
        let connection = request.bare_body(&whole[..60_000]).send_and_stay(&server).await;
        eventually("the upload has begun", async || files_below(&server.data()) != before).await;
        drop(connection);
        eventually("nothing is left of the upload", async || files_below(&server.data()) == before).await;
        assert_eq!(server.get(&format!("/f/{key}/exists")).await.0, 404, "{key}");
    }
    assert_eq!(server.put(&hash, whole).await, 200);
}

#[tokio::test]
async fn a_chunked_upload_that_breaks_off_leaves_nothing_either() {
    let server = Deskgrid::start_without_engine().await;
    let before = files_below(&server.data());
    let request =
        Raw::new("PUT", "/f/broken").header("Transfer-Encoding", "chunked").bare_body("5\r\nhello\r\n");
    let connection = request.send_and_stay(&server).await;
    eventually("the upload has begun", async || files_below(&server.data()) != before).await;
    drop(connection);
    eventually("nothing is left of the upload", async || files_below(&server.data()) == before).await;
    assert_eq!(server.get("/f/broken/exists").await.0, 404);
}

#[tokio::test]
async fn a_server_killed_during_an_upload_leaves_nothing_after_its_next_start() {
    let mut server = Deskgrid::start_without_engine().await;
    let before = files_below(&server.data());
    let request =
        Raw::new("PUT", "/f/broken").header("Transfer-Encoding", "chunked").bare_body("5\r\nhello\r\n");
    let _connection = request.send_and_stay(&server).await;
    eventually("the upload has begun", async || files_below(&server.data()) != before).await;
    server.kill().await;
    server.start_again().await;
    assert_eq!(files_below(&server.data()), before);
    assert_eq!(server.get("/f/broken/exists").await.0, 404);
}

#[tokio::test]
async fn many_clients_may_bring_the_same_file_at_once() {
    let server = Deskgrid::start_without_engine().await;
    let bytes = vec![1; 500_000];
    let hash = sha256(&bytes);
    let puts = (0..8).map(|_| server.put(&hash, bytes.clone()));
    assert_eq!(futures_util::future::join_all(puts).await, [200; 8]);
    let stored = files_below(&server.data());
    assert_eq!(
        stored.iter().filter(|path| path.metadata().is_ok_and(|file| file.len() == 500_000)).count(),
        1
    );
    let (status, back) = server.get(&format!("/f/{hash}")).await;
    assert!(status == 200 && back == bytes);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_the_body_is_asked() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Deskgrid::start_without_engine().await;
    let request = Raw::new("PUT", "/f/late").header("Expect", "100-continue").header("Content-Length", 4);
    let mut connection = request.send_and_stay(&server).await;
    let mut word = [0; 21];
    connection.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue");
    connection.write_all(b"late").await.unwrap();
    let mut rest = String::new();
    connection.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("HTTP/1.1 200"), "{rest}");
    assert_eq!(server.get("/f/late").await, (200, b"late".to_vec()));
}
