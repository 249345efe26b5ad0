//! A job that ran before is answered from its result, without a container.

use std::time::Duration;

use deskgrid_tests::Page;
use serde_json::json;

use crate::Bench;
use crate::page::{run, small_job, told_finished};
use crate::samples::{Samples, timed};
use crate::table::Row;

const MOST: Duration = Duration::from_millis(3);
/// Longer than the pause that a socket makes between two frames of states.
const BETWEEN: Duration = Duration::from_millis(60);

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let mut page = Page::open(&bench.server, "local").await;
    let definition = small_job();
    let id = run(&mut page, &definition).await;
    let (mut socket, mut ping) = (Samples::default(), Samples::default());
    let (mut post, mut health) = (Samples::default(), Samples::default());
    for _ in 0..bench.scale.repeats {
        tokio::time::sleep(BETWEEN).await;
        let repeat = async {
            page.submit(&id, &definition, &json!({})).await;
            told_finished(&mut page, &id).await;
        };
        socket.push(timed(repeat).await.0);
        ping.push(timed(ping_pong(&mut page)).await.0);
        let body = json!({"id": id, "definition": definition, "control": {}});
        let both = async {
            bench.server.post("/q/local", &body).await;
            bench.server.get_json(&format!("/q/local/j/{id}/result.json")).await
        };
        let (took, result) = timed(both).await;
        assert_eq!(result["data"]["state"], "Finished");
        post.push(took);
        let two = async { (bench.server.get("/health").await, bench.server.get("/health").await) };
        health.push(timed(two).await.0);
    }
    page.close().await;
    vec![
        Row::medians("repeated job by WebSocket", &socket, &ping, "PING and PONG")
            .aim_time(socket.median(), MOST),
        Row::times("repeated job by WebSocket, p95", socket.p95(), ping.p95(), "PING and PONG"),
        Row::medians("repeated job by POST, and GET of its result", &post, &health, "GET /health twice")
            .aim_time(post.median(), MOST),
        Row::times("repeated job by POST and GET, p95", post.p95(), health.p95(), "GET /health twice"),
    ]
}

async fn ping_pong(page: &mut Page) {
    page.send_text("PING").await;
    page.next_of("PONG").await;
}
