//! Names in a request's path, read and checked before a route runs. What is wrong with one is a 400 in words.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use deskgrid_job::{BlobKey, Caller, FilePath, JobId, Namespace, Outlook, QueueName};

use crate::error::HttpError;

/// The queue of paths that name none (protocol section 5).
const USUAL_QUEUE: &str = "local";

/// A name that a route takes from its path, where it was percent-decoded once.
pub(crate) struct Named<T>(pub(crate) T);

/// Something with a place in a path and rules of its own.
pub(crate) trait Name: Sized {
    /// What the routes call it.
    const PARAMETER: &'static str;
    /// The code of a refusal.
    const CODE: &'static str;
    /// What it is when the path has no place for it.
    const USUAL: Option<&'static str> = None;

    /// Checks the text; the error is words for a person.
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! name {
    ($type:ty, $parameter:literal, $code:literal $(, $usual:expr)?) => {
        impl Name for $type {
            const PARAMETER: &'static str = $parameter;
            const CODE: &'static str = $code;
            $(const USUAL: Option<&'static str> = Some($usual);)?

            fn read(text: &str) -> Result<Self, String> {
                Self::new(text).map_err(|error| error.to_string())
            }
        }
    };
}

name!(JobId, "id", "bad-job-id");
name!(QueueName, "queue", "bad-queue-name", USUAL_QUEUE);
name!(Namespace, "namespace", "bad-namespace");
name!(BlobKey, "key", "bad-file-key");
name!(FilePath, "path", "bad-file-name");

impl<T: Name, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Ok(parameters) = RawPathParams::from_request_parts(parts, state).await else {
            return Err(HttpError::bad("bad-path", "The path is no UTF-8 after decoding its percent signs."));
        };
        let found =
            parameters.iter().find(|(name, _)| *name == T::PARAMETER).map(|(_, text)| text).or(T::USUAL);
        read(found.unwrap_or_default()).map(Self)
    }
}

/// The queue that a request's path names, as whoever sent the request may see it.
pub(crate) struct Seen(pub(crate) Outlook);

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Named(queue) = Named::<QueueName>::from_request_parts(parts, state).await?;
        Ok(Self(Outlook { queue, caller: caller(parts) }))
    }
}

/// Who sent a request, as the access rules found.
pub(crate) struct By(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(caller(parts)))
    }
}

/// A request that did not pass the access rules could only come from a page that nobody knows.
fn caller(parts: &Parts) -> Caller {
    parts.extensions.get().cloned().unwrap_or_else(|| Caller::parse("null"))
}

/// Checks a name from anywhere in a request.
pub(crate) fn read<T: Name>(text: &str) -> Result<T, HttpError> {
    T::read(text).map_err(|problem| HttpError::bad(T::CODE, problem))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(path: &str) -> (StatusCode, String) {
        let show =
            async |Named(queue): Named<QueueName>, Named(path): Named<FilePath>| format!("{queue}|{path}");
        let routes = Router::new()
            .route("/f/{key}", get(async |Named(key): Named<BlobKey>| key.to_string()))
            .route("/o/{*path}", get(show))
            .route("/q/{queue}/{*path}", get(show));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_path_is_decoded_once_as_a_whole() {
        let (status, text) = answer("/q/my%20queue/a/%C3%BC%20%23%25%3F/b%252e").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, "my queue|a/ü #%?/b%2e"));
    }

    #[tokio::test]
    async fn a_path_without_a_queue_means_the_usual_one() {
        assert_eq!(answer("/o/a").await.1, "local|a");
    }

    #[tokio::test]
    async fn names_that_could_lead_elsewhere_are_refused_in_words() {
        for bad in ["/f/%2e%2e", "/f/..%2fx", "/f/a%00", "/f/%ff", "/o/a/%2e%2e/b", "/o/a//b", "/o/%2Fetc"] {
            let (status, text) = answer(bad).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
            assert!(text.starts_with(r#"{"error":""#), "{text}");
        }
        assert!(answer("/f/.hidden").await.1.contains("bad-file-key"));
    }
}
