//! Downloads of contexts: archives and GitHub's archives over http and https, with every bound that a stranger's server
//! needs.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::address::Repository;
use crate::secret::Secret;
use crate::source::Place;
use crate::{ContextError, Limits, Remote};

/// A server that sends nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(20);
/// Times that an answer may say that the archive is elsewhere.
const MOST_REDIRECTS: usize = 10;

const CHECK_ADDRESS: &str = "Check the address and the network, then run the job again.";
const CHECK_ACCESS: &str =
    "Check the address. When it is private, put a token in it, as in https://TOKEN@github.com/owner/repo.";

/// Where GitHub answers.
#[derive(Clone, Debug)]
pub struct GitHub {
    /// The server of archives for everybody, which does not count who asks how often.
    pub archives: String,
    /// The API, for those who have a token.
    pub api: String,
}

impl Default for GitHub {
    fn default() -> Self {
        Self { archives: "https://codeload.github.com".to_owned(), api: "https://api.github.com".to_owned() }
    }
}

/// Who keeps what is downloaded.
pub trait Sink: Send {
    /// Takes the next bytes.
    fn push(&mut self, bytes: Bytes) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes in all, when the server says so.
    pub total: Option<u64>,
}

/// Under which terms something is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The `etag` of an earlier download that is still here.
    pub known: Option<&'a str>,
    /// An existing folder for temporary files; left as it was found.
    pub scratch: &'a Path,
    /// What it may cost.
    pub limits: &'a Limits,
}

/// How a download ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The known one is still right; nothing was pushed.
    NotModified,
    /// All bytes were pushed.
    Archive {
        /// To be [`Terms::known`] the next time: an HTTP entity tag, or the commit of a git repository.
        etag: Option<String>,
    },
}

/// Fetches contexts. Its HTTP client is made at its first use, since certificates cost start time and memory.
#[derive(Debug, Default)]
pub struct Downloads {
    github: GitHub,
    client: OnceLock<Client>,
}

impl Downloads {
    /// Asks GitHub where `github` says.
    pub fn new(github: GitHub) -> Self {
        Self { github, client: OnceLock::new() }
    }

    /// Downloads `remote` into `sink`; `progress` is told after each piece. Dropping the future ends the download and
    /// whatever program does it.
    ///
    /// # Errors
    /// When it cannot be had, passes a limit, or `sink` refuses. What was pushed is then to be dropped.
    pub async fn fetch(
        &self,
        remote: &Remote,
        terms: Terms<'_>,
        sink: &mut impl Sink,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Fetched, ContextError> {
        let shown = remote.shown();
        let mut fetch = Fetch { shown: &shown, terms, sink, progress, done: 0 };
        let secret = remote.secret.as_ref();
        match &remote.place {
            Place::Git(place) => crate::git::fetch(place, secret, &mut fetch).await,
            Place::Archive(url) => {
                let secret = secret.and_then(Secret::basic);
                fetch.download(self.client(&shown)?, url.clone(), secret).await
            }
            Place::GitHub(repository) => {
                let url = self.github.archive(repository, secret.is_some());
                let url = url.map_err(|_| fetch.unavailable("GitHub's address is none", CHECK_ADDRESS))?;
                fetch.download(self.client(&shown)?, url, secret.and_then(Secret::bearer)).await
            }
        }
    }

    fn client(&self, shown: &str) -> Result<&Client, ContextError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("deskgrid/", env!("CARGO_PKG_VERSION")))
            .build();
        let unavailable = |error| ContextError::Unavailable {
            from: shown.to_owned(),
            why: reason(&error),
            advice: CHECK_ADDRESS,
        };
        let client = client.map_err(unavailable)?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl GitHub {
    /// The archive of a repository. `HEAD` is whatever GitHub says is the default branch.
    fn archive(&self, repository: &Repository, is_private: bool) -> Result<Url, url::ParseError> {
        let Repository { owner, name, .. } = repository;
        let reference = repository.encoded_reference().unwrap_or_else(|| "HEAD".to_owned());
        Url::parse(&if is_private {
            format!("{}/repos/{owner}/{name}/tarball/{reference}", self.api)
        } else {
            format!("{}/{owner}/{name}/tar.gz/{reference}", self.archives)
        })
    }
}

/// One download on its way.
pub(crate) struct Fetch<'a, S, P> {
    pub(crate) shown: &'a str,
    pub(crate) terms: Terms<'a>,
    sink: &'a mut S,
    progress: P,
    done: u64,
}

impl<S: Sink, P: FnMut(Progress) + Send> Fetch<'_, S, P> {
    async fn download(
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
        Err(self.unavailable("the server sends us from address to address", CHECK_ADDRESS))
    }

    /// Where an answer sends us, if it does.
    fn elsewhere(&self, response: &Response, url: &Url) -> Result<Option<Url>, ContextError> {
        if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let unusable = || self.unavailable("the server sends us to an unusable address", CHECK_ADDRESS);
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
                Err(self.unavailable(why, CHECK_ACCESS))
            }
            status if status.is_success() => Ok(()),
            status => Err(self.unavailable(format!("the server answered {status}"), CHECK_ADDRESS)),
        }
    }

    /// Hands on the next bytes, within the limit.
    pub(crate) async fn push(&mut self, bytes: Bytes, total: Option<u64>) -> Result<(), ContextError> {
        self.done = self.done.saturating_add(bytes.len() as u64);
        if self.done > self.terms.limits.download {
            return Err(self.too_large());
        }
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

    pub(crate) fn unavailable(&self, why: impl Into<String>, advice: &'static str) -> ContextError {
        ContextError::Unavailable { from: self.shown.to_owned(), why: why.into(), advice }
    }

    fn failed(&self, error: reqwest::Error) -> ContextError {
        self.unavailable(reason(&error.without_url()), CHECK_ADDRESS)
    }
}

/// The innermost cause says most: "connection refused" rather than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "the server stopped answering".to_owned() } else { cause.to_string() }
}
