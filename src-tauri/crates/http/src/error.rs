//! What a request can be refused for, and the JSON in which a client reads it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deskgrid_sites::Origin;
use deskgrid_store::StoreError;
use deskgrid_worker::WorkerError;
use serde_json::json;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The request itself is at fault.
    #[error("{message}")]
    Refused {
        /// What HTTP calls it.
        status: StatusCode,
        /// Stable across versions.
        code: &'static str,
        /// What happened, to what, and what to do.
        message: String,
    },
    /// A page asked about whose origin nobody has decided. Its person reads here what to do.
    #[error(
        "Pages of {origin} may not use this Deskgrid as long as you have not allowed them. If you trust that page, \
         run: deskgrid sites allow {origin}. Then the page goes on by itself. {doctor} tests whether your browser \
         and Deskgrid can talk."
    )]
    Uninvited {
        /// The page's origin.
        origin: Origin,
        /// The address of our page that tests the browser.
        doctor: String,
    },
    /// The queue could not take it.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The disk could not give or take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HttpError {
    /// 400: the client sent something that we cannot use.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404: there is no such thing.
    pub(crate) fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::refused(StatusCode::NOT_FOUND, code, message)
    }

    /// 404 in the words that clients know (protocol section 5).
    pub(crate) fn no_job() -> Self {
        Self::missing("job-not-found", "Job not found")
    }

    /// Any other refusal.
    pub(crate) fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused { status, code, message: message.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Uninvited { .. } => StatusCode::FORBIDDEN,
            Self::Worker(WorkerError::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Worker(WorkerError::Store(error)) | Self::Store(error) => status_of(error),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Uninvited { .. } => "origin-not-allowed",
            Self::Worker(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

fn status_of(error: &StoreError) -> StatusCode {
    match error {
        StoreError::HashMismatch { .. } => StatusCode::BAD_REQUEST,
        StoreError::DiskFull { .. } | StoreError::LowOnDisk { .. } => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::DamagedFile { .. } => StatusCode::GONE,
        StoreError::Stopped | StoreError::RecordsDamaged { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::warn!(code = self.code(), "a request failed: {self}");
        }
        let mut body = json!({ "error": self.to_string(), "code": self.code() });
        if let Self::Uninvited { origin, doctor } = &self {
            body["origin"] = json!(origin.as_str());
            body["command"] = json!(format!("deskgrid sites allow {origin}"));
            body["doctor"] = json!(doctor);
        }
        (self.status(), Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_json_with_words_and_a_code() {
        let response = HttpError::no_job().into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(&body[..], br#"{"error":"Job not found","code":"job-not-found"}"#);
    }
}
