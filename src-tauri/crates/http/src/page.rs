//! The few pages that we serve ourselves: the first one, and that of a job. Their files are part of the program.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::Site;

/// Only our own files, and nothing inline; nobody may put our pages into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whoever opened the page, or is opened by it, gets no hold of its window.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const JOB_PAGE: &str = include_str!("../../../../ui/job/index.html");
const JOB_SCRIPT: &str = include_str!("../../../../ui/job/job.js");
const JOB_STYLE: &str = include_str!("../../../../ui/job/job.css");
const DOCTOR_PAGE: &str = include_str!("../../../../ui/doctor/index.html");
const DOCTOR_SCRIPT: &str = include_str!("../../../../ui/doctor/doctor.js");
const DOCTOR_STYLE: &str = include_str!("../../../../ui/doctor/doctor.css");
const TOKENS: &str = include_str!("../../../../ui/tokens.css");

const FIRST_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Deskgrid</title>
<link rel=\"stylesheet\" href=\"/ui/tokens.css\">
<link rel=\"stylesheet\" href=\"/ui/job/job.css\">
<main>
<h1>Deskgrid runs here</h1>
<p>Web pages that you allow can run their jobs on this computer.</p>
<p><a href=\"/doctor\">Check the connection</a> · <a href=\"/q/local/status\">Status</a> · <a href=\"/metrics\">Metrics</a></p>
</main>
</html>
";

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(async || page(StatusCode::OK, FIRST_PAGE)))
        .route("/ui/job/job.js", get(async || file("text/javascript; charset=utf-8", JOB_SCRIPT)))
        .route("/ui/job/job.css", get(async || file("text/css; charset=utf-8", JOB_STYLE)))
        .route("/ui/doctor/doctor.js", get(async || file("text/javascript; charset=utf-8", DOCTOR_SCRIPT)))
        .route("/ui/doctor/doctor.css", get(async || file("text/css; charset=utf-8", DOCTOR_STYLE)))
        .route("/ui/tokens.css", get(async || file("text/css; charset=utf-8", TOKENS)))
}

/// The page of a job; its script asks for everything that it shows.
pub(crate) fn job(is_known: bool) -> Response {
    page(if is_known { StatusCode::OK } else { StatusCode::NOT_FOUND }, JOB_PAGE)
}

/// The page that finds out why a web page and this server cannot talk.
pub(crate) fn doctor() -> Response {
    page(StatusCode::OK, DOCTOR_PAGE)
}

fn page(status: StatusCode, text: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    harden(&mut headers, POLICY);
    (status, headers, file("text/html; charset=utf-8", text)).into_response()
}

/// What every page of ours says about itself.
pub(crate) fn harden(headers: &mut HeaderMap, policy: &'static str) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_needs_anything_inline() {
        for text in [JOB_PAGE, FIRST_PAGE, DOCTOR_PAGE] {
            assert!(
                !text.contains("<style") && !text.contains(" style=") && !text.contains(" onclick"),
                "{text}"
            );
            assert!(!text.contains("<script>"), "{text}");
        }
    }

    #[test]
    fn a_page_cannot_be_framed_and_runs_only_our_scripts() {
        let response = job(true);
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers()[OPENER_POLICY], "same-origin");
        assert!(POLICY.contains("frame-ancestors 'none'") && !POLICY.contains("unsafe"));
        assert_eq!(job(false).status(), StatusCode::NOT_FOUND);
    }
}
