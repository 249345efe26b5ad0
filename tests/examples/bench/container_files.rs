//! What a big input and a big output add to a job.

use std::path::Path;
use std::time::{Duration, Instant};

use deskgrid_tests::engine::Events;
use deskgrid_tests::{Page, shell, unique};
use serde_json::{Value, json};

use crate::bare::{Bare, Folders};
use crate::files::BigFile;
use crate::page::{run, small_job};
use crate::samples::Samples;
use crate::table::{Row, megabytes, time};
use crate::{Bench, command_line, plain_http};

/// "Milliseconds, not seconds."
const INPUT_MOST: Duration = Duration::from_millis(20);

/// The same job with and without the input.
pub(crate) async fn measure_input(bench: &Bench) -> Vec<Row> {
    let Bench { server, scale, .. } = bench;
    let big = BigFile::make(server, scale.bytes);
    big.renew();
    let (_, hash) = command_line::sha256sum(&big.path()).await;
    tokio::task::block_in_place(|| plain_http::put(server, &hash, &big.path()));
    let mut page = Page::open(server, "local").await;
    let mut events = server.engine().events(server).await;
    let (mut with, mut without) = (Samples::default(), Samples::default());
    let input = json!({"big": {"type": "url", "value": server.url(&format!("/f/{hash}"))}});
    for _ in 0..scale.rounds {
        let mut definition = small_job();
        definition["inputs"] = input.clone();
        with.push(run_alone(&mut page, &mut events, &definition).await);
        without.push(run_alone(&mut page, &mut events, &small_job()).await);
    }
    page.close().await;
    let what = format!("job with an input of {}", megabytes(scale.bytes as f64));
    vec![
        Row::medians(what, &with, &without, "the same job without it")
            .aim_added(with.above(&without), INPUT_MOST),
    ]
}

/// The same container by the bare API, its file hashed and brought onto the disk afterwards.
pub(crate) async fn measure_output(bench: &Bench) -> Vec<Row> {
    let Bench { server, engine, scale, .. } = bench;
    let mut page = Page::open(server, "local").await;
    let mut events = server.engine().events(server).await;
    let (mut ours, mut limit) = (Samples::default(), Limit::default());
    for _ in 0..scale.long_rounds {
        let script = writing(scale.bytes);
        ours.push(run_alone(&mut page, &mut events, &shell(&script)).await);
        command_line::settle(&server.data()).await;
        limit.measure(engine, &script, &server.data()).await;
        command_line::settle(&server.data()).await;
    }
    page.close().await;
    let parts = format!(
        "bare API {}, sha256sum {}, sync {}",
        time(limit.container.median()),
        time(limit.hash.median()),
        time(limit.sync.median())
    );
    let what = format!("job with an output of {}", megabytes(scale.bytes as f64));
    vec![Row::medians(what, &ours, &limit.all, &parts)]
}

/// Until the job is told to be finished; nothing of it is left afterwards.
async fn run_alone(page: &mut Page, events: &mut Events, definition: &Value) -> Duration {
    let began = Instant::now();
    let id = run(page, definition).await;
    let took = began.elapsed();
    events.until("destroy", &id).await;
    took
}

/// A file with a beginning of its own, so that it is not in the store yet.
fn writing(bytes: u64) -> String {
    let mebibytes = bytes >> 20;
    format!("(echo {}; dd if=/dev/zero bs=1M count={mebibytes} 2>/dev/null) >/outputs/big", unique())
}

#[derive(Default)]
struct Limit {
    container: Samples,
    hash: Samples,
    sync: Samples,
    all: Samples,
}

impl Limit {
    async fn measure(&mut self, engine: &Bare, script: &str, place: &Path) {
        let folders = Folders::below(place);
        let file = folders.path().join("outputs/big");
        let ended = engine.run(script, &folders).await;
        let (hash, _) = command_line::sha256sum(&file).await;
        let mut sync = tokio::process::Command::new("sync");
        sync.arg(&file);
        let sync = command_line::finished(sync).await;
        self.container.push(ended.took);
        self.hash.push(hash);
        self.sync.push(sync);
        self.all.push(ended.took + hash + sync);
        engine.remove(&ended).await;
    }
}
