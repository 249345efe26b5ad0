//! One download on its way: what is asked, what is taken of the answers, and where it ends.

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{Fetched, Progress, Sink, Terms};
use crate::ContextError;
use crate::archive::too_large_unpacked;
use crate::error::Advice;
use crate::secret::Secret;

/// Times that an answer may say that the archive is elsewhere.
pub(super) const MOST_REDIRECTS: usize = 10;

/// One download on its way.
pub(crate) struct Fetch<'a, S, P> {
    pub(crate) shown: &'a str,
    pub(crate) terms: Terms<'a>,
    pub(super) sink: &'a mut S,
    pub(super) progress: P,
    pub(super) done: u64,
}

impl<S: Sink, P: FnMut(Progress) + Send> Fetch<'_, S, P> {
    pub(super) async fn download(
        &mut self,
        client: &Client,
        url: Url,
        secret: Option<HeaderValue>,
    ) -> Result<Fetched, ContextError> {
        let mut response = self.answer(client, url, secret).await?;
        if response.status() == StatusCode::NOT_MODIFIED && self.terms.known.is_some() {
            return Ok(Fetched::NotModified);
        }
        self.refuse_failure(&response)?;
        let total = response.content_length();
        if total.is_some_and(|total| total > self.terms.limits.download) {
            return Err(self.too_large());
        }
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        while let Some(bytes) = response.chunk().await.map_err(|error| self.failed(error))? {
            self.push(bytes, total).await?;
        }
        Ok(Fetched::Archive { etag })
    }

    /// Asks, and asks on where an answer says that the archive is elsewhere. A secret goes to the first place only.
    async fn answer(
        &self,
        client: &Client,
        mut url: Url,
        mut secret: Option<HeaderValue>,
    ) -> Result<Response, ContextError> {
        for _ in 0..=MOST_REDIRECTS {
            let mut headers = HeaderMap::new();
            if let Some(known) = self.terms.known.and_then(|known| HeaderValue::from_str(known).ok()) {
                headers.insert(IF_NONE_MATCH, known);
            }
            headers.extend(secret.clone().map(|secret| (AUTHORIZATION, secret)));
            let request = client.get(url.clone()).headers(headers).send();
            let response = request.await.map_err(|error| self.failed(error))?;
            let Some(next) = self.elsewhere(&response, &url)? else { return Ok(response) };
            if next.origin() != url.origin() {
                secret = None;
            }
            url = next;
        }
        Err(self.unavailable("the server sends us from address to address", Advice::CheckAddress))
    }

    /// Where an answer sends us, if it does.
    fn elsewhere(&self, response: &Response, url: &Url) -> Result<Option<Url>, ContextError> {
        if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let unusable =
            || self.unavailable("the server sends us to an unusable address", Advice::CheckAddress);
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let mut next = location.and_then(|location| url.join(location).ok()).ok_or_else(unusable)?;
        if !["http", "https"].contains(&next.scheme()) {
            return Err(unusable());
        }
        // What a server puts there is not the person's word.
        drop(Secret::take(&mut next));
        Ok(Some(next))
    }

    fn refuse_failure(&self, response: &Response) -> Result<(), ContextError> {
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                let why = format!("the server answered {status}, so it is not there or not for everybody");
                Err(self.unavailable(why, Advice::CheckAccess))
            }
            status if status.is_success() => Ok(()),
            status => Err(self.unavailable(format!("the server answered {status}"), Advice::CheckAddress)),
        }
    }

    /// Hands on the next bytes of a download, within its limit.
    async fn push(&mut self, bytes: Bytes, total: Option<u64>) -> Result<(), ContextError> {
        if self.done.saturating_add(bytes.len() as u64) > self.terms.limits.download {
            return Err(self.too_large());
        }
        self.keep(bytes, total).await
    }

    /// Hands on the next bytes of a tar that was made here of what was downloaded, within the limit of what is unpacked.
    pub(crate) async fn push_unpacked(&mut self, bytes: Bytes) -> Result<(), ContextError> {
        if self.done.saturating_add(bytes.len() as u64) > self.terms.limits.unpacked {
            return Err(too_large_unpacked(self.terms.limits.unpacked));
        }
        self.keep(bytes, None).await
    }

    async fn keep(&mut self, bytes: Bytes, total: Option<u64>) -> Result<(), ContextError> {
        self.done += bytes.len() as u64;
        self.sink.push(bytes).await.map_err(ContextError::NotKept)?;
        self.tell(self.done, total);
        Ok(())
    }

    /// Tells how far it is.
    pub(crate) fn tell(&mut self, done: u64, total: Option<u64>) {
        (self.progress)(Progress { done, total });
    }

    pub(crate) fn too_large(&self) -> ContextError {
        ContextError::too_large("its download has too many bytes", self.terms.limits.download, "bytes")
    }

    pub(crate) fn unavailable(&self, why: impl Into<String>, advice: Advice) -> ContextError {
        ContextError::Unavailable { from: self.shown.to_owned(), why: why.into(), advice }
    }

    fn failed(&self, error: reqwest::Error) -> ContextError {
        self.unavailable(reason(&error.without_url()), Advice::CheckAddress)
    }
}

/// The innermost cause says most: "connection refused" rather than "error sending request".
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "the server stopped answering".to_owned() } else { cause.to_string() }
}
