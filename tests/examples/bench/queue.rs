//! A long queue that several pages look at: what each of them is sent, and how long that takes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use deskgrid_tests::{Deskgrid, Options, unique};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _, future};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::Bench;
use crate::memory::Resident;
use crate::page::small_job;
use crate::samples::timed;
use crate::table::{Row, megabytes};

const PAGES: usize = 5;
const MOST_BYTES: f64 = 2e6;
const LIST: &str = "GET /q/local once";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one page received until it knew all jobs.
pub(crate) struct Received {
    bytes: usize,
    frames: usize,
    at: Instant,
}

/// The whole list by one request.
struct Listed {
    bytes: usize,
    took: Duration,
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let jobs = bench.scale.queued;
    // Without an engine all jobs stay in the queue.
    let docker_host = Some("unix:///nowhere/docker.sock".to_owned());
    let server = Deskgrid::start_with(Options { docker_host, ..Options::default() }).await;
    let echo = ping_pongs(&server, jobs).await;
    let (submitted, pages) = fill(&server, jobs).await;
    let list = list(&server, jobs).await;
    let mut rows = rows_of_pages(jobs, &pages, submitted, echo, &list);
    rows.push(row_of_late_page(&server, jobs, &list).await);
    let resident = Resident::of(&server);
    let memory = Row::new(format!("memory with {jobs} queued jobs (RSS)"), megabytes(resident.all));
    rows.push(memory.against(megabytes(resident.all - resident.anonymous), "of it, the program's code"));
    rows
}

/// Reads the whole list as a script does.
async fn list(server: &Deskgrid, jobs: usize) -> Listed {
    let read = async {
        let (_, body) = server.get("/q/local").await;
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(list["data"].as_object().map(serde_json::Map::len), Some(jobs));
        body.len()
    };
    let (took, bytes) = timed(read).await;
    Listed { bytes, took }
}

/// Submits all jobs by one of the pages; returns when that began, and what each page received.
pub(crate) async fn fill(server: &Deskgrid, jobs: usize) -> (Instant, Vec<Received>) {
    let sockets = future::join_all((0..PAGES).map(|_| connect(server))).await;
    let (mut sinks, streams): (Vec<_>, Vec<_>) =
        sockets.into_iter().map(futures_util::StreamExt::split).unzip();
    let began = Instant::now();
    let pages = future::join_all(streams.into_iter().map(|stream| until_known(stream, jobs)));
    let (pages, ()) = tokio::join!(pages, submit(&mut sinks[0], jobs));
    (began, pages)
}

fn rows_of_pages(
    jobs: usize,
    pages: &[Received],
    submitted: Instant,
    echo: Duration,
    list: &Listed,
) -> Vec<Row> {
    let bytes = pages.iter().map(|page| page.bytes).max().unwrap_or_default() as f64;
    let frames = pages.iter().map(|page| page.frames).max().unwrap_or_default();
    let slowest = pages.iter().map(|page| page.at - submitted).max().unwrap_or_default();
    let whole = list.bytes as f64;
    vec![
        Row::new(format!("{jobs} queued jobs, {PAGES} pages: to each"), megabytes(bytes))
            .against(megabytes(whole), LIST)
            .apart(format!("x{:.2}, {frames} frames", bytes / whole))
            .aim_bytes(bytes, MOST_BYTES),
        Row::times("until the last page knows all of them", slowest, echo, "as many PINGs answered"),
    ]
}

async fn row_of_late_page(server: &Deskgrid, jobs: usize, list: &Listed) -> Row {
    let late = async {
        let (_sink, stream) = connect(server).await.split();
        until_known(stream, jobs).await
    };
    let (took, received) = timed(late).await;
    let row = Row::times("a page that comes later knows all of them", took, list.took, LIST);
    row.aim_bytes(received.bytes as f64, MOST_BYTES)
}

pub(crate) async fn connect(server: &Deskgrid) -> Socket {
    let url = server.url("/q/local/client").replacen("http", "ws", 1);
    connect_async(url).await.expect("the socket opens").0
}

async fn submit(sink: &mut SplitSink<Socket, Message>, jobs: usize) {
    for _ in 0..jobs {
        // As long as real ids, which are hashes.
        let id = deskgrid_tests::sha256(unique());
        let enqueued = json!({"id": id, "definition": small_job(), "control": {}});
        let value = json!({"type": "Queued", "time": 1, "enqueued": enqueued});
        let payload = json!({"tag": "", "state": "Queued", "job": id, "value": value});
        let message = json!({"type": "StateChange", "payload": payload}).to_string();
        sink.send(Message::text(message)).await.expect("the socket takes it");
    }
}

async fn until_known(mut stream: SplitStream<Socket>, jobs: usize) -> Received {
    let mut known = HashSet::new();
    let mut received = Received { bytes: 0, frames: 0, at: Instant::now() };
    while known.len() < jobs {
        let message = stream.next().await.expect("the socket stays open").expect("a frame");
        let Message::Text(text) = message else { continue };
        received.bytes += text.len();
        received.frames += 1;
        received.at = Instant::now();
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        let records = frame["payload"]["state"]["jobs"].as_object();
        known.extend(records.into_iter().flat_map(|records| records.keys().cloned()));
    }
    received
}

/// As many small frames there and back without anything to do in between.
async fn ping_pongs(server: &Deskgrid, count: usize) -> Duration {
    let (mut sink, mut stream) = connect(server).await.split();
    let send = async {
        for _ in 0..count {
            sink.send(Message::text("PING")).await.expect("the socket takes it");
        }
    };
    let receive = async {
        let mut left = count;
        while left > 0 {
            let message = stream.next().await.expect("the socket stays open").expect("a frame");
            left -= usize::from(message.to_text().is_ok_and(|text| text == "PONG"));
        }
    };
    timed(future::join(send, receive)).await.0
}
