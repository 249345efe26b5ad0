//! `/f/:key`: bytes that clients bring and fetch, by their hash or by a name.

pub(crate) mod download;
pub(crate) mod preview;
mod range;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use deskgrid_job::BlobKey;
use serde_json::json;

use crate::Site;
use crate::body::broken;
use crate::error::HttpError;
use crate::names::{By, Named};

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/f/{key}", get(send).put(receive)).route("/f/{key}/exists", get(exists))
}

/// Stores the body. Only what arrived whole gets its name, and only then the client is told.
async fn receive(
    State(site): State<Site>,
    By(caller): By,
    Named(key): Named<BlobKey>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let mut allowance = site.bounds().uploads.begin(&caller, announced(&headers))?;
    // Until the bytes are on the disk, which is as much work for it.
    let mut turn = site.bounds().turns.begin();
    turn.take().await;
    site.worker().make_room(announced(&headers)).await?;
    let _under_way = site.gauges().upload();
    let blobs = site.store().blobs();
    let expected = match &key {
        BlobKey::Hash(hash) => Some(*hash),
        BlobKey::Name(_) => None,
    };
    let mut incoming = blobs.receive(expected);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = turn.next(&mut pieces).await {
        let piece = piece.map_err(|error| broken(&error))?;
        allowance.take(piece.len())?;
        incoming.push(piece).await?;
    }
    let was_there = matches!(key, BlobKey::Hash(_)) && blobs.find(&key).await?.is_some();
    let stored = incoming.finish().await?;
    if !was_there {
        allowance.keep();
    }
    if let BlobKey::Name(name) = &key {
        blobs.bind_name(name, stored.hash).await?;
    }
    site.gauges().uploaded(stored.size);
    Ok(format!("Stored {} bytes as {key}.\n", stored.size).into_response())
}

/// The length that the client says its body has; nothing when it does not know.
fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

async fn send(
    State(site): State<Site>,
    Named(key): Named<BlobKey>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let Some(hash) = site.store().blobs().resolve(&key).await? else { return Ok(download::not_found()) };
    site.worker().note_file_read(hash);
    let name = key.to_string();
    let is_json = std::path::Path::new(&name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let content_type = if is_json { "application/json" } else { "application/octet-stream" };
    download::blob(site.store(), hash, &name, content_type.to_owned(), &headers).await
}

async fn exists(State(site): State<Site>, Named(key): Named<BlobKey>) -> Result<Response, HttpError> {
    let stored = site.store().blobs().find(&key).await?;
    if let Some(stored) = &stored {
        // Whoever asks is about to refer to it.
        site.store().blobs().note_use(stored.hash).await;
    }
    let found = stored.is_some();
    let status = if found { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, Json(json!({ "exists": found }))).into_response())
}
