//! Verifying the store on demand: begun, watched and cancelled by the person's own programs. One at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use deskgrid_store::{Fault, Findings, VerifyProgress};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::Site;
use crate::access::Administrator;
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/verify", get(show).post(begin).delete(cancel))
}

/// The latest verification, if there was one.
#[derive(Default)]
pub(crate) struct Verification(Mutex<Latest>);

#[derive(Default)]
struct Latest {
    progress: Arc<VerifyProgress>,
    /// None while it goes on.
    outcome: Option<Result<Findings, (&'static str, String)>>,
    /// Ends with the site.
    task: Option<AbortOnDropHandle<()>>,
}

impl Verification {
    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Value {
        let latest = self.lock();
        let count = latest.progress.count();
        let (findings, problem) = match &latest.outcome {
            Some(Ok(findings)) => (Some(findings_json(findings)), None),
            Some(Err((code, words))) => (None, Some(json!({ "code": code, "words": words }))),
            None => (None, None),
        };
        json!({
            "running": latest.task.is_some() && latest.outcome.is_none(),
            "cancelled": latest.progress.is_cancelled(),
            "files": { "done": count.files, "total": count.all_files },
            "bytes": { "done": count.bytes, "total": count.all_bytes },
            "findings": findings,
            "problem": problem,
        })
    }
}

impl Verification {
    /// Ends what is under way, which has the site as long as it goes on. It is over after the file at hand.
    pub(crate) fn end(&self) {
        let task = {
            let mut latest = self.lock();
            latest.progress.cancel();
            latest.task.take()
        };
        drop(task);
    }
}

/// What was found, as clients read it.
fn findings_json(findings: &Findings) -> Value {
    let fault = |fault: &Fault| {
        json!({
            "hash": fault.hash.to_string(),
            "wrong": fault.wrong.as_str(),
            "jobs": fault.jobs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "names": fault.names,
        })
    };
    json!({
        "sound": findings.is_sound(),
        "faults": findings.faults.iter().map(fault).collect::<Vec<_>>(),
        "records": findings.records,
        "rebuilt": findings.rebuilt.as_ref().map(ToString::to_string),
    })
}

async fn show(_: Administrator, State(site): State<Site>) -> Json<Value> {
    Json(site.verification().state())
}

/// Begins one, unless one goes on.
async fn begin(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    let mut latest = site.verification().lock();
    if latest.task.is_none() || latest.outcome.is_some() {
        let progress = Arc::new(VerifyProgress::default());
        let task = tokio::spawn(work(site.clone(), progress.clone()));
        *latest = Latest { progress, outcome: None, task: Some(AbortOnDropHandle::new(task)) };
    }
    drop(latest);
    Ok(Json(site.verification().state()))
}

async fn work(site: Site, progress: Arc<VerifyProgress>) {
    let found = site.store().verify(progress).await;
    if found.as_ref().is_ok_and(|findings| !findings.is_sound()) {
        tracing::warn!("verifying the store found damage; `deskgrid verify` shows it");
    }
    site.verification().lock().outcome = Some(found.map_err(|error| (error.code(), error.to_string())));
    site.news().cache_changed();
}

async fn cancel(_: Administrator, State(site): State<Site>) -> Json<Value> {
    site.verification().lock().progress.cancel();
    Json(site.verification().state())
}
