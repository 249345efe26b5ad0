//! Tickets to the dashboard: given out to the person's own programs, redeemed by a page of ours.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{refused, understood};
use crate::Site;
use crate::access::{Administrator, REDEEM};
use crate::body::JsonText;
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/ticket", post(issue)).route(REDEEM, post(redeem))
}

#[derive(Deserialize)]
struct Shown {
    ticket: String,
}

async fn issue(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    let ticket = site.tickets().issue().map_err(|error| {
        refused(("no-random-bytes", format!("The system gave no random bytes for a ticket: {error}.")))
    })?;
    Ok(Json(json!({ "ticket": ticket, "address": address(&site, &ticket) })))
}

/// Where a browser redeems `ticket`. What stands behind the `#` is not sent to anyone.
fn address(site: &Site, ticket: &str) -> String {
    format!("{}/dashboard/#ticket={ticket}", site.base_url())
}

impl Site {
    /// An address that opens the dashboard, once; none when the system has no random bytes for it.
    pub fn dashboard(&self) -> Option<String> {
        self.tickets().issue().ok().map(|ticket| address(self, &ticket))
    }
}

async fn redeem(State(site): State<Site>, JsonText(text): JsonText) -> Result<Json<Value>, HttpError> {
    let Shown { ticket } = understood(&text)?;
    if site.tickets().redeem(&ticket) {
        return Ok(Json(json!({ "key": site.gate().key() })));
    }
    let words = "This ticket was used already, or is too old. Open the dashboard from the tray icon again, or with: \
                 deskgrid dashboard";
    Err(HttpError::refused(StatusCode::UNAUTHORIZED, "ticket-used", words))
}
