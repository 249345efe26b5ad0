//! Downloads of inputs that are given as URLs. Only what a job asks for, only over http and https.

use std::sync::OnceLock;
use std::time::Duration;

use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, Failure, FailureCode};
use deskgrid_store::Store;

use crate::disk;

/// A server that sends nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(20);

/// The HTTP client of downloads and webhooks; made at its first use, since its certificates cost start time and memory.
#[derive(Default)]
pub(crate) struct Fetcher(OnceLock<reqwest::Client>);

impl Fetcher {
    /// The client itself.
    pub(crate) fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("deskgrid/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(self.0.get_or_init(|| client))
    }

    /// Downloads `url` into the store.
    pub(crate) async fn download(&self, store: &Store, url: &str) -> Result<BlobHash, Failure> {
        let unavailable = |why: String| {
            Failure::new(
                FailureCode::InputUnavailable,
                format!(
                    "The input {} could not be downloaded: {why}. Check the address and the network, then run \
                     the job again.",
                    without_secrets(url)
                ),
            )
        };
        let request = self.client().map_err(|error| unavailable(reason(&error)))?.get(url).send();
        let mut response = request.await.map_err(|error| unavailable(reason(&error)))?;
        if !response.status().is_success() {
            return Err(unavailable(format!("the server answered {}", response.status())));
        }
        let mut incoming = store.blobs().receive(None);
        while let Some(bytes) = response.chunk().await.map_err(|error| unavailable(reason(&error)))? {
            incoming.push(bytes).await.map_err(disk::failure)?;
        }
        let hash = incoming.finish().await.map_err(disk::failure)?.hash;
        point(Point::InputDownloaded);
        Ok(hash)
    }
}

/// The innermost cause says most: "connection refused" rather than "error sending request".
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() }
}

/// A URL as it may be shown: signed queries and user names are left out.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let plain = &url[..end];
    match (plain.split_once("://"), plain.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{}", &plain[at + 1..]),
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_signature_and_no_password() {
        assert_eq!(without_secrets("https://u:p@h.example/a/b?sig=1#x"), "https://h.example/a/b");
        assert_eq!(without_secrets("http://h/a"), "http://h/a");
    }
}
