//! Bodies whose bytes must keep coming: a client that sends one now and then holds a place.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt as _;

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("no byte came for {} seconds", .0.as_secs())]
struct Stall(Duration);

/// The same body, which fails when nothing of it comes for `patience` while somebody waits for it.
pub(super) fn steady(body: Body, patience: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let pieces = futures_util::stream::unfold(Some(body.into_data_stream()), move |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(patience, pieces.next()).await {
            Ok(piece) => Some((piece?.map_err(axum::BoxError::from), Some(pieces))),
            Err(_) => Some((Err(Stall(patience).into()), None)),
        }
    });
    Body::from_stream(pieces)
}

/// Whether a body ended with an error because nothing came.
pub(crate) fn is_stall(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Stall>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A body of which a byte comes after each of these waits.
    fn slow(waits: Vec<Duration>) -> Body {
        Body::from_stream(stream::iter(waits).then(|wait| async move {
            tokio::time::sleep(wait).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_goes_on_may_take_as_long_as_it_likes() {
        let body = steady(slow(vec![Duration::from_secs(29); 10]), PATIENCE);
        assert_eq!(axum::body::to_bytes(body, 100).await.unwrap().len(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        let waits = vec![Duration::ZERO, PATIENCE + Duration::from_millis(1)];
        let mut pieces = steady(slow(waits), PATIENCE).into_data_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "x");
        assert!(is_stall(&pieces.next().await.unwrap().unwrap_err()));
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn other_errors_are_no_stall() {
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]);
        let mut pieces = steady(Body::from_stream(broken), PATIENCE).into_data_stream();
        assert!(!is_stall(&pieces.next().await.unwrap().unwrap_err()));
    }
}
