//! Everything at once: a long queue, many pages, many uploads and a log without end. Meanwhile `/health` and the list
//! of the queue are asked again and again, as they were before on the same server when nothing else was going on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deskgrid_tests::{Deskgrid, Options, sha256, shell, unique};
use futures_util::{StreamExt as _, future};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Bench;
use crate::memory::Resident;
use crate::queue::{connect, fill};
use crate::samples::{Samples, timed};
use crate::table::{Row, megabytes, speed};

/// 99 of 100 answers are there by then.
const MOST_TIME: Duration = Duration::from_millis(100);
const MOST_MEMORY: f64 = 150e6;
/// Bytes of each uploaded file.
const FILE: usize = 256 * 1024;
/// Files that each uploader brings, one after the other: so many uploads are under way for some seconds, and there are
/// answers enough for a 99th percentile that is not merely the slowest.
const FILES_EACH: usize = 4;
/// Between two questions of the same kind.
const BETWEEN: Duration = Duration::from_millis(20);
/// The log grows by so much a second: a tenth of it every tenth of a second.
const LOG_PER_SECOND: u64 = 50_000_000;

/// Answers to the two questions.
#[derive(Default)]
struct Asked {
    /// Over a connection that stays.
    health: Samples,
    /// Over a connection of its own, as a script asks.
    fresh_health: Samples,
    list: Samples,
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let scale = bench.scale;
    let args = vec!["--cpus".to_owned(), "1".to_owned()];
    let server = Arc::new(Deskgrid::start_with(Options { args, ..Options::default() }).await);
    // It takes the one CPU, so that all others wait.
    let writer = server.submit(&shell(&writing())).await;
    server.until_said(&writer, "ready").await;
    fill(&server, scale.queued).await;
    let idle_memory = Resident::of(&server).all;
    let calm = asked_while(&server, tokio::time::sleep(calm_time(scale.uploads))).await.0;
    let pages = pages(&server, scale.sockets).await;
    go_on(&server, &writer).await;
    let (busy, (took, log)) = asked_while(&server, load(&server, &writer, scale.uploads)).await;
    let peak = peak_of(&server);
    drop(pages);
    server.post(&format!("/q/local/j/{writer}/cancel"), &json!({})).await;
    let what = format!("{} jobs, {} sockets, {} uploads at once", scale.queued, scale.sockets, scale.uploads);
    let uploaded = (scale.uploads * FILES_EACH * FILE) as u64;
    let mut rows = vec![
        Row::new(format!("load: {what}"), speed(uploaded, took)).apart(format!("log {}", speed(log, took))),
    ];
    rows.extend(rows_of("GET /health", &busy.health, &calm.health));
    rows.extend(rows_of("GET /health, new connection", &busy.fresh_health, &calm.fresh_health));
    rows.extend(rows_of("GET /q/local", &busy.list, &calm.list));
    let memory = Row::new("most memory under load (RSS)", megabytes(peak));
    rows.push(memory.against(megabytes(idle_memory), "before the load").aim_bytes(peak, MOST_MEMORY));
    rows
}

fn rows_of(what: &str, busy: &Samples, calm: &Samples) -> [Row; 2] {
    const CALM: &str = "the same without the load";
    [
        Row::times(format!("{what} under load, p50"), busy.median(), calm.median(), CALM),
        Row::times(format!("{what} under load, p99"), busy.p99(), calm.p99(), CALM)
            .aim_time(busy.p99(), MOST_TIME),
    ]
}

/// Long enough for as many answers as the load leaves time for.
fn calm_time(uploads: usize) -> Duration {
    Duration::from_millis(5 * uploads as u64).max(Duration::from_millis(200))
}

/// Waits for a file, then writes lines for as long as it lives.
fn writing() -> String {
    let piece = LOG_PER_SECOND / 10;
    let line = "a line of a log that goes on for a while, as logs do, and says the same all the time";
    format!(
        ": {}; yes '{line}' | head -c {piece} > /tmp/piece; echo ready; \
         while [ ! -e /job-cache/$JOB_ID ]; do sleep 0.1; done; rm /job-cache/$JOB_ID; \
         while :; do cat /tmp/piece & sleep 0.1; wait; done",
        unique()
    )
}

/// Lets the job write. The server's one CPU is taken, so another's job gives the sign.
async fn go_on(server: &Deskgrid, writer: &str) {
    let other = Deskgrid::start_with(Options::default()).await;
    other.run(&shell(&format!(": {}; touch /job-cache/{writer}", unique()))).await;
    drop(other);
    while log_length(server, writer) < LOG_PER_SECOND {
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Sockets that read all they are sent and look at none of it.
async fn pages(server: &Arc<Deskgrid>, count: usize) -> JoinSet<()> {
    let mut pages = JoinSet::new();
    for _ in 0..count {
        let mut socket = connect(server).await;
        pages.spawn(async move { while socket.next().await.is_some() {} });
    }
    pages
}

/// All uploaders at once, each over a connection of its own. Returns how long they took, and by how many bytes the log
/// grew meanwhile.
async fn load(server: &Arc<Deskgrid>, writer: &str, uploads: usize) -> (Duration, u64) {
    let files = (0..uploads).map(|_| [(); FILES_EACH].map(|()| file())).collect::<Vec<_>>();
    let before = log_length(server, writer);
    let (client, mut all) = (client(true), JoinSet::new());
    for files in files {
        let requests = files.map(|(hash, bytes)| client.put(server.url(&format!("/f/{hash}"))).body(bytes));
        all.spawn(async move {
            for request in requests {
                assert_eq!(request.send().await.expect("an answer").status(), 200);
            }
        });
    }
    let took = timed(all.join_all()).await.0;
    (took, log_length(server, writer) - before)
}

fn file() -> (String, Vec<u8>) {
    let bytes: Vec<u8> = unique().into_bytes().into_iter().cycle().take(FILE).collect();
    (sha256(&bytes), bytes)
}

/// A client that keeps connections for later requests, or uses each once.
fn client(keeps: bool) -> reqwest::Client {
    let most = if keeps { usize::MAX } else { 0 };
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(most).build().expect("a client")
}

/// Bytes of the log of a job on the disk.
fn log_length(server: &Deskgrid, job: &str) -> u64 {
    let name = format!("-{job}.run.jsonl");
    let folders = std::fs::read_dir(server.data().join("logs")).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let mut log = files.filter(|file| file.file_name().to_string_lossy().ends_with(&name));
    log.next().and_then(|file| file.metadata().ok()).map_or(0, |facts| facts.len())
}

/// Asks all the time until `work` is done.
async fn asked_while<T>(server: &Arc<Deskgrid>, work: impl Future<Output = T>) -> (Asked, T) {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Over(is_over.clone());
    let ask = |path: &'static str, keeps: bool| {
        let (server, is_over) = (server.clone(), is_over.clone());
        tokio::task::spawn_blocking(move || asked(&server, path, keeps, &is_over))
    };
    let all = future::join3(ask("/health", true), ask("/health", false), ask("/q/local", true));
    let work = async {
        let done = work.await;
        drop(over);
        done
    };
    let ((health, fresh_health, list), done) = future::join(all, work).await;
    let whole = "the server answers";
    let asked = Asked {
        health: health.expect(whole),
        fresh_health: fresh_health.expect(whole),
        list: list.expect(whole),
    };
    (asked, done)
}

/// Ends the asking, also when the work breaks off.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks from a thread of its own, as another program does: on the threads of those who upload and listen, the time
/// until an answer is looked at would be counted too.
fn asked(server: &Deskgrid, path: &str, keeps: bool, is_over: &AtomicBool) -> Samples {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, mut samples) = (client(keeps), Samples::default());
        while !is_over.load(Ordering::Relaxed) {
            let (took, status) = timed(answered(&client, server.url(path))).await;
            assert_eq!(status, 200);
            samples.push(took);
            tokio::time::sleep(BETWEEN).await;
        }
        samples
    })
}

/// Reads the whole answer.
async fn answered(client: &reqwest::Client, url: String) -> u16 {
    let answer = client.get(url).send().await.expect("an answer");
    let status = answer.status().as_u16();
    answer.bytes().await.expect("a body");
    status
}

/// The most that the server ever had in memory, in bytes.
fn peak_of(server: &Deskgrid) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a field");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}
