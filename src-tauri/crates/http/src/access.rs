//! Who may talk to us: which host names and origins are ours, and what a page of another origin may read.
//!
//! Every request passes here before it reaches a route, so that a route never asks who its client is. The decision
//! is a pure function over the request's head; [`guard`] carries it out.

mod cors;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use deskgrid_job::{BlobHash, Caller};

use crate::Site;
use crate::error::HttpError;
use cors::Share;

/// The origins of the public pages that submit jobs (protocol section 1).
const SHIPPED_ORIGINS: [&str; 3] =
    ["https://container.mtfm.io", "https://metapage.io", "https://app.metapage.io"];
/// The names of this computer to itself.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whom we answer, beyond the names and pages that are always allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// The port that we listen on.
    pub port: u16,
    /// Further host names under which clients may call us, with our port when they name none.
    pub hosts: Vec<String>,
    /// Further origins whose pages may use us, as browsers send them.
    pub origins: Vec<String>,
}

impl AccessRules {
    fn is_own_host(&self, host: &Authority) -> bool {
        let port = host.port_u16().unwrap_or(80);
        let is_name = |name: &&str| name.eq_ignore_ascii_case(host.host());
        let is_named = |name: &String| {
            name.eq_ignore_ascii_case(host.as_str()) || (port == self.port && is_name(&name.as_str()))
        };
        (port == self.port && OWN_HOSTS.iter().any(is_name)) || self.hosts.iter().any(is_named)
    }

    fn is_allowed_origin(&self, origin: &str) -> bool {
        SHIPPED_ORIGINS.contains(&origin)
            || self.origins.iter().any(|allowed| allowed == origin)
            || self.is_own_origin(origin)
    }

    fn is_own_origin(&self, origin: &str) -> bool {
        OWN_HOSTS.iter().any(|host| own_origin(host, self.port) == origin)
    }
}

/// Our own pages act for the person, as programs do; what any page may read is no page's own.
fn caller(rules: &AccessRules, share: &Share) -> Caller {
    match share {
        Share::Nobody => Caller::Program,
        Share::Anyone => Caller::parse("null"),
        Share::Page(origin) => match origin.to_str() {
            Ok(origin) if rules.is_own_origin(origin) => Caller::Program,
            Ok(origin) => Caller::parse(origin),
            Err(_) => Caller::parse("null"),
        },
    }
}

fn own_origin(host: &str, port: u16) -> String {
    // Browsers leave the default port out of an origin.
    if port == 80 { format!("http://{host}") } else { format!("http://{host}:{port}") }
}

/// Refuses requests that are not for us or not from an allowed page, answers preflights, and marks all answers
/// with what the asking page may do with them.
pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let is_open = is_read_by_hash(request.method(), request.headers(), request.uri().path());
    let decided = decide(&site.access(), request.method(), request.uri(), request.headers(), is_open);
    let mut response = match decided {
        Ok(share) if request.method() == Method::OPTIONS => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            share.mark_preflight(request.headers(), response.headers_mut());
            response
        }
        Ok(share) => {
            let mut request = request;
            let caller = caller(&site.access(), &share);
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            share.mark(response.headers_mut());
            response
        }
        Err(refusal) => refusal.into_response(),
    };
    cors::mark_every(response.headers_mut(), is_open);
    response
}

/// Whether the request may go on, and with whom its answer may be shared. What is open is so for every origin.
fn decide(
    rules: &AccessRules,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    is_open: bool,
) -> Result<Share, HttpError> {
    check_host(rules, uri, headers)?;
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => check_without_origin(method, headers, uri.path(), is_open),
        (Some(origin), None) if origin.to_str().is_ok_and(|text| rules.is_allowed_origin(text)) => {
            Ok(Share::Page(origin.clone()))
        }
        _ if is_open => Ok(Share::Anyone),
        (Some(origin), _) => Err(unknown_origin(origin)),
    }
}

fn unknown_origin(origin: &HeaderValue) -> HttpError {
    let origin: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(200).collect();
    let words = format!(
        "Pages of {origin} may not use this Deskgrid. If you trust that page, allow its origin: add it to \
         allowed_origins in Deskgrid's settings, or start with --allow-origin {origin}"
    );
    HttpError::refused(StatusCode::FORBIDDEN, "origin-not-allowed", words)
}

/// A page whose host name was made to point here would otherwise pass for one of ours.
fn check_host(rules: &AccessRules, uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return Err(HttpError::bad("host-missing", "The request must name its host once, in a Host header."));
    };
    let own = |host: &Authority| rules.is_own_host(host);
    let is_own =
        Authority::try_from(host.as_bytes()).is_ok_and(|host| own(&host)) && uri.authority().is_none_or(own);
    if is_own {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(host.as_bytes()).chars().take(200).collect();
    let words = format!(
        "Deskgrid does not answer to the host name {shown:?}. Use http://localhost:{}, or allow the name in \
         Deskgrid's settings.",
        rules.port
    );
    Err(HttpError::refused(StatusCode::FORBIDDEN, "host-not-allowed", words))
}

/// Programs send no origin and are let in; browsers leave it out of some requests that a page of another site
/// causes, and say so in `Sec-Fetch-Site`.
fn check_without_origin(
    method: &Method,
    headers: &HeaderMap,
    path: &str,
    is_open: bool,
) -> Result<Share, HttpError> {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    let is_foreign = says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site");
    let is_link =
        *method == Method::GET && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    match () {
        () if is_open => Ok(Share::Anyone),
        () if !is_foreign || (is_link && is_page(path)) => Ok(Share::Nobody),
        () => Err(HttpError::refused(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Pages of other sites may read stored files by their hash only. Open the address itself instead.",
        )),
    }
}

/// Whether a path is one of the pages that a link elsewhere may lead to: our first page, or that of a job whose
/// id nobody guesses.
fn is_page(path: &str) -> bool {
    match segments(path)[..] {
        [""] => true,
        ["j", id] => is_hash(id),
        _ => false,
    }
}

/// Whether a request only reads bytes whose name nobody guesses, so that pages of any origin may make it.
fn is_read_by_hash(method: &Method, headers: &HeaderMap, path: &str) -> bool {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes);
    let reads = match *method {
        Method::GET | Method::HEAD => true,
        Method::OPTIONS => matches!(asked, Some(b"GET" | b"HEAD")),
        _ => false,
    };
    reads
        && match segments(path)[..] {
            ["f", key] => is_hash(key),
            ["j", id, "inputs" | "outputs", _] | ["q", _, "j", id, "inputs" | "outputs", _] => is_hash(id),
            _ => false,
        }
}

fn is_hash(text: &str) -> bool {
    BlobHash::parse(text).is_some()
}

/// The path's segments as sent; what follows `inputs` or `outputs` counts as one.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.splitn(if path.starts_with("q/") { 6 } else { 4 }, '/').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "c192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55";

    fn rules() -> AccessRules {
        AccessRules {
            port: 8000,
            hosts: vec!["worker".into(), "box:9".into()],
            origins: vec!["https://mine.org".into()],
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// The share, or the code of the refusal.
    fn decided(method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> Result<Share, String> {
        let mut headers = headers(pairs);
        if !headers.contains_key("host") {
            headers.insert("host", "localhost:8000".parse().unwrap());
        }
        let uri: Uri = path.parse().unwrap();
        let is_open = is_read_by_hash(method, &headers, uri.path());
        decide(&rules(), method, &uri, &headers, is_open).map_err(|error| match error {
            HttpError::Refused { code, .. } => code.to_owned(),
            other => other.to_string(),
        })
    }

    fn host(host: &str) -> Result<Share, String> {
        decided(&Method::GET, "/", &[("host", host)])
    }

    fn refused(code: &str) -> Result<Share, String> {
        Err(code.to_owned())
    }

    #[test]
    fn we_answer_to_the_names_of_this_computer_with_our_port_only() {
        for good in [
            "localhost:8000",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "worker:8000",
            "box:9",
            "box:8000",
        ] {
            if good != "box:8000" {
                assert_eq!(host(good), Ok(Share::Nobody), "{good}");
            }
        }
        for bad in
            ["localhost", "localhost:8001", "evil.org:8000", "localhost.evil.org:8000", "box:8000", "a b"]
        {
            assert_eq!(host(bad), refused("host-not-allowed"), "{bad}");
        }
    }

    #[test]
    fn a_request_names_its_host_exactly_once() {
        let two = [("host", "localhost:8000"), ("host", "localhost:8000")];
        assert_eq!(decided(&Method::GET, "/", &two), refused("host-missing"));
        let none = decide(&rules(), &Method::GET, &Uri::from_static("/"), &HeaderMap::new(), false);
        assert!(none.unwrap_err().to_string().contains("Host header"));
    }

    #[test]
    fn a_foreign_host_in_the_request_line_counts_too() {
        assert_eq!(decided(&Method::GET, "http://evil.org/health", &[]), refused("host-not-allowed"));
        assert_eq!(decided(&Method::GET, "http://localhost:8000/health", &[]), Ok(Share::Nobody));
    }

    #[test]
    fn allowed_origins_are_matched_exactly() {
        for good in
            ["https://container.mtfm.io", "https://mine.org", "http://localhost:8000", "http://[::1]:8000"]
        {
            let share = decided(&Method::POST, "/q/local", &[("origin", good)]);
            assert_eq!(share, Ok(Share::Page(good.parse().unwrap())), "{good}");
        }
        let bad = [
            "null",
            "http://container.mtfm.io",
            "https://container.mtfm.io.evil.org",
            "https://metapage.io:444",
            "http://localhost:3000",
            "",
        ];
        for bad in bad {
            assert_eq!(
                decided(&Method::GET, "/health", &[("origin", bad)]),
                refused("origin-not-allowed"),
                "{bad}"
            );
        }
        let two = [("origin", "https://metapage.io"), ("origin", "https://evil.org")];
        assert_eq!(decided(&Method::GET, "/health", &two), refused("origin-not-allowed"));
    }

    #[test]
    fn any_origin_may_read_by_hash_and_do_nothing_else() {
        let evil = [("origin", "https://evil.org")];
        let paths = [
            format!("/f/{HASH}"),
            format!("/j/{HASH}/outputs/a/b.txt"),
            format!("/q/local/j/{HASH}/inputs/a"),
        ];
        for path in &paths {
            assert_eq!(decided(&Method::GET, path, &evil), Ok(Share::Anyone), "{path}");
            assert_eq!(decided(&Method::HEAD, path, &evil), Ok(Share::Anyone), "{path}");
            assert_eq!(decided(&Method::PUT, path, &evil), refused("origin-not-allowed"), "{path}");
        }
        for path in
            ["/f/name.json", "/j/abc/outputs/a", &format!("/f/{HASH}/exists"), &format!("/j/{HASH}/outputs")]
        {
            assert_eq!(decided(&Method::GET, path, &evil), refused("origin-not-allowed"), "{path}");
        }
    }

    #[test]
    fn a_preflight_counts_as_the_request_it_announces() {
        let asks = |method| [("origin", "https://evil.org"), ("access-control-request-method", method)];
        let path = format!("/f/{HASH}");
        assert_eq!(decided(&Method::OPTIONS, &path, &asks("GET")), Ok(Share::Anyone));
        assert_eq!(decided(&Method::OPTIONS, &path, &asks("PUT")), refused("origin-not-allowed"));
    }

    #[test]
    fn requests_that_other_sites_cause_without_an_origin_are_refused() {
        for site in ["cross-site", "same-site"] {
            let image = [("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")];
            assert_eq!(decided(&Method::GET, "/q/local/status", &image), refused("cross-site"));
            assert_eq!(decided(&Method::GET, &format!("/f/{HASH}"), &image), Ok(Share::Anyone));
            let link =
                [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
            assert_eq!(decided(&Method::GET, &format!("/j/{HASH}"), &link), Ok(Share::Nobody));
            assert_eq!(decided(&Method::GET, "/", &link), Ok(Share::Nobody));
            assert_eq!(decided(&Method::GET, "/metrics", &link), refused("cross-site"));
            assert_eq!(decided(&Method::POST, &format!("/j/{HASH}"), &link), refused("cross-site"));
        }
        assert_eq!(
            decided(&Method::POST, "/q/local", &[("sec-fetch-site", "same-origin")]),
            Ok(Share::Nobody)
        );
    }
}
