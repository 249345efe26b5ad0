//! JSON in both directions: bodies that are read whole, up to a limit, and answers that the wire has written.
//! Files stream instead.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use deskgrid_worker::WorkerError;
use futures_util::StreamExt as _;

use crate::bounds::is_stall;
use crate::error::HttpError;

/// The most JSON that is read at once, from a body or a socket, in bytes.
pub(crate) const MOST_JSON: usize = 64_000_000;

/// A body of at most [`MOST_JSON`] bytes of UTF-8, whatever its content type.
pub(crate) struct JsonText(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if announced
            .and_then(|length| length.parse().ok())
            .is_some_and(|length: u64| length > MOST_JSON as u64)
        {
            return Err(too_large());
        }
        let bytes = read(request.into_body(), MOST_JSON).await?;
        let text = String::from_utf8(bytes);
        text.map(Self)
            .map_err(|_| HttpError::bad("bad-json", "The body is no JSON: it is not even UTF-8 text."))
    }
}

/// An answer of JSON text.
pub(crate) struct Written<T = String>(pub(crate) T);

impl<T: IntoResponse> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], self.0)
            .into_response()
    }
}

/// Longer texts are understood on a thread that may block, in bytes: tens of megabytes take a good part of a second.
const LONG: usize = 256 * 1024;

/// Understands a client's text by `read`.
pub(crate) async fn understand<S, T>(
    text: S,
    read: impl FnOnce(&str) -> T + Send + 'static,
) -> Result<T, HttpError>
where
    S: AsRef<str> + Send + 'static,
    T: Send + 'static,
{
    if text.as_ref().len() < LONG {
        return Ok(read(text.as_ref()));
    }
    let understood = tokio::task::spawn_blocking(move || read(text.as_ref())).await;
    understood.map_err(|_| WorkerError::Stopping.into())
}

async fn read(body: Body, most: usize) -> Result<Vec<u8>, HttpError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| broken(&error))?;
        if bytes.len() + piece.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The client went away, sent less than it announced, or stopped sending.
pub(crate) fn broken(error: &axum::Error) -> HttpError {
    if is_stall(error) {
        let words = format!("The body did not arrive whole: {error}. Send it again.");
        return HttpError::refused(StatusCode::REQUEST_TIMEOUT, "body-stalled", words);
    }
    HttpError::bad("body-incomplete", format!("The body did not arrive whole ({error}). Send it again."))
}

fn too_large() -> HttpError {
    let words =
        "A submission may have at most 64 MB. Upload large files with PUT /f/<sha256> and refer to them.";
    HttpError::refused(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_however_it_is_cut() {
        let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("12345"), Ok("67890")]);
        let error = read(Body::from_stream(pieces), 9).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused { status: StatusCode::PAYLOAD_TOO_LARGE, .. }));
        assert_eq!(read(Body::from("123456789"), 9).await.unwrap().len(), 9);
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_before_it_is_read() {
        let request = Request::post("/").header("content-length", "99999999999").body(Body::empty()).unwrap();
        assert!(JsonText::from_request(request, &()).await.is_err());
    }
}
