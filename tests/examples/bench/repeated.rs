//! A job that ran before is answered from its result, without a container.

use std::time::Duration;

use deskgrid_tests::Page;
use serde_json::json;

use crate::Bench;
use crate::page::{run, small_job, told_finished};
use crate::samples::{Samples, timed};
use crate::table::Row;

const MOST: Duration = Duration::from_millis(3);
/// Longer than the pause that a socket makes between two frames of states, which a person does not repeat in.
const BETWEEN: Duration = Duration::from_millis(60);

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let mut rows = by_socket(bench).await;
    rows.extend(by_post(bench).await);
    rows
}

async fn by_socket(bench: &Bench) -> Vec<Row> {
    const LIMIT: &str = "PING and PONG";
    let mut page = Page::open(&bench.server, "local").await;
    let definition = small_job();
    let id = run(&mut page, &definition).await;
    let (mut repeated, mut ping) = (Samples::default(), Samples::default());
    for _ in 0..bench.scale.repeats {
        tokio::time::sleep(BETWEEN).await;
        let repeat = async {
            page.submit(&id, &definition, &json!({})).await;
            told_finished(&mut page, &id).await;
        };
        repeated.push(timed(repeat).await.0);
        ping.push(timed(ping_pong(&mut page)).await.0);
    }
    page.close().await;
    rows("repeated job by WebSocket", &repeated, &ping, LIMIT)
}

async fn by_post(bench: &Bench) -> Vec<Row> {
    const LIMIT: &str = "GET /health twice";
    let server = &bench.server;
    let definition = small_job();
    let id = server.submit(&definition).await;
    server.finished(&id).await;
    let body = json!({"id": id, "definition": definition});
    let result = format!("/q/local/j/{id}/result.json");
    let (mut repeated, mut health) = (Samples::default(), Samples::default());
    for _ in 0..bench.scale.repeats {
        let repeat = async {
            server.post("/q/local", &body).await;
            server.get_json(&result).await
        };
        let (took, result) = timed(repeat).await;
        assert_eq!(result["data"]["state"], "Finished");
        repeated.push(took);
        let two = async { (server.get("/health").await, server.get("/health").await) };
        health.push(timed(two).await.0);
    }
    rows("repeated job by POST, and GET of its result", &repeated, &health, LIMIT)
}

fn rows(what: &str, repeated: &Samples, limit: &Samples, name: &str) -> Vec<Row> {
    vec![
        Row::medians(what, repeated, limit, name).aim_time(repeated.median(), MOST),
        Row::times(format!("{what}, p95"), repeated.p95(), limit.p95(), name),
    ]
}

async fn ping_pong(page: &mut Page) {
    page.send_text("PING").await;
    page.next_of("PONG").await;
}
