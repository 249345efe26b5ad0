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
        if url.path().trim_end_matches('/').ends_with(".git") {
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
