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

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one page received until it knew all jobs.
struct Received {
    bytes: usize,
    frames: usize,
    at: Instant,
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let jobs = bench.scale.queued;
    // Without an engine all jobs stay in the queue.
    let docker_host = Some("unix:///nowhere/docker.sock".to_owned());
    let server = Deskgrid::start_with(Options { docker_host, ..Options::default() }).await;
    let echo = ping_pongs(&server, jobs).await;
    let sockets = future::join_all((0..PAGES).map(|_| connect(&server))).await;
    let (mut sinks, streams): (Vec<_>, Vec<_>) = sockets.into_iter().map(|socket| socket.split()).unzip();
    let began = Instant::now();
    let pages = future::join_all(streams.into_iter().map(|stream| until_known(stream, jobs)));
    let (pages, ()) = tokio::join!(pages, submit(&mut sinks[0], jobs));
    let resident = Resident::of(&server);
    let (listing, list) = timed(server.get("/q/local")).await;
    let late = async {
        let (_sink, stream) = connect(&server).await.split();
        until_known(stream, jobs).await
    };
    let (connecting, late) = timed(late).await;
    rows(jobs, &pages, (began, echo), (late, connecting), (list.1.len(), listing), resident)
}

fn rows(
    jobs: usize,
    pages: &[Received],
    (began, echo): (Instant, Duration),
    (late, connecting): (Received, Duration),
    (list, listing): (usize, Duration),
    resident: Resident,
) -> Vec<Row> {
    let bytes = pages.iter().map(|page| page.bytes).max().unwrap_or_default() as f64;
    let frames = pages.iter().map(|page| page.frames).max().unwrap_or_default();
    let last = pages.iter().map(|page| page.at - began).max().unwrap_or_default();
    let list_name = "GET /q/local once";
    let list = list as f64;
    vec![
        Row::new(format!("{jobs} queued jobs, {PAGES} pages: to each"), megabytes(bytes))
            .against(megabytes(list), list_name)
            .apart(format!("x{:.2}, {frames} frames", bytes / list))
            .aim_bytes(bytes, MOST_BYTES),
        Row::times("until the last page knows all of them", last, echo, "as many PINGs answered"),
        Row::times("a page that comes later knows all of them", connecting, listing, list_name)
            .aim_bytes(late.bytes as f64, MOST_BYTES),
        Row::new(format!("memory with {jobs} queued jobs (RSS)"), megabytes(resident.all))
            .against(megabytes(resident.all - resident.anonymous), "of it, the program's code"),
    ]
}

async fn connect(server: &Deskgrid) -> Socket {
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
