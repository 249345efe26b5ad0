//! The administration: what window, tray, dashboard and command line show and change. Only the token or the local
//! door opens it, and pages of other origins never get here ([`crate::access`]).

mod cache;
mod desk;
mod detail;
mod events;
mod jobs;
mod log_places;
mod news;
mod notices;
mod premises;
mod removals;
mod row;
mod sample;
mod settings;
mod sites;
mod ticket;
mod verify;

use axum::Router;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

pub(crate) use desk::moving_json;
pub use premises::{
    Books, Check, Complaint, DoorState, FoundEngine, JobsAtQuit, Move, Premises, Shell, Verdict,
};

use crate::Site;
use crate::error::HttpError;

pub(crate) use log_places::LogPlaces;
pub use news::News;
pub(crate) use notices::Read as ReadNotices;
pub(crate) use removals::Removals;
pub(crate) use verify::Verification;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .merge(desk::routes())
        .merge(events::routes())
        .merge(jobs::routes())
        .merge(notices::routes())
        .merge(sample::routes())
        .merge(settings::routes())
        .merge(sites::routes())
        .merge(ticket::routes())
        .merge(verify::routes())
        .merge(cache::routes())
}

fn understood<T: DeserializeOwned>(text: &str) -> Result<T, HttpError> {
    serde_json::from_str(text)
        .map_err(|error| HttpError::bad("bad-json", format!("The body is not what is needed here: {error}.")))
}

/// A request that cannot be carried out as things are.
fn refused((code, words): Complaint) -> HttpError {
    HttpError::refused(StatusCode::CONFLICT, code, words)
}
