//! `build-logs.json` and `run-logs.json`: a job's lines from a cursor on, while it runs and after.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use deskgrid_job::{JobId, Phase};
use deskgrid_store::LogKind;
use deskgrid_wire::answer;
use serde::Deserialize;

use crate::Site;
use crate::body::Written;
use crate::error::HttpError;
use crate::jobs::known;
use crate::names::Named;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/j/{id}/build-logs.json", get(build))
        .route("/q/{queue}/j/{id}/build-logs.json", get(build))
        .route("/j/{id}/run-logs.json", get(run))
        .route("/q/{queue}/j/{id}/run-logs.json", get(run))
}

#[derive(Deserialize)]
struct Since {
    since: Option<u64>,
}

type SinceQuery = Result<Query<Since>, QueryRejection>;

async fn build(
    State(site): State<Site>,
    Named(id): Named<JobId>,
    query: SinceQuery,
) -> Result<Written, HttpError> {
    slice(&site, &id, LogKind::Build, query).await
}

async fn run(
    State(site): State<Site>,
    Named(id): Named<JobId>,
    query: SinceQuery,
) -> Result<Written, HttpError> {
    slice(&site, &id, LogKind::Run, query).await
}

/// One answer carries some megabytes at most; `nextCursor` says where the next one begins.
async fn slice(site: &Site, id: &JobId, kind: LogKind, query: SinceQuery) -> Result<Written, HttpError> {
    let Ok(Query(Since { since })) = query else {
        let words = "The value of since is the number of the first line that is wanted, such as ?since=0.";
        return Err(HttpError::bad("bad-cursor", words));
    };
    let since = since.unwrap_or_default();
    // The state first: lines that come between the two are then asked for once more, and none is missed.
    let is_over = matches!(known(site, id).await?.phase, Phase::Finished(_));
    let slice = site.store().logs().read(id, kind, since, usize::MAX).await?;
    Ok(Written(answer::log_slice(&slice.lines, since, slice.next, is_over && !slice.more)))
}
