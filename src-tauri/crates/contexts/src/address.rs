//! GitHub's and git's ways to name a repository and a place in it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// What stays as it is in one segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Longest name of a branch or tag that is taken; file systems allow no longer part of one.
const LONGEST_REFERENCE: usize = 255;

/// A repository on GitHub and what of it is wanted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) owner: String,
    pub(crate) name: String,
    /// Branch, tag or commit; none for the default branch.
    pub(crate) reference: Option<String>,
}

/// A repository that the program `git` fetches.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GitPlace {
    /// Without user, password and fragment.
    pub(crate) url: Url,
    /// Branch, tag or commit; none for the default branch.
    pub(crate) reference: Option<String>,
    /// A folder in it; none for all.
    pub(crate) folder: Option<String>,
}

impl Repository {
    /// Reads the path of a page on github.com; none when the page is no repository, branch, tag or commit.
    pub(crate) fn from_page(url: &Url) -> Option<Result<Self, &'static str>> {
        let segments: Vec<&str> = url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
        let (owner, name, rest) = match segments.as_slice() {
            [owner, name] => (owner, name, &[][..]),
            [owner, name, "tree" | "commit", rest @ ..] => (owner, name, rest),
            _ => return None,
        };
        Some(Self::checked(owner, name, rest))
    }

    fn checked(owner: &str, name: &str, reference: &[&str]) -> Result<Self, &'static str> {
        if ![owner, name].into_iter().all(is_name) {
            return Err("the owner or the repository has characters that GitHub does not allow");
        }
        let reference = (!reference.is_empty()).then(|| reference_of(&reference.join("/"))).transpose()?;
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), reference })
    }

    /// `reference` with each of its parts fit for a URL.
    pub(crate) fn encoded_reference(&self) -> Option<String> {
        let encoded = |part| utf8_percent_encode(part, SEGMENT).to_string();
        self.reference.as_ref().map(|name| name.split('/').map(encoded).collect::<Vec<_>>().join("/"))
    }

    /// The page of it, as people write it.
    pub(crate) fn page(&self) -> String {
        let place = self.encoded_reference().map(|name| format!("/tree/{name}")).unwrap_or_default();
        format!("https://github.com/{}/{}{place}", self.owner, self.name)
    }
}

impl GitPlace {
    /// Reads `#ref` and `#ref:folder` as the docker command line does.
    pub(crate) fn new(mut url: Url) -> Result<Self, &'static str> {
        // git would put it into each address that it asks, at the wrong place and for everyone to read.
        if url.query().is_some() {
            return Err("a git repository has nothing after a '?'; its branch stands after a '#'");
        }
        let fragment = url.fragment().unwrap_or_default().to_owned();
        url.set_fragment(None);
        let (reference, folder) = fragment.split_once(':').unwrap_or((&fragment, ""));
        let reference = (!reference.is_empty()).then(|| reference_of(reference)).transpose()?;
        let folder = percent_decode_str(folder.trim_matches('/')).decode_utf8_lossy().into_owned();
        if folder.split('/').any(|part| part == "..") || folder.contains(['\0', '\n', '\\', ':']) {
            return Err("the folder after the ':' has characters or parts that lead elsewhere");
        }
        let folder = (!folder.is_empty() && folder != ".").then_some(folder);
        Ok(Self { url, reference, folder })
    }
}

/// Whether `reference` is a full name of a commit, which means the same for ever.
pub(crate) fn is_commit(reference: &str) -> bool {
    [40, 64].contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= 100 && text.chars().all(is_plain) && ![".", ".."].contains(&text)
}

/// Reads a name as it stands in a URL, by the rules of `git check-ref-format`, so that it can be nothing else for the
/// program that gets it.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "git compares so")]
fn reference_of(text: &str) -> Result<String, &'static str> {
    const PROBLEM: &str = "the name of its branch, tag or commit is none that git allows";
    let name = percent_decode_str(text).decode_utf8().map_err(|_| PROBLEM)?;
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let is_bad_part = |part: &str| {
        part.is_empty() || part.starts_with('.') || part.ends_with('.') || part.ends_with(".lock")
    };
    let is_bad = name.len() > LONGEST_REFERENCE
        || name.starts_with('-')
        || name.contains("..")
        || name.contains("@{")
        || name.contains(is_bad)
        || name.split('/').any(is_bad_part);
    if is_bad { Err(PROBLEM) } else { Ok(name.into_owned()) }
}
