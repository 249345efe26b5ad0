//! The administration: what window, tray, dashboard and command line show and change. Only the token or the local
//! door opens it, and pages of other origins never get here ([`crate::access`]).

mod cache;
mod detail;
mod events;
mod jobs;
mod log_places;
mod news;
mod removals;
mod row;
mod sample;
mod settings;
mod sites;

use axum::Router;
use deskgrid_sites::{Change, Entry};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Site;
use crate::error::HttpError;

pub(crate) use log_places::LogPlaces;
pub use news::News;
pub(crate) use removals::Removals;

/// The settings and their file, which another part of the program keeps.
pub trait Books: Send + Sync {
    /// All settings in force.
    fn settings(&self) -> Value;

    /// Writes a decision down and returns all decisions that hold then. Blocks on the disk.
    ///
    /// # Errors
    /// Code and words when nothing was written.
    fn write(&self, change: &Change) -> Result<Vec<Entry>, (&'static str, String)>;
}

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .merge(sites::routes())
        .merge(settings::routes())
        .merge(jobs::routes())
        .merge(events::routes())
        .merge(sample::routes())
        .merge(cache::routes())
}

/// The desk as readers of the events are told of it, again whenever [`News::desk_changed`] was called. None as long as
/// nobody describes it.
fn desk_now(_: &Site) -> Option<Value> {
    None
}

fn understood<T: DeserializeOwned>(text: &str) -> Result<T, HttpError> {
    serde_json::from_str(text)
        .map_err(|error| HttpError::bad("bad-json", format!("The body is not what is needed here: {error}.")))
}
