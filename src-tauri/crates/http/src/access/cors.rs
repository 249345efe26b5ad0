//! The headers that tell a browser what a page may do with an answer (protocol section 5, CORS).

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_SECURITY_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ASKS_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Headers of ours that a page may want and that browsers hide by default.
const EXPOSED: &str = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag";

/// Whose pages may read an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// No page of another origin; programs do not look at this.
    Nobody,
    /// Pages of every origin, without their cookies.
    Anyone,
    /// Pages of this origin, with credentials.
    Page(HeaderValue),
}

impl Share {
    /// Marks an answer.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        match self {
            Self::Nobody => return,
            Self::Anyone => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Page(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    /// Marks the answer to a preflight, whose head is `asked`.
    pub(super) fn mark_preflight(&self, asked: &HeaderMap, headers: &mut HeaderMap) {
        let methods = match self {
            Self::Anyone => "GET, HEAD, OPTIONS",
            Self::Nobody | Self::Page(_) => "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        };
        self.mark(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if asked.get(ASKS_PRIVATE_NETWORK).is_some_and(|value| value == "true") {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
    }
}

/// Marks every answer, refusals too. An open one may be embedded by any page, and must not act as a page of ours.
pub(super) fn mark_every(headers: &mut HeaderMap, is_open: bool) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_open {
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        // A frame of ours is told more than that, see `files::preview`.
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("sandbox"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preflight_echoes_origin_and_headers_and_grants_the_private_network_when_asked() {
        let mut asked = HeaderMap::new();
        asked.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("content-type"));
        asked.insert(ASKS_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        let mut answer = HeaderMap::new();
        Share::Page(HeaderValue::from_static("https://metapage.io")).mark_preflight(&asked, &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://metapage.io");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_METHODS], "GET, HEAD, POST, PUT, DELETE, OPTIONS");
        assert_eq!(answer[ACCESS_CONTROL_MAX_AGE], "86400");
        assert_eq!(answer[ALLOW_PRIVATE_NETWORK], "true");
    }

    #[test]
    fn what_is_shared_with_everyone_carries_no_credentials() {
        let mut answer = HeaderMap::new();
        Share::Anyone.mark(&mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn an_open_answer_may_be_embedded_but_cannot_act_as_our_page() {
        let mut answer = HeaderMap::new();
        mark_every(&mut answer, true);
        assert_eq!(answer[RESOURCE_POLICY], "cross-origin");
        assert_eq!(answer[CONTENT_SECURITY_POLICY], "sandbox");
        assert_eq!(answer[X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
