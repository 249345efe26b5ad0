//! Jobs over HTTP: submitting, listing, looking up, cancelling and copying them.

mod long_list;
mod results;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::{Job, JobId, Namespace, Outlook, Phase};
use deskgrid_wire::{CopyRequest, Submission, View, answer, client_message, definition, secrets};
use deskgrid_worker::Release;
use serde::Deserialize;

use crate::body::{JsonText, Written, understand};
use crate::error::HttpError;
pub(crate) use long_list::LongList;

use crate::names::{By, Named, Seen};
use crate::submission::to_worker;
use crate::{Site, bounds, page};

pub(crate) fn routes() -> Router<Site> {
    let queue = || get(list).post(submit);
    Router::new()
        .route("/q/{queue}", queue())
        .route("/q/{queue}/j", queue())
        .route("/j/{id}", get(show))
        .route("/q/{queue}/j/{id}", get(show))
        .route("/j/{id}/definition.json", get(show_definition))
        .route("/q/{queue}/j/{id}/definition.json", get(show_definition))
        .route("/q/{queue}/j/{id}/namespaces.json", get(namespaces))
        .route("/q/{queue}/j/{id}/cancel", post(cancel))
        .route("/q/{queue}/j/{id}/{namespace}/cancel", post(cancel_in_namespace))
        .route("/j/{id}/copy", post(copy))
        .merge(results::routes())
}

/// The record of a job that is not erased, or 404.
pub(crate) async fn known(site: &Site, id: &JobId) -> Result<Arc<Job>, HttpError> {
    find(site, id).await?.ok_or_else(HttpError::no_job)
}

async fn find(site: &Site, id: &JobId) -> Result<Option<Arc<Job>>, HttpError> {
    Ok(site.worker().job(id).await?.filter(|job| job.phase != Phase::Removed))
}

/// How `outlook` shows its jobs.
pub(crate) fn view<'a>(site: &'a Site, outlook: &'a Outlook) -> View<'a> {
    View { outlook, worker: site.worker().id() }
}

async fn submit(
    State(site): State<Site>,
    Seen(outlook): Seen,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let submission = understand(text, Submission::parse).await??;
    if let Err(error) = &submission.definition {
        return Err(HttpError::bad(error.code(), error.to_string()));
    }
    accept(&site, submission, outlook).await
}

async fn accept(site: &Site, submission: Submission, outlook: Outlook) -> Result<Written, HttpError> {
    bounds::check_jobs(site, &outlook, &submission.id)?;
    bounds::check_room(site, &submission.definition_text).await?;
    let answer = answer::submitted(&submission.id);
    site.worker().submit(to_worker(submission, outlook)).await?;
    Ok(Written(answer))
}

async fn list(State(site): State<Site>, Seen(outlook): Seen) -> Result<Written<Bytes>, HttpError> {
    long_list::text(&site, outlook).await.map(Written)
}

#[derive(Deserialize)]
struct ShowQuery {
    secrets: Option<String>,
}

impl ShowQuery {
    /// Our own page asks for `?secrets=masked`, as it is shown to people; clients get the definition as it is kept.
    fn hides_secrets(&self) -> bool {
        self.secrets.as_deref() == Some("masked")
    }
}

/// The job as JSON, or as a page for a browser that asks for one.
async fn show(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
    query: Result<Query<ShowQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let (job, is_json) = shown(&site, id).await?;
    let mut response = if !is_json && wants_page(&headers) {
        page::job(job.is_some())
    } else {
        let job = job.ok_or_else(HttpError::no_job)?;
        let mut definition = site.store().definition(&job.id).await?.ok_or_else(HttpError::no_job)?;
        if query.is_ok_and(|query| query.0.hides_secrets()) {
            definition = understand(definition, secrets::masked_text).await?;
        }
        let results = results::record(&site, &outlook, &job).await?;
        Written(answer::job(&definition, results.as_deref())).into_response()
    };
    response.headers_mut().append(header::VARY, header::HeaderValue::from_static("Accept"));
    Ok(response)
}

/// The job that the end of a path names, and whether it asks for JSON by `.json`. An id may end so itself.
async fn shown(site: &Site, id: JobId) -> Result<(Option<Arc<Job>>, bool), HttpError> {
    let bare = id.as_str().strip_suffix(".json").and_then(|bare| JobId::new(bare).ok());
    if let Some(bare) = bare {
        match find(site, &bare).await? {
            Some(job) => return Ok((Some(job), true)),
            None => return Ok((find(site, &id).await?, true)),
        }
    }
    Ok((find(site, &id).await?, false))
}

/// Browsers name `text/html` when a person opens an address; scripts do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

async fn show_definition(State(site): State<Site>, Named(id): Named<JobId>) -> Result<Written, HttpError> {
    let definition = site.store().definition(&id).await?;
    Ok(Written(answer::data(definition.as_deref())))
}

async fn namespaces(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    let job = known(&site, &id).await?;
    Ok(Written(answer::namespaces(job.namespaces(&outlook))))
}

#[derive(Deserialize)]
struct CancelQuery {
    namespace: Option<String>,
}

async fn cancel(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
    query: Result<Query<CancelQuery>, QueryRejection>,
) -> Result<Written, HttpError> {
    let query = query.map_err(|error| HttpError::bad("bad-query", error.body_text()))?;
    let namespace = query.0.namespace.unwrap_or_else(|| Namespace::shared().to_string());
    release(&site, outlook, id, &namespace).await
}

async fn cancel_in_namespace(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
    Named(namespace): Named<Namespace>,
) -> Result<Written, HttpError> {
    release(&site, outlook, id, namespace.as_str()).await
}

async fn release(site: &Site, outlook: Outlook, id: JobId, namespace: &str) -> Result<Written, HttpError> {
    let slots = client_message::released(namespace)
        .map_err(|error| HttpError::bad("bad-namespace", error.to_string()))?;
    let Some(job) = find(site, &id).await? else { return Ok(Written(answer::nothing_to_cancel())) };
    if let Phase::Finished(_) = job.phase {
        return Ok(Written(answer::already_over()));
    }
    let answer = answer::cancelled(&id, namespace);
    let was_there = site.worker().release(Release { id, outlook, slots, why: Withdrawal::Cancel }).await?;
    Ok(Written(if was_there { answer } else { answer::nothing_to_cancel() }))
}

async fn copy(
    State(site): State<Site>,
    By(caller): By,
    Named(id): Named<JobId>,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let request = understand(text, CopyRequest::parse).await??;
    let job = known(&site, &id).await?;
    let definition_text = site.store().definition(&id).await?.ok_or_else(HttpError::no_job)?;
    let (definition_text, definition) = understand(definition_text, |text| {
        let json = serde_json::from_str(text).map_err(|_| unreadable())?;
        Ok::<_, HttpError>((text.to_owned(), definition::parse(&json)))
    })
    .await??;
    let submission = Submission {
        id,
        definition_text,
        secret_context: None,
        definition,
        namespace: request.control.namespace,
        callbacks: request.control.callbacks,
        carried: job.carried.clone(),
    };
    let outlook = Outlook { queue: request.queue, caller };
    accept(&site, submission, outlook).await
}

fn unreadable() -> HttpError {
    let words = "The stored definition of this job is damaged. Submit the job again.";
    HttpError::refused(StatusCode::INTERNAL_SERVER_ERROR, "record-damaged", words)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_client_that_names_html_gets_the_page() {
        let accepts = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_page(&headers)
        };
        assert!(accepts("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/json"));
        assert!(!wants_page(&HeaderMap::new()));
    }
}
