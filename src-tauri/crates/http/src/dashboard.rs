//! `/dashboard/`: the user interface for browsers. Its files are part of the program; what it shows it asks the
//! administration for, with a key that a ticket brought.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use crate::Site;
use crate::error::HttpError;
use crate::page;

/// Every file by its path below the dashboard.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// Only our own files, and nothing inline. Pages that jobs wrote are shown in a frame, see `files::preview`; that no
/// other address may be in one keeps them from sending anything away by going there.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      font-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        // The trailing slash makes the page's relative addresses lead here.
        .route("/dashboard", get(async || Redirect::permanent("/dashboard/")))
        .route("/dashboard/", get(async || file("index.html")))
        .route("/dashboard/{*path}", get(async |Path(path): Path<String>| file(&path)))
}

fn file(name: &str) -> Result<Response, HttpError> {
    let Some((_, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return Err(HttpError::missing("no-such-path", format!("The dashboard has no file {name:?}.")));
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    page::harden(headers, POLICY);
    let kind = mime_guess::from_path(name).first_or_octet_stream().to_string();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::try_from(kind).unwrap_or(HeaderValue::from_static("text/plain")),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching(name)));
    Ok(response)
}

/// Names of built files hold a hash of their bytes, that of the page does not.
fn caching(name: &str) -> &'static str {
    if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_runs_only_our_own_files() {
        let response = file("index.html").unwrap();
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn nothing_but_built_files_is_served() {
        for name in ["", "../Cargo.toml", "src/main.ts", "assets/"] {
            assert!(file(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_built_page_has_nothing_inline() {
        let page = FILES.iter().find(|(name, _)| *name == "index.html").map(|(_, bytes)| *bytes);
        let page = String::from_utf8_lossy(page.unwrap_or_default()).into_owned();
        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains("<script>"),
            "{page}"
        );
    }
}
