//! `/doctor`: a page that finds out why a web page and this server cannot talk, and what we know of that web page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use deskgrid_job::Caller;
use deskgrid_sites::{Origin, Verdict};
use serde::Deserialize;
use serde_json::json;

use crate::Site;
use crate::body::Written;
use crate::error::HttpError;
use crate::names::By;
use crate::page;

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/doctor", get(async || page::doctor())).route("/doctor/origin.json", get(origin))
}

/// Notes every request that names an origin, also one that is refused: it shows that the browser let it through.
pub(crate) async fn listen(State(site): State<Site>, request: Request, next: Next) -> Response {
    if let Some(origin) = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) {
        site.heard().note(origin);
    }
    next.run(request).await
}

#[derive(Deserialize)]
struct OriginQuery {
    origin: String,
}

/// Whether an origin may use this server, and whether anything of it ever got here.
async fn origin(
    State(site): State<Site>,
    By(caller): By,
    query: Result<Query<OriginQuery>, QueryRejection>,
) -> Result<Written, HttpError> {
    if caller != Caller::Program {
        let words = "Web pages are not told which other pages may use Deskgrid.";
        return Err(HttpError::refused(StatusCode::FORBIDDEN, "not-for-pages", words));
    }
    let query = query.map_err(|error| HttpError::bad("bad-query", error.body_text()))?;
    let origin = query.0.origin;
    let heard = site.heard().seconds_ago(&origin);
    let standing = standing(&site, &origin);
    Ok(Written(json!({ "origin": origin, "standing": standing, "secondsSinceHeard": heard }).to_string()))
}

/// What was decided about an origin, in one word; `none` when the text is no origin.
fn standing(site: &Site, origin: &str) -> &'static str {
    if site.access().is_own_origin(origin) {
        return "allowed";
    }
    match Origin::of_browser(origin).map(|origin| site.invitations().verdict(&origin)) {
        Ok(Verdict::Allowed) => "allowed",
        Ok(Verdict::Blocked) => "blocked",
        Ok(Verdict::Unknown) => "unknown",
        Err(_) => "none",
    }
}

/// When each origin was last heard of; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<HashMap<String, Instant>>>);

impl Heard {
    /// Origins that are remembered; the one that was silent for longest is forgotten first.
    const MOST: usize = 64;
    /// Longer ones are no origins.
    const LONGEST: usize = 300;

    fn note(&self, origin: &str) {
        if origin.len() > Self::LONGEST {
            return;
        }
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= Self::MOST && !heard.contains_key(origin) {
            let oldest = heard.iter().min_by_key(|(_, at)| **at).map(|(origin, _)| origin.clone());
            oldest.and_then(|oldest| heard.remove(&oldest));
        }
        heard.insert(origin.to_owned(), Instant::now());
    }

    fn seconds_ago(&self, origin: &str) -> Option<u64> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(origin).map(|at| at.elapsed().as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_that_was_silent_for_longest_is_forgotten_first() {
        let heard = Heard::default();
        let origin = |number: usize| format!("https://a{number}.example");
        for number in 0..=Heard::MOST {
            heard.note(&origin(number));
            heard.note(&origin(0));
        }
        heard.note(&"x".repeat(Heard::LONGEST + 1));
        assert_eq!(heard.0.lock().unwrap().len(), Heard::MOST);
        assert!(heard.seconds_ago(&origin(0)).is_some());
        assert_eq!(heard.seconds_ago(&origin(1)), None);
    }
}
