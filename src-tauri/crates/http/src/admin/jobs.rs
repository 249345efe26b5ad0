//! Jobs as the person sees them, whoever submitted them.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{Caller, Hold, Job, JobId, Namespace, Outlook, Phase, QueueName};
use deskgrid_store::{Change, LogKind, Most, Synopsis};
use deskgrid_wire::log;
use deskgrid_worker::{Release, WorkerError};
use serde::Deserialize;
use serde_json::json;

use super::row::Moment;
use super::{detail, removals, understood};
use crate::Site;
use crate::access::Administrator;
use crate::body::{JsonText, Written};
use crate::error::HttpError;
use crate::jobs::known;
use crate::names::{Named, read};

/// Rows of the list at most.
const MOST_ROWS: usize = 20_000;
/// Lines of a log that are given at once, at most and when nobody says how many.
const MOST_LINES: usize = 50_000;
const USUAL_LINES: usize = 5_000;
/// And their bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/jobs", get(list))
        .route("/api/jobs/{id}", get(show))
        .route("/api/jobs/{id}/log", get(lines))
        .route("/api/jobs/{id}/cancel", post(cancel))
        .route("/api/jobs/{id}/again", post(again))
        .route("/api/jobs/{id}/discard", post(discard))
        .route("/api/jobs/{id}/pin", post(pin))
}

#[derive(Deserialize)]
struct Which {
    /// Only jobs that run, for those who show no others.
    #[serde(default)]
    running: bool,
}

/// All jobs on record, the newest first, without those that are being deleted.
async fn list(
    _: Administrator,
    State(site): State<Site>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Written, HttpError> {
    let Query(which) = which.map_err(|error| HttpError::bad("bad-query", error.body_text()))?;
    let jobs = if which.running { running(&site).await? } else { site.store().newest(MOST_ROWS).await? };
    // Thousands of rows take some milliseconds, in which nobody else would be served.
    let written = tokio::task::spawn_blocking(move || {
        let moment = Moment::of(&site);
        let hidden = site.removals().hidden_jobs();
        let shown = jobs.into_iter().filter(|job| hidden.get(&job.id) != Some(&job.queued_at));
        let rows: Vec<_> = shown.map(|job| moment.row(job)).collect();
        json_text(&rows).map(|rows| format!(r#"{{"jobs":{rows}}}"#))
    });
    Ok(Written(written.await.map_err(|_| WorkerError::Stopping)??))
}

async fn running(site: &Site) -> Result<Vec<Synopsis>, HttpError> {
    let running = site.worker().everything().into_iter().filter(|job| job.phase == Phase::Running);
    Ok(site.store().synopses(running.map(|job| job.id.clone()).collect()).await?)
}

async fn show(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    detail::job(&site, &id).await.map(Written)
}

/// Ends a job for everyone who wants it. Nothing happens to one that is over.
async fn cancel(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    let job = known(&site, &id).await?;
    if !matches!(job.phase, Phase::Finished(_)) {
        release(&site, &job, Withdrawal::Cancel).await?;
    }
    Ok(Written("{}".to_owned()))
}

/// Hides a job, and removes it for everyone in every queue that has it when nobody has taken that back in time, as `/api/cache/undo` does.
async fn discard(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    let job = known(&site, &id).await?;
    let (undo, until) = removals::begin_with_job(&site, &job);
    Ok(Written(json!({ "undo": undo, "until": until.0 }).to_string()))
}

/// Lets go of a job in each queue that holds it; one that nobody holds any more is let go of in the usual queue.
pub(super) async fn release(site: &Site, job: &Job, why: Withdrawal) -> Result<(), HttpError> {
    let mut queues: Vec<QueueName> = job.holds.iter().map(|hold| hold.queue.clone()).collect();
    queues.dedup();
    if queues.is_empty() {
        queues.push(read("local")?);
    }
    for queue in queues {
        let outlook = Outlook { queue, caller: Caller::Program };
        let release = Release { id: job.id.clone(), outlook, slots: Released::All, why };
        site.worker().release(release).await?;
    }
    Ok(())
}

/// Drops what a job came to and runs it once more, for all who hold it or held it last.
async fn again(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    known(&site, &id).await?;
    run_again(&site, &id).await?;
    Ok(Written(json!({ "jobId": id.as_str() }).to_string()))
}

pub(super) async fn run_again(site: &Site, id: &JobId) -> Result<(), HttpError> {
    if site.store().definition(id).await?.is_none() {
        let words = "The definition of this job is not on this disk any more. Submit the job again where it came from.";
        return Err(HttpError::refused(StatusCode::CONFLICT, "no-definition", words));
    }
    let mut holds = site.store().last_holds(id).await?;
    if holds.is_empty() {
        holds.push(Hold { queue: read("local")?, namespace: Namespace::shared(), caller: Caller::Program });
    }
    site.worker().run_again(id, holds).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Wish {
    on: bool,
}

/// Keeps a job's result whatever the cache's limit says, or not any more.
async fn pin(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let Wish { on } = understood(&text)?;
    known(&site, &id).await?;
    let pin = Change::Pin { kind: "result".to_owned(), id: id.to_string(), is_on: on };
    site.store().commit(vec![pin]).await?;
    site.worker().note_change(&id);
    site.news().cache_changed();
    Ok(Written("{}".to_owned()))
}

#[derive(Deserialize)]
struct Slice {
    kind: Option<String>,
    since: Option<u64>,
    most: Option<usize>,
}

async fn lines(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
    query: Result<Query<Slice>, QueryRejection>,
) -> Result<Written, HttpError> {
    let Query(query) = query.map_err(|error| HttpError::bad("bad-query", error.body_text()))?;
    let kind = match query.kind.as_deref() {
        None | Some("run") => LogKind::Run,
        Some("build") => LogKind::Build,
        Some(other) => {
            let words = format!("There is no log of the kind {other:?}. Use run or build.");
            return Err(HttpError::bad("bad-log-kind", words));
        }
    };
    let since = query.since.unwrap_or_default();
    // The state first: lines that come between the two are then asked for once more, and none is missed.
    let is_over = matches!(known(&site, &id).await?.phase, Phase::Finished(_));
    let from = site.log_places().find(&id, kind, since);
    let most = Most { lines: query.most.unwrap_or(USUAL_LINES).min(MOST_LINES), bytes: MOST_BYTES };
    let (slice, place) = site.store().logs().read_on(&id, kind, from, most).await?;
    site.log_places().keep(&id, kind, place);
    let mut out = String::from("{\"lines\":");
    log::append_list(&mut out, &slice.lines);
    let is_final = is_over && !slice.more;
    let rest = format!(r#","next":{},"hasMore":{},"isFinal":{is_final}}}"#, slice.next, slice.more);
    Ok(Written(out + &rest))
}

/// What can always be written as JSON, as it has no maps with strange keys.
pub(super) fn json_text(value: &impl serde::Serialize) -> Result<String, HttpError> {
    serde_json::to_string(value).map_err(|error| {
        HttpError::refused(StatusCode::INTERNAL_SERVER_ERROR, "not-written", format!("No JSON: {error}."))
    })
}
