//! Brings local files to the server, each only when the server does not have its bytes yet.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use deskgrid_job::{BlobHash, FilePath};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{MultiProgress, ProgressBar};
use sha2::{Digest, Sha256};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::client::Client;
use crate::error::CliError;
use crate::pull::style;
use crate::words;

/// Files on their way at the same time: enough to hash one while others travel.
const AT_ONCE: usize = 4;
/// Large enough that reading costs little, small enough that memory stays small.
const PIECE: usize = 256 * 1024;

/// Sends the files and gives the hash of each.
pub(crate) async fn send_all(
    client: &Client,
    files: BTreeMap<FilePath, PathBuf>,
) -> Result<BTreeMap<FilePath, BlobHash>, CliError> {
    let bars = MultiProgress::new();
    stream::iter(files)
        .map(|(name, path)| {
            let bars = &bars;
            async move { Ok((name, send(client, &path, bars).await?)) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn send(client: &Client, path: &Path, bars: &MultiProgress) -> Result<BlobHash, CliError> {
    let failed = |error| CliError::file("Reading", path, error);
    let (hash, length) = hash_in_background(path).await.map_err(failed)?;
    let key = hash.to_string();
    if client.has_file(&key).await? {
        return Ok(hash);
    }
    let bar = bars.add(progress_bar(path, length));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let body = body_of(file, bar.clone());
    let sent = client.put_file(&format!("Uploading {}", path.display()), &key, length, body).await;
    bar.finish_and_clear();
    sent.map(|()| hash)
}

fn body_of(file: impl AsyncRead + Send + 'static, bar: ProgressBar) -> reqwest::Body {
    let pieces = ReaderStream::with_capacity(file, PIECE);
    reqwest::Body::wrap_stream(pieces.inspect_ok(move |piece| bar.inc(piece.len() as u64)))
}

/// A bar that a terminal shows; elsewhere one line says the same.
fn progress_bar(path: &Path, length: u64) -> ProgressBar {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if !std::io::stderr().is_terminal() {
        eprintln!("Uploading {name} ({})", words::size(length));
        return ProgressBar::hidden();
    }
    ProgressBar::new(length)
        .with_style(style("Uploading {msg} [{bar:24}] {bytes} of {total_bytes}, {bytes_per_sec}"))
        .with_message(name)
}

async fn hash_in_background(path: &Path) -> std::io::Result<(BlobHash, u64)> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || hash_of(std::fs::File::open(path)?)).await?
}

/// The hash and the length of what `file` holds.
fn hash_of(mut file: impl Read) -> std::io::Result<(BlobHash, u64)> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((BlobHash(hasher.finalize().into()), length));
        }
        hasher.update(&piece[..read]);
        length += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_hash_does_not_depend_on_how_it_is_read() {
        let (hash, length) = hash_of("abc".as_bytes()).unwrap();
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(length, 3);
        let long = vec![7; PIECE + 1];
        let whole = BlobHash(Sha256::digest(&long).into());
        assert_eq!(hash_of(long.as_slice()).unwrap(), (whole, PIECE as u64 + 1));
    }
}
