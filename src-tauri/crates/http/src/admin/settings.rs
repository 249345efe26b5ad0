//! The settings in force.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::Site;
use crate::access::Administrator;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/settings", get(settings))
}

async fn settings(_: Administrator, State(site): State<Site>) -> Json<Value> {
    Json(site.books().settings())
}
