//! How much one client may have of what all share: places, memory, disk, time. Each bound is a constant with a name.
//!
//! Bounds on what a message says, such as the depth of JSON, belong to `deskgrid-wire`; who may call at all is
//! `access`'s to decide.

mod guesses;
mod head;
mod quota;
mod steady;
mod turns;

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use deskgrid_job::{Caller, JobId, Outlook};

use crate::Site;
use crate::error::HttpError;
use crate::peer::{Peer, Remote};
pub(crate) use guesses::Guesses;
pub(crate) use quota::Quota;
pub(crate) use steady::is_stall;
pub(crate) use turns::Turns;

/// Header fields of one request.
pub(crate) const MOST_HEADERS: usize = 100;
/// Bytes of all header fields of one request. Cookies of every other server on this computer count here too.
pub(crate) const LONGEST_HEAD: usize = 64 * 1024;
/// Bytes of a request's path and query: the longest path of a file, percent-encoded, and some.
pub(crate) const LONGEST_ADDRESS: usize = 16 * 1024;
/// Connections at once, of all clients.
pub(crate) const MOST_CONNECTIONS: usize = 2048;
/// Sockets of one origin at once.
pub(crate) const MOST_SOCKETS_OF_PAGE: u64 = 64;
/// Sockets of all programs at once.
pub(crate) const MOST_SOCKETS_OF_PROGRAMS: u64 = 1000;
/// Unfinished jobs of one origin.
pub(crate) const MOST_JOBS_OF_PAGE: usize = 1000;
/// Unfinished jobs of everybody, beyond which programs are refused too.
pub(crate) const MOST_JOBS: usize = 100_000;
/// Bytes of a definition that is written like a file.
pub(crate) const LONG_DEFINITION: usize = 1024 * 1024;
/// Bytes that pages of one origin may store by uploads while the server runs.
pub(crate) const MOST_UPLOADED: u64 = 20_000_000_000;
/// Files that strangers of one origin may ask for in vain within [`GUESSES_PER`].
pub(crate) const MOST_GUESSES: u32 = 60;
/// The same of strangers of all origins: a page can have as many sub-domains as it likes.
pub(crate) const MOST_GUESSES_OF_ALL: u32 = 600;
/// See [`MOST_GUESSES`]; also how long a refusal lasts at most.
pub(crate) const GUESSES_PER: Duration = Duration::from_secs(60);

/// How long we wait for a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the connection to the end of the first request's head.
    pub(crate) first_head: Duration,
    /// From one request to the end of the next one's head.
    pub(crate) next_head: Duration,
}

impl Patience {
    /// What every client gets. On a computer that jobs keep very busy a program that has just connected may not come to
    /// its first word for many seconds.
    pub(crate) const USUAL: Self =
        Self { first_head: Duration::from_secs(30), next_head: Duration::from_secs(60) };
}

/// A body of which no byte came for so long is given up.
pub(crate) const BODY_SILENCE: Duration = Duration::from_secs(30);

/// What has been used up of the bounds that are counted while the server runs.
#[derive(Clone, Default)]
pub(crate) struct Bounds {
    /// Bytes stored by uploads.
    pub(crate) uploads: Quota,
    /// Whose upload is read.
    pub(crate) turns: Turns,
    /// Files that strangers asked for in vain.
    pub(crate) guesses: Guesses,
}

/// Refuses requests whose head is too large, bounds the time of their body, and counts guesses. The access rules have
/// let them pass.
pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    if let Err(refusal) = head::check(request.uri(), request.headers()) {
        return refusal.into_response();
    }
    let request = request.map(|body| steady::steady(body, BODY_SILENCE));
    let Some(stranger) = stranger(&request).await else { return next.run(request).await };
    let guesses = &site.bounds().guesses;
    if !guesses.may_ask(&stranger) {
        return too_many_guesses();
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        guesses.note_miss(&stranger);
    }
    response
}

/// Under which name a request's misses are counted: those of pages that nobody allowed and that may read by hash all
/// the same, and of other users. Nobody hides anything from the person's own programs.
fn stranger(request: &Request) -> impl Future<Output = Option<String>> + use<> {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_uninvited = request.extensions().get::<Caller>().is_none_or(|caller| caller.as_str() == "null");
    let is_suspect = is_reading && is_uninvited;
    let origin = request.headers().get(header::ORIGIN);
    let name = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
    // Browsers leave the origin out for images and the like, and never this.
    let name = name.or_else(|| request.headers().contains_key("sec-fetch-site").then(String::new));
    let remote = request.extensions().get::<Remote>().cloned();
    async move {
        match remote {
            _ if !is_suspect || name.is_some() => name.filter(|_| is_suspect),
            Some(remote) if remote.user().await == Peer::OtherUser => Some("another user".to_owned()),
            _ => None,
        }
    }
}

fn too_many_guesses() -> Response {
    let words = "Pages of this site asked for too many files that are not here. Try again in a minute.";
    let error = HttpError::refused(StatusCode::TOO_MANY_REQUESTS, "too-many-misses", words);
    let seconds = HeaderValue::from(GUESSES_PER.as_secs());
    ([(header::RETRY_AFTER, seconds)], error).into_response()
}

/// Whether `caller` may have another socket while it has `open` ones.
pub(crate) fn check_sockets(caller: &Caller, open: u64) -> Result<(), HttpError> {
    let most = match caller {
        Caller::Program => MOST_SOCKETS_OF_PROGRAMS,
        Caller::Page(_) => MOST_SOCKETS_OF_PAGE,
    };
    if open < most {
        return Ok(());
    }
    let words = format!("{} has {open} sockets open here, and may have no more. Close some.", named(caller));
    Err(HttpError::refused(StatusCode::TOO_MANY_REQUESTS, "too-many-sockets", words))
}

/// Whether the caller may submit this job. What it is waiting for already is no further job.
pub(crate) fn check_jobs(site: &Site, outlook: &Outlook, id: &JobId) -> Result<(), HttpError> {
    let unfinished = site.worker().unfinished(&outlook.caller);
    check_count(&outlook.caller, unfinished)
        .or_else(|full| if site.worker().shows(outlook, id) { Ok(()) } else { Err(full) })
}

/// Whether there is room for a definition: a long one keeps the disk's reserve, and a short one may use part of it,
/// since its job is to wait for room like the others.
pub(crate) async fn check_room(site: &Site, definition: &str) -> Result<(), HttpError> {
    let worker = site.worker();
    // Whoever waited for a record would wait as long as the records are damaged.
    worker.store().mend_records().await?;
    if definition.len() > LONG_DEFINITION {
        return Ok(worker.make_room(definition.len() as u64).await?);
    }
    if worker.situation().borrow().lack.is_some() {
        worker.store().check_last_room().await?;
    }
    Ok(())
}

fn check_count(caller: &Caller, unfinished: usize) -> Result<(), HttpError> {
    let most = match caller {
        Caller::Program => MOST_JOBS,
        Caller::Page(_) => MOST_JOBS_OF_PAGE,
    };
    if unfinished < most {
        return Ok(());
    }
    let words = format!(
        "{} waits for {unfinished} jobs already, and may not submit more. Wait until some have finished, or cancel \
         some.",
        named(caller)
    );
    Err(HttpError::refused(StatusCode::TOO_MANY_REQUESTS, "too-many-jobs", words))
}

/// The caller at the beginning of a sentence.
fn named(caller: &Caller) -> &str {
    match caller {
        Caller::Program => "This computer",
        Caller::Page(origin) => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(checked: &Result<(), HttpError>) -> Option<(StatusCode, &'static str)> {
        match checked {
            Err(HttpError::Refused { status, code, .. }) => Some((*status, *code)),
            _ => None,
        }
    }

    #[test]
    fn a_page_may_have_fewer_sockets_and_jobs_than_programs() {
        let page = Caller::parse("https://a.example");
        for (caller, sockets, jobs) in [(page, 64, 1000), (Caller::Program, 1000, 100_000)] {
            assert_eq!(code(&check_sockets(&caller, sockets - 1)), None);
            let refused = Some((StatusCode::TOO_MANY_REQUESTS, "too-many-sockets"));
            assert_eq!(code(&check_sockets(&caller, sockets)), refused);
            assert_eq!(code(&check_count(&caller, jobs - 1)), None);
            let refused = Some((StatusCode::TOO_MANY_REQUESTS, "too-many-jobs"));
            assert_eq!(code(&check_count(&caller, jobs)), refused);
        }
    }

    #[tokio::test]
    async fn only_strangers_guesses_are_counted() {
        let asked = |caller: &str, headers: &[(&str, &str)]| {
            let mut request = Request::get("/f/x");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.extension(Caller::parse(caller)).body(axum::body::Body::empty()).unwrap()
        };
        let evil = ("origin", "https://evil.example");
        let image = ("sec-fetch-site", "cross-site");
        for (request, name) in [
            (asked("null", &[evil, image]), Some("https://evil.example")),
            (asked("null", &[image]), Some("")),
            (asked("null", &[]), None),
            (asked("", &[]), None),
            (asked("https://metapage.io", &[("origin", "https://metapage.io"), image]), None),
        ] {
            assert_eq!(stranger(&request).await.as_deref(), name);
        }
    }
}
