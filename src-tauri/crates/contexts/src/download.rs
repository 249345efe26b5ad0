//! Downloads of contexts: archives and GitHub's archives over http and https, with every bound that a stranger's server
//! needs.

mod fetch;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use url::Url;

use crate::address::Repository;
use crate::error::Advice;
use crate::secret::Secret;
use crate::source::Place;
use crate::{ContextError, Limits, Remote};

pub(crate) use fetch::Fetch;
use fetch::reason;

/// A server that sends nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(60);
/// No download takes longer, however much of it comes now and then: 4 GB at 200 KB/s.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
const CONNECT: Duration = Duration::from_secs(20);
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
#[derive(Debug)]
pub struct Downloads {
    github: GitHub,
    /// How long a server may send nothing.
    silence: Duration,
    /// How long a download may take in all.
    longest: Duration,
    client: OnceLock<Client>,
}

impl Default for Downloads {
    fn default() -> Self {
        Self::new(GitHub::default())
    }
}

impl Downloads {
    /// Asks GitHub where `github` says.
    pub fn new(github: GitHub) -> Self {
        Self { github, silence: SILENCE, longest: LONGEST, client: OnceLock::new() }
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
        let fetched = tokio::time::timeout(self.longest, self.fetch_by(remote, &mut fetch)).await;
        fetched.unwrap_or_else(|_| {
            let why = format!("it was not here after {} s", self.longest.as_secs());
            Err(fetch.unavailable(why, Advice::CheckAddress))
        })
    }

    async fn fetch_by<S: Sink, P: FnMut(Progress) + Send>(
        &self,
        remote: &Remote,
        fetch: &mut Fetch<'_, S, P>,
    ) -> Result<Fetched, ContextError> {
        let secret = remote.secret.as_ref();
        match &remote.place {
            Place::Git(place) => crate::git::fetch(place, secret, fetch).await,
            Place::Archive(url) => {
                let secret = secret.and_then(Secret::basic);
                fetch.download(self.client(fetch.shown)?, url.clone(), secret).await
            }
            Place::GitHub(repository) => {
                let url = self.github.archive(repository, secret.is_some());
                let url =
                    url.map_err(|_| fetch.unavailable("GitHub's address is none", Advice::CheckAddress))?;
                fetch.download(self.client(fetch.shown)?, url, secret.and_then(Secret::bearer)).await
            }
        }
    }

    fn client(&self, shown: &str) -> Result<&Client, ContextError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(self.silence)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("deskgrid/", env!("CARGO_PKG_VERSION")))
            .build();
        let unavailable = |error| ContextError::Unavailable {
            from: shown.to_owned(),
            why: reason(&error),
            advice: Advice::CheckAddress,
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Response, header};

    use super::fetch::MOST_REDIRECTS;
    use super::*;
    use crate::testing::{Served, Server, fetch, fetch_from, fetch_with};

    /// Answers `text` with the tag `"one"`, and that it has not changed to those who know the tag.
    fn tagged(text: &'static str) -> Served {
        Served::Answer(Box::new(move |request| {
            let answer = Response::builder().header(header::ETAG, "\"one\"");
            if request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "\"one\"") {
                answer.status(304).body(Body::empty()).unwrap()
            } else {
                answer.body(Body::from(text)).unwrap()
            }
        }))
    }

    fn status(code: u16) -> Served {
        Served::Answer(Box::new(move |_| Response::builder().status(code).body(Body::empty()).unwrap()))
    }

    #[tokio::test]
    async fn an_archive_is_downloaded_once_as_long_as_its_tag_is_the_same() {
        let server = Server::start(tagged("bytes")).await;
        let (kept, fetched) = fetch(&server.url("/a"), None).await.unwrap();
        assert_eq!(
            (kept.bytes.as_slice(), &fetched),
            (&b"bytes"[..], &Fetched::Archive { etag: Some("\"one\"".into()) })
        );
        let (kept, fetched) = fetch(&server.url("/a"), Some("\"one\"")).await.unwrap();
        assert_eq!((kept.bytes.len(), fetched), (0, Fetched::NotModified));
        let (kept, _) = fetch(&server.url("/a"), Some("\"old\"")).await.unwrap();
        assert_eq!(kept.bytes, b"bytes");
    }

    #[tokio::test]
    async fn github_is_asked_for_the_default_branch_a_reference_and_with_a_token_its_api() {
        let github = Server::start(tagged("bytes")).await;
        for (url, asked) in [
            ("https://github.com/o/r", "/archives/o/r/tar.gz/HEAD"),
            ("https://github.com/o/r/tree/feature/x%23y", "/archives/o/r/tar.gz/feature/x%23y"),
            ("https://github.com/o/r/commit/0123abc", "/archives/o/r/tar.gz/0123abc"),
            ("https://t0k@github.com/o/r", "/api/repos/o/r/tarball/HEAD Bearer t0k"),
            ("https://me:t0k@github.com/o/r/tree/v1", "/api/repos/o/r/tarball/v1 Bearer t0k"),
        ] {
            fetch_from(&github, url).await.unwrap();
            assert_eq!(github.seen().last().map(String::as_str), Some(asked), "{url}");
        }
    }

    #[tokio::test]
    async fn a_password_goes_to_its_server_only() {
        let other = Server::start(tagged("bytes")).await;
        let server = Server::start(Served::Redirect(other.url(""))).await;
        fetch(&server.url_as("me:s3cret", "/a"), None).await.unwrap();
        assert_eq!(server.seen(), ["/a Basic bWU6czNjcmV0"]);
        assert_eq!(other.seen(), ["/a"]);
    }

    #[tokio::test]
    async fn redirects_are_followed_so_often_and_to_the_web_only() {
        let server = Server::start(Served::Redirect(String::new())).await;
        let error = fetch(&server.url("/a"), None).await.unwrap_err();
        assert!(error.to_string().contains("from address to address"), "{error}");
        assert_eq!(server.seen().len(), MOST_REDIRECTS + 1);
        for to in ["file:///etc/passwd", "ftp://h", "http://["] {
            let server = Server::start(Served::Redirect(to.to_owned())).await;
            let error = fetch(&server.url("/a"), None).await.unwrap_err();
            assert!(error.to_string().contains("unusable address"), "{to}: {error}");
        }
    }

    #[tokio::test]
    async fn failures_say_what_and_where_and_keep_the_secret() {
        for (code, words) in [(404, "put a token in it"), (401, "put a token in it"), (500, "answered 500")] {
            let server = Server::start(status(code)).await;
            let error = fetch(&server.url_as("me:s3cret", "/a.zip?key=s3cret"), None).await.unwrap_err();
            assert_eq!(error.code(), "context-unavailable");
            assert!(error.to_string().contains(words) && error.to_string().contains("/a.zip"), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let gone = Server::start(status(200)).await.url_as("me:s3cret", "/a?s3cret");
        let error = fetch(&gone, None).await.unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret") && error.to_string().contains("127.0.0.1"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_download_ends_at_the_limit_whatever_the_server_says_of_its_length() {
        let limits = Limits { download: 10, ..Limits::default() };
        let said = Server::start(tagged("eleven bytes")).await;
        let unsaid = Served::Answer(Box::new(|_| {
            let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b"12345"));
            Response::new(Body::from_stream(futures_util::stream::repeat_with(piece)))
        }));
        let unsaid = Server::start(unsaid).await;
        for server in [said, unsaid] {
            let error =
                fetch_with(&Downloads::default(), &server.url("/a"), None, &limits).await.unwrap_err();
            assert_eq!(error.code(), "context-too-large");
        }
    }

    #[tokio::test]
    async fn a_server_that_breaks_off_is_an_error() {
        let server = Server::start(Served::Answer(Box::new(|_| {
            let pieces = [Ok(Bytes::from_static(b"12345")), Err(std::io::Error::other("broken"))];
            Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
        })));
        let error = fetch(&server.await.url("/a"), None).await.unwrap_err();
        assert_eq!(error.code(), "context-unavailable");
    }

    #[tokio::test]
    async fn a_server_that_sends_a_little_for_ever_is_an_error_in_the_end() {
        let drip = Served::Answer(Box::new(|_| {
            let piece = || async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b"1")), ()))
            };
            Response::new(Body::from_stream(futures_util::stream::unfold((), move |()| piece())))
        }));
        let server = Server::start(drip).await;
        let downloads = Downloads { longest: Duration::from_millis(20), ..Downloads::default() };
        let error = fetch_with(&downloads, &server.url("/a"), None, &Limits::default()).await.unwrap_err();
        assert!(error.to_string().contains("was not here after"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_stops_in_the_middle_is_an_error_after_a_while() {
        let server = Server::start(Served::Stalled).await;
        let downloads = Downloads { silence: Duration::from_millis(1), ..Downloads::default() };
        let error = fetch_with(&downloads, &server.url("/a"), None, &Limits::default()).await.unwrap_err();
        assert!(error.to_string().contains("stopped answering"), "{error}");
    }
}
