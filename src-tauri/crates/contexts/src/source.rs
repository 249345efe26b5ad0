//! Where a context comes from, read from the text of a build block's `context`.

use std::fmt;
use std::fmt::Write as _;

use deskgrid_job::BlobKey;
use sha2::{Digest, Sha256};
use url::Url;

use crate::ContextError;
use crate::address::{GitPlace, Repository, is_commit};
use crate::error::cut;
use crate::secret::Secret;

/// Where the files of a build come from (protocol section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this server, which is on this disk.
    Own(BlobKey),
    /// Something to be fetched.
    Remote(Remote),
}

/// Something to be fetched: an archive or a repository, and the secret that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    pub(crate) place: Place,
    pub(crate) secret: Option<Secret>,
}

/// The kinds of places; none has a user or password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Archive(Url),
    GitHub(Repository),
    Git(GitPlace),
}

impl Source {
    /// Reads `context`. `own` says whether a URL is that of a file of this server, and of which.
    ///
    /// # Errors
    /// [`ContextError::BadAddress`] when it is no http or https URL, or has a branch name that git does not allow.
    pub fn parse(context: &str, own: impl Fn(&str) -> Option<BlobKey>) -> Result<Self, ContextError> {
        let context = context.trim();
        if let Some(key) = own(context) {
            return Ok(Self::Own(key));
        }
        Remote::parse(context).map(Self::Remote)
    }

    /// The source as it may be shown to anyone: without user, password and query.
    pub fn shown(&self) -> String {
        match self {
            Self::Own(key) => format!("/f/{key}"),
            Self::Remote(remote) => remote.shown(),
        }
    }
}

impl Remote {
    fn parse(context: &str) -> Result<Self, ContextError> {
        let bad = |problem| ContextError::BadAddress { shown: without_secrets(context), problem };
        let mut url = Url::parse(context).map_err(|_| bad("it is not a complete address"))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(bad("only http and https addresses are fetched"));
        }
        let secret = Secret::take(&mut url);
        let place = Place::of(url).map_err(bad)?;
        Ok(Self { place, secret })
    }

    /// What the download is filed under: the same for all texts that mean the same, with no secret in it.
    ///
    /// What was fetched with a password is filed apart, so that nobody gets it who does not have one.
    pub fn cache_key(&self) -> String {
        let key = match &self.place {
            Place::Archive(url) => keyed(url),
            Place::GitHub(repository) => {
                let lower = Repository {
                    owner: repository.owner.to_ascii_lowercase(),
                    name: repository.name.to_ascii_lowercase(),
                    reference: repository.reference.clone(),
                };
                lower.page()
            }
            Place::Git(place) => format!("git {}{}", keyed(&place.url), place.fragment()),
        };
        if self.secret.is_some() { format!("{key} (with a password)") } else { key }
    }

    /// Whether it names a full commit and was fetched without a password: what it holds never changes, and nobody has
    /// to be asked again.
    pub fn is_pinned(&self) -> bool {
        let reference = match &self.place {
            Place::Archive(_) => None,
            Place::GitHub(repository) => repository.reference.as_deref(),
            Place::Git(place) => place.reference.as_deref(),
        };
        self.secret.is_none() && reference.is_some_and(is_commit)
    }

    /// The address as it may be shown to anyone: without user, password and query.
    pub fn shown(&self) -> String {
        cut(&match &self.place {
            Place::Archive(url) => plain(url),
            Place::GitHub(repository) => repository.page(),
            Place::Git(place) => format!("{}{}", plain(&place.url), place.fragment()),
        })
    }
}

/// Neither a password nor a signature in a query is anybody's business.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.shown()).finish()
    }
}

impl Place {
    fn of(url: Url) -> Result<Self, &'static str> {
        if url.path().trim_end_matches('/').to_ascii_lowercase().ends_with(".git") {
            return GitPlace::new(url).map(Self::Git);
        }
        let is_github =
            matches!(url.host_str(), Some("github.com" | "www.github.com")) && url.port().is_none();
        match Repository::from_page(&url).filter(|_| is_github) {
            Some(repository) => repository.map(Self::GitHub),
            None => Ok(Self::Archive(without_fragment(url))),
        }
    }
}

impl GitPlace {
    fn fragment(&self) -> String {
        match (self.reference.as_deref(), self.folder.as_deref()) {
            (None, None) => String::new(),
            (reference, None) => format!("#{}", reference.unwrap_or_default()),
            (reference, Some(folder)) => format!("#{}:{folder}", reference.unwrap_or_default()),
        }
    }
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

/// Scheme, host and path; a query often holds a signature.
fn plain(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// The address with a digest for its query, which says what is meant as well and tells nobody.
fn keyed(url: &Url) -> String {
    let mut key = plain(url);
    if let Some(query) = url.query() {
        key.push('?');
        for byte in &Sha256::digest(query)[..16] {
            let _ = write!(key, "{byte:02x}");
        }
    }
    key
}

/// A text that is perhaps no URL at all, without what stands before an `@`, in a query or in a fragment.
fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = &text[..end];
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rfind('@').map_or(rest, |at| &rest[at + 1..]);
    cut(&if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn remote(text: &str) -> Remote {
        Remote::parse(text).unwrap()
    }

    #[test]
    fn a_context_is_shown_and_filed_by_what_it_means() {
        for (text, shown, key) in [
            (
                "https://github.com/Owner/Repo",
                "https://github.com/Owner/Repo",
                "https://github.com/owner/repo",
            ),
            (
                "https://www.github.com/o/r/?tab=readme#top",
                "https://github.com/o/r",
                "https://github.com/o/r",
            ),
            (
                "https://t0k@github.com/o/r",
                "https://github.com/o/r",
                "https://github.com/o/r (with a password)",
            ),
            (
                "https://github.com/o/r/tree/feature/x",
                "https://github.com/o/r/tree/feature/x",
                "https://github.com/o/r/tree/feature/x",
            ),
            (
                "https://github.com/o/r/tree/a%23b",
                "https://github.com/o/r/tree/a%23b",
                "https://github.com/o/r/tree/a%23b",
            ),
            (
                "https://github.com/o/r/commit/0123abc",
                "https://github.com/o/r/tree/0123abc",
                "https://github.com/o/r/tree/0123abc",
            ),
            (
                "https://github.com/o/r/archive/refs/heads/x.zip",
                "https://github.com/o/r/archive/refs/heads/x.zip",
                "https://github.com/o/r/archive/refs/heads/x.zip",
            ),
            ("http://h.example:81/a.tgz#x", "http://h.example:81/a.tgz", "http://h.example:81/a.tgz"),
            ("https://h/x.git", "https://h/x.git", "git https://h/x.git"),
            ("https://h/x.git#v1:sub/dir", "https://h/x.git#v1:sub/dir", "git https://h/x.git#v1:sub/dir"),
            ("https://u:p@h/x.git#:d", "https://h/x.git#:d", "git https://h/x.git#:d (with a password)"),
        ] {
            assert_eq!(
                (remote(text).shown().as_str(), remote(text).cache_key().as_str()),
                (shown, key),
                "{text}"
            );
        }
    }

    #[test]
    fn no_secret_is_shown_filed_or_in_an_error() {
        for text in [
            "https://s3cret@github.com/o/r",
            "https://me:s3cret@github.com/o/r/tree/main",
            "https://me:s3cret@h/a.zip?X-Signature=s3cret",
            "https://s3cret@h/x.git?key=s3cret#main",
            "ftp://me:s3cret@h/a.zip?s3cret#s3cret",
            "https://me:s3cret@",
            "s3cret@github.com/o/r",
            "https://s3cret@github.com/o/r/tree/a..b",
        ] {
            let said = match Source::parse(text, |_| None) {
                Ok(source) => {
                    let Source::Remote(remote) = &source else { panic!("{text}") };
                    format!("{source:?} {} {} {}", source.shown(), remote.shown(), remote.cache_key())
                }
                Err(error) => format!("{error:?} {error}"),
            };
            assert!(!said.contains("s3cret"), "{text}: {said}");
        }
    }

    #[test]
    fn addresses_with_other_queries_are_filed_apart() {
        assert_ne!(remote("https://h/a?file=1").cache_key(), remote("https://h/a?file=2").cache_key());
        assert_eq!(remote("https://h/a?file=1#x").cache_key(), remote("https://h/a?file=1").cache_key());
    }

    #[test]
    fn only_a_full_commit_without_a_password_is_pinned() {
        for (text, is_pinned) in [
            (format!("https://github.com/o/r/commit/{COMMIT}"), true),
            (format!("https://github.com/o/r/tree/{COMMIT}"), true),
            (format!("https://h/x.git#{COMMIT}:d"), true),
            (format!("https://token@github.com/o/r/commit/{COMMIT}"), false),
            (format!("https://github.com/o/r/commit/{}", &COMMIT[..12]), false),
            ("https://github.com/o/r/tree/main".to_owned(), false),
            (format!("https://h/{COMMIT}.tgz"), false),
        ] {
            assert_eq!(remote(&text).is_pinned(), is_pinned, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_give_instead() {
        for text in [
            "",
            "x",
            "/tmp/x",
            "file:///etc",
            "git@github.com:o/r.git",
            "ssh://h/x.git",
            "git://h/x.git",
            "ext::sh -c x",
            "https://github.com/o/r/tree/-x",
            "https://github.com/o/r/tree/a..b",
            "https://github.com/o/r/tree/a%00b",
            "https://github.com/o/r/tree/%ff",
            "https://github.com/o%20/r",
            "https://h/x.git#--upload-pack=x",
            "https://h/x.git#a b",
            "https://h/x.git#a:../b",
            "https://h/x.git#@{1}",
        ] {
            let error = Source::parse(text, |_| None).unwrap_err();
            assert_eq!(error.code(), "context-bad-address", "{text}");
            assert!(error.to_string().contains("Give https://github.com/owner/repo"), "{error}");
        }
    }

    #[test]
    fn a_file_of_this_server_is_read_from_disk() {
        let own =
            |url: &str| url.strip_prefix("http://localhost:8000/f/").and_then(|key| BlobKey::new(key).ok());
        let source = Source::parse(" http://localhost:8000/f/data.tgz ", own).unwrap();
        assert_eq!(source, Source::Own(BlobKey::Name("data.tgz".into())));
        assert_eq!(source.shown(), "/f/data.tgz");
        assert!(matches!(Source::parse("http://localhost:8000/x", own).unwrap(), Source::Remote(_)));
    }
}
