//! What answers at the local door while the data folder is on its way to another place: how far it is, and nothing
//! else. The site itself cannot be there, since nobody may have the folder open meanwhile.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admin::{Move, moving_json};
use crate::error::HttpError;

/// Answers with the progress of a move, as [`crate::OpenDoor::serve_moving`] has it.
pub(crate) fn routes(progress: watch::Receiver<Move>) -> Router {
    Router::new()
        .route("/api/desk", get(async |State(progress): State<Progress>| Json(desk(&progress.borrow()))))
        .route("/api/events", get(events))
        .fallback(not_now)
        .with_state(progress)
}

type Progress = watch::Receiver<Move>;

async fn events(State(progress): State<Progress>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let first = stream::iter([event(&progress.borrow())]);
    let later = stream::unfold(progress, async |mut progress| {
        progress.changed().await.ok()?;
        let event = event(&progress.borrow_and_update());
        Some((event, progress))
    });
    Sse::new(first.chain(later).map(Ok)).keep_alive(KeepAlive::default())
}

fn event(moving: &Move) -> Event {
    Event::default().event("desk").data(desk(moving).to_string())
}

/// The state of the desk as far as there is one.
fn desk(moving: &Move) -> Value {
    let words = "The data folder is being moved. Jobs start again when it is there.";
    let nothing = json!({ "cpuMillis": 0, "memory": 0, "gpus": 0 });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "platform": std::env::consts::OS,
        "doors": "closed",
        "problem": null,
        "address": "",
        "port": 0,
        "engine": {
            "code": "engine-not-running", "ready": false, "words": words, "advice": [],
            "version": null, "address": null, "cpus": null, "memory": null,
        },
        "capacity": nothing,
        "taken": nothing,
        "counts": { "running": 0, "waiting": 0, "asking": 0, "finished": 0 },
        "dataDirectory": moving.to,
        "settingsFile": null,
        "shell": { "tray": true, "startAtLogin": null, "quitting": false },
        "move": moving_json(moving),
    })
}

async fn not_now() -> HttpError {
    let words = "Deskgrid is moving its data folder. Ask again when it is there.";
    HttpError::refused(axum::http::StatusCode::SERVICE_UNAVAILABLE, "moving", words)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn progress_is_told_and_everything_else_is_refused_for_now() {
        let moving = Move { to: "/new".into(), done: 3, total: 9, problem: None };
        let (_sender, progress) = watch::channel(moving);
        let ask = |path: &str| {
            routes(progress.clone()).oneshot(Request::builder().uri(path).body(Body::empty()).unwrap())
        };
        let answer = ask("/api/desk").await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        let desk: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(desk["move"], json!({"to": "/new", "done": 3, "total": 9, "problem": null}));
        assert_eq!(ask("/api/jobs").await.unwrap().status(), 503);
    }
}
