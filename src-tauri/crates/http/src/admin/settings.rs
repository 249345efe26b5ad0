//! The settings: what is in force and why, and changing them. Also what there is to choose from, and what a look at
//! the computer shows.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::understood;
use crate::Site;
use crate::access::Administrator;
use crate::body::JsonText;
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/settings", get(settings).patch(choose))
        .route("/api/settings/sheet", get(sheet))
        .route("/api/engines", get(engines))
        .route("/api/doctor", get(doctor))
}

async fn settings(_: Administrator, State(site): State<Site>) -> Json<Value> {
    Json(site.books().settings())
}

async fn sheet(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    let books = Arc::clone(site.books());
    let sheet = tokio::task::spawn_blocking(move || books.sheet()).await;
    Ok(Json(sheet.map_err(|_| deskgrid_worker::WorkerError::Stopping)?))
}

async fn choose(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Response, HttpError> {
    let values: Map<String, Value> = understood(&text)?;
    let books = Arc::clone(site.books());
    let chosen = tokio::task::spawn_blocking(move || books.choose(&values)).await;
    Ok(match chosen.map_err(|_| deskgrid_worker::WorkerError::Stopping)? {
        Ok(before) => Json(json!({ "undo": before })).into_response(),
        Err((key, (code, words))) => {
            let body = json!({ "error": words, "code": code, "key": key });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    })
}

async fn engines(_: Administrator, State(site): State<Site>) -> Json<Value> {
    let in_use = site.worker().engine().borrow().ready().map(|engine| engine.info().address.to_string());
    let found = site.premises().engines().await.into_iter().map(|engine| {
        json!({
            "inUse": in_use.as_ref() == Some(&engine.address),
            "address": engine.address,
            "foundBy": engine.found_by,
            "state": engine.state,
            "version": engine.version,
        })
    });
    Json(json!({ "engines": found.collect::<Vec<_>>() }))
}

async fn doctor(_: Administrator, State(site): State<Site>) -> Json<Value> {
    let checks = site.premises().checks().await.into_iter().map(
        |check| json!({ "name": check.name, "verdict": check.verdict.as_str(), "message": check.message }),
    );
    Json(json!({ "checks": checks.collect::<Vec<_>>() }))
}
