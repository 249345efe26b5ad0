//! The status document of a queue, the health check, and how this worker is described to clients.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use deskgrid_job::{Job, Time};
use deskgrid_wire::answer::EngineDescription;
use deskgrid_wire::{WorkerDescription, answer};

use crate::Site;
use crate::body::Written;
use crate::names::Seen;

pub(crate) fn routes() -> Router<Site> {
    let health = || get(async || "OK");
    Router::new()
        .route("/health", health())
        .route("/healthz", health())
        .route("/q/{queue}/status", get(status))
}

/// The one worker of every queue, as it is now.
pub(crate) fn worker(site: &Site) -> WorkerDescription {
    let offer = site.worker().offer().borrow().clone();
    WorkerDescription {
        version: site.version().to_owned(),
        id: site.worker().id().clone(),
        cpus: f64::from(offer.capacity.cpu_millis) / 1000.0,
        gpus: u32::try_from(offer.capacity.gpus.len()).unwrap_or(u32::MAX),
        time: Time::now(),
        max_job_duration: offer.max_duration,
    }
}

async fn status(State(site): State<Site>, Seen(outlook): Seen) -> Written {
    let jobs = site.worker().list(&outlook);
    let jobs: Vec<&Job> = jobs.iter().map(Arc::as_ref).collect();
    let clients = usize::try_from(site.gauges().sockets_of(&outlook)).unwrap_or(usize::MAX);
    let engine = site.worker().engine().borrow().clone();
    let engine = EngineDescription { state: engine.code(), message: engine.explain_with_reach() };
    Written(answer::status(&outlook.queue, &jobs, &worker(&site), &engine, clients))
}
