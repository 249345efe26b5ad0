//! How much longer a job takes than its container.

use std::time::{Duration, Instant};

use deskgrid_tests::engine::Events;
use deskgrid_tests::{Deskgrid, Page};
use serde_json::Value;

use crate::bare::{Bare, Folders};
use crate::page::{run, small_job};
use crate::samples::{Samples, timed};
use crate::table::Row;
use crate::{Bench, command_line};

/// What a job may cost beyond the same container by the bare API.
const MOST_ADDED: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Measured {
    socket: Samples,
    socket_removed: Samples,
    post: Samples,
    bare: Samples,
    bare_removed: Samples,
    docker_run: Samples,
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let Bench { server, engine, scale, .. } = bench;
    let mut page = Page::open(server, "local").await;
    let mut events = server.engine().events(server).await;
    let mut measured = Measured::default();
    for _ in 0..scale.rounds {
        by_socket(&mut page, &mut events, &mut measured).await;
        by_api(engine, &server.data(), &mut measured).await;
        by_post(server, &mut events, &mut measured).await;
        let folders = Folders::below(&server.data());
        measured.docker_run.push(command_line::docker_run(engine, ":", &folders).await);
    }
    page.close().await;
    rows(&measured)
}

async fn by_socket(page: &mut Page, events: &mut Events, measured: &mut Measured) {
    let definition = small_job();
    let began = Instant::now();
    let id = run(page, &definition).await;
    measured.socket.push(began.elapsed());
    // The next measurement begins when nothing of this one is left.
    events.until("destroy", &id).await;
    measured.socket_removed.push(began.elapsed());
}

async fn by_post(server: &Deskgrid, events: &mut Events, measured: &mut Measured) {
    let definition = small_job();
    let (took, id) = timed(post_and_stream(server, &definition)).await;
    measured.post.push(took);
    events.until("destroy", &id).await;
}

/// Without the result, which the socket does not bring either.
async fn post_and_stream(server: &Deskgrid, definition: &Value) -> String {
    let id = server.submit(definition).await;
    server.until_said(&id, "event: final").await;
    id
}

async fn by_api(engine: &Bare, place: &std::path::Path, measured: &mut Measured) {
    let folders = Folders::below(place);
    let (took, ended) = timed(async {
        let ended = engine.run(":", &folders).await;
        engine.remove(&ended).await;
        ended
    })
    .await;
    measured.bare.push(ended.took);
    measured.bare_removed.push(took);
}

fn rows(measured: &Measured) -> Vec<Row> {
    const API: &str = "bare API: create, attach, start, wait";
    const API_REMOVED: &str = "bare API, with removal";
    const RUN: &str = "docker run --rm";
    let Measured { socket, socket_removed, post, bare, bare_removed, docker_run } = measured;
    vec![
        Row::medians("job by WebSocket", socket, bare, API).aim_added(socket.above(bare), MOST_ADDED),
        Row::times("job by WebSocket, p95", socket.p95(), bare.p95(), API),
        Row::medians("job by POST and event stream", post, bare, API).aim_added(post.above(bare), MOST_ADDED),
        Row::times("job by POST and event stream, p95", post.p95(), bare.p95(), API),
        Row::medians("job until its container is removed", socket_removed, bare_removed, API_REMOVED),
        Row::medians("job by WebSocket", socket, docker_run, RUN),
        Row::times("job by WebSocket, p95", socket.p95(), docker_run.p95(), RUN),
    ]
}
