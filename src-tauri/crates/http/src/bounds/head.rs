//! How large the head of a request may be. The connection cuts off what is far larger, without words.

use axum::http::{HeaderMap, StatusCode, Uri};

use super::{LONGEST_ADDRESS, LONGEST_HEAD, MOST_HEADERS};
use crate::error::HttpError;

/// Refuses a head over a limit.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
    let address = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if address > LONGEST_ADDRESS {
        let words = format!("An address may have at most {LONGEST_ADDRESS} bytes; this one has {address}.");
        return Err(HttpError::refused(StatusCode::URI_TOO_LONG, "address-too-long", words));
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || size > LONGEST_HEAD {
        let words = format!(
            "A request may have at most {MOST_HEADERS} headers of {LONGEST_HEAD} bytes together; this one has {} of \
             {size}. Cookies of other servers on this computer may be why: delete them in the browser.",
            headers.len()
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(HttpError::refused(status, "head-too-large", words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn status(uri: &str, headers: &HeaderMap) -> Option<StatusCode> {
        match check(&uri.parse().unwrap(), headers) {
            Err(HttpError::Refused { status, .. }) => Some(status),
            _ => None,
        }
    }

    #[test]
    fn an_address_is_bounded_with_its_query() {
        let address = |length: usize| format!("/p?{}", "x".repeat(length - 3));
        assert_eq!(status(&address(LONGEST_ADDRESS), &HeaderMap::new()), None);
        assert_eq!(status(&address(LONGEST_ADDRESS + 1), &HeaderMap::new()), Some(StatusCode::URI_TOO_LONG));
    }

    #[test]
    fn headers_are_bounded_in_number_and_in_size() {
        let mut headers = HeaderMap::new();
        for number in 0..MOST_HEADERS {
            let name: HeaderName = format!("x-{number}").parse().unwrap();
            headers.append(name, HeaderValue::from_static("a"));
        }
        assert_eq!(status("/", &headers), None);
        headers.append("x-0", HeaderValue::from_static("a"));
        assert_eq!(status("/", &headers), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        let sized = |size: usize| {
            let value: HeaderValue = "x".repeat(size - "cookie".len()).parse().unwrap();
            HeaderMap::from_iter([(axum::http::header::COOKIE, value)])
        };
        assert_eq!(status("/", &sized(LONGEST_HEAD)), None);
        let refused = Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(status("/", &sized(LONGEST_HEAD + 1)), refused);
    }
}
