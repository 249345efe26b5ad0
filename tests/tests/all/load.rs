//! Very many at once: everybody is served, and nothing is lost or mixed up. How fast that is, the benchmark tells.

use deskgrid_tests::{Deskgrid, Page, Raw, sha256, shell, unique};
use futures_util::future;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Uploads at once.
const UPLOADS: usize = 1000;
/// More than there are threads that may wait for the disk.
const PAUSING: usize = 600;
const SOCKETS: usize = 200;

/// Bytes that no other file has; long enough that they come in more than one piece.
fn file(number: usize) -> Vec<u8> {
    let seed = format!("{number} of {}\n", unique());
    seed.into_bytes().into_iter().cycle().take(100_000 + number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_uploads_at_once_are_all_stored_as_they_were_sent() {
    let server = Deskgrid::start_without_engine().await;
    let uploads = (0..UPLOADS).map(|number| {
        let server = &server;
        async move {
            let bytes = file(number);
            let hash = sha256(&bytes);
            assert_eq!(server.put(&hash, bytes).await, 200);
            hash
        }
    });
    let hashes = future::join_all(uploads).await;
    for hash in hashes {
        let (status, bytes) = server.get(&format!("/f/{hash}")).await;
        assert_eq!((status, sha256(bytes)), (200, hash));
    }
    let left = std::fs::read_dir(server.data().join("incoming")).unwrap();
    let left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name()).filter(|name| name != "CACHEDIR.TAG").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// An upload of which all but the end has been sent.
async fn begun(server: &Deskgrid, bytes: &[u8]) -> TcpStream {
    let put = Raw::new("PUT", &format!("/f/{}", sha256(bytes))).header("Content-Length", bytes.len());
    put.bare_body(&bytes[..bytes.len() - 1]).send_and_stay(server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_pause_keep_nobody_waiting_and_come_to_their_end() {
    let server = Deskgrid::start_without_engine().await;
    let files: Vec<_> = (0..PAUSING).map(file).collect();
    let streams = future::join_all(files.iter().map(|bytes| begun(&server, bytes))).await;
    assert_eq!(server.get("/health").await.1, b"OK");
    let bytes = file(0);
    assert_eq!(server.put(&sha256(&bytes), bytes).await, 200);
    for stream in &streams {
        let refused = stream.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(
            refused,
            Err(std::io::ErrorKind::WouldBlock),
            "they still wait, and were not given up for that"
        );
    }
    let ends = streams.into_iter().zip(&files).map(|(mut stream, bytes)| async move {
        stream.write_all(&bytes[bytes.len() - 1..]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    future::join_all(ends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sockets_are_all_told_of_the_same_job_while_one_writes_without_end() {
    let server = Deskgrid::start_with_cpus(2).await;
    let flood = server.submit(&shell(&format!(": {}; yes a line of a log that never ends", unique()))).await;
    let mut pages = future::join_all((0..SOCKETS).map(|_| Page::open(&server, "local"))).await;
    pages[0].until(&flood, "Running").await;
    let id = server.submit(&shell(&format!(": {}", unique()))).await;
    for told in future::join_all(pages.iter_mut().map(|page| page.until(&id, "Finished"))).await {
        assert_eq!(told["finishedReason"], "Success", "{told}");
    }
    server.post(&format!("/q/local/j/{flood}/cancel"), &json!({})).await;
}
