//! Many small jobs, as many at once as there are CPUs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deskgrid_tests::{Page, unique};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Bench;
use crate::bare::{Bare, Folders};
use crate::page::{all_told_finished, small_job};
use crate::samples::Samples;
use crate::table::{Row, ratio};

/// The jobs come in so many parts, each measured beside the same number of bare containers.
const PARTS: usize = 4;

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    let part = bench.scale.jobs / PARTS;
    for _ in 0..PARTS {
        ours.push(by_socket(bench, part).await);
        bare.push(by_api(&bench.engine, &bench.server.data(), part, bench.at_once).await);
    }
    let jobs = part * PARTS;
    let rate = |samples: &Samples| jobs as f64 / samples.total().as_secs_f64();
    let (ours, bare) = (rate(&ours), rate(&bare));
    let what = format!("{jobs} small jobs, {} at once", bench.at_once);
    let row = Row::new(what, format!("{ours:.2} /s"));
    vec![
        row.against(format!("{bare:.2} /s"), "bare API, removal on the side")
            .apart(format!("{} as fast", ratio(ours, bare))),
    ]
}

/// Until the last job is told to be finished; containers are removed on the side.
async fn by_socket(bench: &Bench, count: usize) -> Duration {
    let mut page = Page::open(&bench.server, "local").await;
    let mut events = bench.server.engine().events(&bench.server).await;
    let ids: Vec<_> = (0..count).map(|_| unique()).collect();
    let began = Instant::now();
    for id in &ids {
        page.submit(id, &small_job(), &json!({})).await;
    }
    all_told_finished(&mut page, ids.iter().cloned().collect()).await;
    let took = began.elapsed();
    events.until_all("destroy", ids.into_iter().collect()).await;
    page.close().await;
    took
}

async fn by_api(engine: &Bare, place: &Path, count: usize, at_once: usize) -> Duration {
    let removals = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
    let began = Instant::now();
    let runs = stream::iter(0..count).map(|_| {
        let (engine, removals, folders) = (engine.clone(), removals.clone(), Folders::below(place));
        async move {
            let ended = engine.run(":", &folders).await;
            removals.lock().await.spawn(async move { engine.remove(&ended).await });
        }
    });
    runs.buffer_unordered(at_once).for_each(async |()| ()).await;
    let took = began.elapsed();
    while removals.lock().await.join_next().await.is_some() {}
    took
}
