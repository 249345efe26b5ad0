//! The files of a job: its inputs as it was given them, and its outputs.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use deskgrid_job::{BlobHash, BlobKey, ConfigPath, DataRef, Definition, FilePath, JobId};
use deskgrid_store::StoreError;
use deskgrid_wire::definition;

use crate::Site;
use crate::body::understand;
use crate::error::HttpError;
use crate::files::{download, preview};
use crate::names::Named;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/j/{id}/inputs/{*path}", get(input))
        .route("/q/{queue}/j/{id}/inputs/{*path}", get(input))
        .route("/j/{id}/outputs/{*path}", get(output))
        .route("/q/{queue}/j/{id}/outputs/{*path}", get(output))
}

/// Where the bytes of a file are.
enum Bytes {
    Here(Vec<u8>),
    Stored(BlobHash),
}

async fn input(
    State(site): State<Site>,
    Named(id): Named<JobId>,
    Named(path): Named<FilePath>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let kind = download::content_type(path.as_str());
    let answer = match find_input(&site, &id, &path).await? {
        Some(Bytes::Here(bytes)) => download::inline(bytes, path.as_str(), &kind),
        Some(Bytes::Stored(hash)) => {
            download::blob(site.store(), hash, path.as_str(), kind, &headers).await?
        }
        None => return Ok(no_file("input", &path)),
    };
    Ok(preview::shown(answer, &headers))
}

async fn output(
    State(site): State<Site>,
    Named(id): Named<JobId>,
    Named(path): Named<FilePath>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let result = site.store().result(&id).await?;
    let Some(file) = result.and_then(|result| result.outputs.get(&path).copied()) else {
        return Ok(no_file("output", &path));
    };
    if site.store().blobs().size(file.hash).await?.is_none() {
        return Err(gone(&path));
    }
    site.worker().note_file_read(file.hash);
    let kind = download::content_type(path.as_str());
    match download::blob(site.store(), file.hash, path.as_str(), kind, &headers).await {
        Err(HttpError::Store(StoreError::DamagedFile { .. })) => Err(gone(&path)),
        answer => Ok(preview::shown(answer?, &headers)),
    }
}

/// The result has the file and the disk has it no more.
fn gone(path: &FilePath) -> HttpError {
    let words = format!(
        "The output '{path}' of this job is not on the disk any more: it was found damaged and set aside, or someone \
         removed it from the data folder. Run the job again to get it back."
    );
    HttpError::refused(StatusCode::GONE, "output-gone", words)
}

/// 404 as clients know it: plain text.
fn no_file(what: &str, path: &FilePath) -> Response {
    (StatusCode::NOT_FOUND, format!("The job has no {what} file '{path}'.\n")).into_response()
}

/// The bytes that the job's run had under this name, or before that those that its definition names.
async fn find_input(site: &Site, id: &JobId, path: &FilePath) -> Result<Option<Bytes>, HttpError> {
    if let Some(hash) = site.store().input(id, path).await? {
        return Ok(Some(Bytes::Stored(hash)));
    }
    let Some(text) = site.store().definition(id).await? else { return Ok(None) };
    let path = path.clone();
    let named = understand(text, move |text| {
        let definition = definition::parse(&serde_json::from_str(text).ok()?).ok()?;
        named_input(definition, path)
    });
    let key = match named.await? {
        Some(DataRef::Inline(bytes)) => return Ok(Some(Bytes::Here(bytes))),
        Some(DataRef::Url { hash: Some(hash), .. }) => BlobKey::Hash(hash),
        Some(DataRef::Key(key) | DataRef::Url { key: Some(key), .. }) => key,
        Some(DataRef::Url { .. }) | None => return Ok(None),
    };
    let stored = site.store().blobs().find(&key).await?;
    Ok(stored.map(|stored| Bytes::Stored(stored.hash)))
}

/// Config files with a relative name are inputs too, and win over them.
fn named_input(mut definition: Definition, path: FilePath) -> Option<DataRef> {
    let input = definition.inputs.remove(&path);
    definition.config_files.remove(&ConfigPath::Input(path)).or(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_file_is_read_like_an_input() {
        let text = r#"{"image":"a","inputs":{"x":"1","y":{"value":"2"}},"configFiles":{"x":{"value":"3"}}}"#;
        let text = text.replace(r#""x":"1""#, r#""x":{"value":"1"}"#);
        let named = |path: &str| {
            let definition = definition::parse(&serde_json::from_str(&text).unwrap()).unwrap();
            named_input(definition, FilePath::new(path).unwrap())
        };
        assert_eq!(named("x"), Some(DataRef::Inline(b"3".to_vec())));
        assert_eq!(named("y"), Some(DataRef::Inline(b"2".to_vec())));
        assert_eq!(named("z"), None);
    }
}
