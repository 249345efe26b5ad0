//! The answer that hands out a stored file, whole or in part, and streamed from the disk.

use std::io::{Seek as _, SeekFrom};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use deskgrid_job::BlobHash;
use deskgrid_store::{BlobFile, CheckedReader, Store};
use futures_util::stream;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::range::{Wanted, wanted};
use crate::error::HttpError;

/// Read at once, on a thread that may block: large enough that the change of threads costs nothing beside it.
const PIECE: usize = 256 * 1024;

/// Files up to this size, in bytes, are read as a whole, and hashed each time.
const READ_AT_ONCE: u64 = 2 * 1024 * 1024;

/// What RFC 8187 wants encoded in a file name.
const NOT_IN_FILENAME: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'{')
    .add(b'}');

/// 404 as clients know it: plain text.
pub(crate) fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "File not found").into_response()
}

/// Answers with the blob `hash` under the name `name`, as far as the request's `headers` want it.
pub(crate) async fn blob(
    store: &Store,
    hash: BlobHash,
    name: &str,
    content_type: String,
    headers: &HeaderMap,
) -> Result<Response, HttpError> {
    let Some(size) = store.blobs().size(hash).await? else {
        // One that was set aside says so.
        store.blobs().open_sound(hash).await?;
        return Ok(not_found());
    };
    let tag = format!("\"{hash}\"");
    let mut answer = described(&tag, name, &content_type);
    if names_tag(headers, header::IF_NONE_MATCH, &tag) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(answer);
    }
    match wanted_of(headers, &tag, size) {
        Wanted::Whole => {
            set(&mut answer, header::CONTENT_LENGTH, size);
            *answer.body_mut() = whole(store, hash, size).await?;
        }
        Wanted::Part { start, length } => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut answer, header::CONTENT_LENGTH, length);
            set(&mut answer, header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + length - 1));
            *answer.body_mut() = part(store, hash, start, length).await?;
        }
        Wanted::Nothing => {
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut answer, header::CONTENT_RANGE, format!("bytes */{size}"));
        }
    }
    Ok(answer)
}

/// Answers with bytes that are in memory already.
pub(crate) fn inline(bytes: Vec<u8>, name: &str, content_type: &str) -> Response {
    let mut answer = bytes.into_response();
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CONTENT_DISPOSITION, disposition(name));
    answer
}

/// The type that a file's name promises; text is UTF-8.
pub(crate) fn content_type(name: &str) -> String {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    if guessed.type_() == "text" { format!("{guessed}; charset=utf-8") } else { guessed.to_string() }
}

fn described(tag: &str, name: &str, content_type: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    set(&mut answer, header::ETAG, tag);
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    // Kept copies are used again after asking, which costs a 304 on the same computer.
    set(&mut answer, header::CACHE_CONTROL, "no-cache");
    set(&mut answer, header::CONTENT_TYPE, content_type);
    set(&mut answer, header::CONTENT_DISPOSITION, disposition(name));
    answer
}

fn set(answer: &mut Response, name: HeaderName, value: impl TryInto<HeaderValue>) {
    if let Ok(value) = value.try_into() {
        answer.headers_mut().insert(name, value);
    }
}

/// The range that counts: with `If-Range`, only when the client has the beginning of these very bytes.
fn wanted_of(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let still_valid = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if still_valid => wanted(range, size),
        _ => Wanted::Whole,
    }
}

fn names_tag(headers: &HeaderMap, name: HeaderName, tag: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// All of a blob. Of a damaged one a client gets nothing; when it is large and the disk reads it differently than
/// earlier in this life, a connection that breaks off before the last bytes.
async fn whole(store: &Store, hash: BlobHash, size: u64) -> Result<Body, HttpError> {
    if size <= READ_AT_ONCE {
        let bytes = store.blobs().read_sound(hash).await?;
        return bytes.map(Body::from).ok_or_else(gone);
    }
    let reader = store.blobs().read_checked(hash).await?.ok_or_else(gone)?;
    Ok(Body::from_stream(stream::try_unfold(reader, CheckedReader::next)))
}

/// It was removed between two looks.
fn gone() -> HttpError {
    HttpError::missing("file-not-found", "File not found")
}

/// Part of a blob, which cannot be checked by itself: the blob was found sound since it last changed.
async fn part(store: &Store, hash: BlobHash, start: u64, length: u64) -> Result<Body, HttpError> {
    let BlobFile { mut file, .. } = store.blobs().open_sound(hash).await?.ok_or_else(gone)?;
    if start > 0 {
        // Moving the place in a file that is open does not wait for the disk.
        file.seek(SeekFrom::Start(start)).map_err(|error| unreadable(&error))?;
    }
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(PIECE);
    Ok(Body::from_stream(ReaderStream::with_capacity(file.take(length), PIECE)))
}

fn unreadable(error: &std::io::Error) -> HttpError {
    let words =
        format!("The stored file cannot be read: {error}. Check the disk that holds the data folder.");
    HttpError::refused(StatusCode::INTERNAL_SERVER_ERROR, "disk-failed", words)
}

/// `attachment` with the last part of `name`, in plain ASCII and, where that loses something, exactly.
fn disposition(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-+".contains(c);
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let exact = utf8_percent_encode(name, NOT_IN_FILENAME);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{exact}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_given_exactly_and_cannot_break_out_of_the_header() {
        assert_eq!(disposition("a/b c.txt"), "attachment; filename=\"b c.txt\"");
        assert_eq!(
            disposition("ü\"\r\n.txt"),
            "attachment; filename=\"____.txt\"; filename*=UTF-8''%C3%BC%22%0D%0A.txt"
        );
    }

    #[test]
    fn text_is_utf_8_and_unknown_names_are_bytes() {
        assert_eq!(content_type("a/b.csv"), "text/csv; charset=utf-8");
        assert_eq!(content_type("a.png"), "image/png");
        assert_eq!(content_type("Makefile.unknown-kind"), "application/octet-stream");
    }

    #[test]
    fn a_range_counts_only_while_the_bytes_are_the_same() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=1-2"));
        assert_eq!(wanted_of(&headers, "\"x\"", 10), Wanted::Part { start: 1, length: 2 });
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"x\""));
        assert_eq!(wanted_of(&headers, "\"x\"", 10), Wanted::Part { start: 1, length: 2 });
        assert_eq!(wanted_of(&headers, "\"y\"", 10), Wanted::Whole);
    }

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\", W/\"x\""));
        assert!(names_tag(&headers, header::IF_NONE_MATCH, "\"x\""));
        assert!(!names_tag(&headers, header::IF_NONE_MATCH, "\"b\""));
    }
}
