//! Headers that keep every answer out of the hands of pages that did not ask for it in the open, and that take from an
//! answer the power to act as one of our pages. A route that needs something else says so itself. They also say who
//! answers, by which a second Deskgrid knows the first.

use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, REFERRER_POLICY, SERVER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// For what is no page: a browser that shows it all the same runs nothing in it and lets nobody frame it.
const LIFELESS: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Marks every answer, refusals too.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    mark(response.headers_mut());
    response
}

fn mark(headers: &mut HeaderMap) {
    for (name, value) in [
        (RESOURCE_POLICY, "same-origin"),
        (CONTENT_SECURITY_POLICY, LIFELESS),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (SERVER, crate::SERVER),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_says_nothing_is_lifeless_and_ours_alone() {
        let mut headers = HeaderMap::new();
        mark(&mut headers);
        assert_eq!(headers[RESOURCE_POLICY], "same-origin");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], LIFELESS);
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    }

    #[test]
    fn what_a_route_says_itself_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        mark(&mut headers);
        assert_eq!(headers[RESOURCE_POLICY], "cross-origin");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "sandbox");
    }
}
