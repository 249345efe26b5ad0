//! Why a build has no context, in words for the person and with codes for programs.

use std::fmt;
use std::io;

/// Longest piece of a stranger's text that an error repeats, in characters.
const SHOWN: usize = 200;

/// Why a context could not be had or made.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The text is no address of a kind that is known.
    #[error(
        "The build context {shown:?} cannot be used: {problem}. Give https://github.com/owner/repo, optionally with \
         /tree/<branch or tag> or /commit/<sha>, the http or https address of a .tar.gz or .zip file, or \
         https://.../name.git#branch."
    )]
    BadAddress {
        /// The address without secrets.
        shown: String,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// The server did not give it.
    #[error("The build context {from} could not be downloaded: {why}. {advice}")]
    Unavailable {
        /// The address without secrets.
        from: String,
        /// What happened, without secrets.
        why: String,
        /// What the person can do.
        advice: Advice,
    },
    /// The bytes are no archive that is known.
    #[error(
        "The build context is not an archive: {found}. It has to be a gzip-compressed tar (.tar.gz), a plain tar or \
         a zip file; check that the address is that of the file and not of a page about it."
    )]
    NotAnArchive {
        /// What the bytes look like.
        found: &'static str,
    },
    /// The archive breaks off or contradicts itself.
    #[error(
        "The archive of the build context is damaged or of a kind that Deskgrid does not read: {0}. Make it again, \
         as .tar.gz or as .zip without a password."
    )]
    Broken(String),
    /// A limit of [`crate::Limits`] was passed.
    #[error(
        "The build context is too large: {what}, and the limit is {most}. Make it smaller, or raise the limit for \
         build contexts in the settings if you trust where it comes from."
    )]
    TooLarge {
        /// What there is too much of, as a sentence without its end.
        what: &'static str,
        /// The limit in words.
        most: String,
    },
    /// Something in the archive could reach outside the build folder.
    #[error(
        "The archive of the build context was refused: {name:?} {why}, so it could reach files outside the build \
         folder. Nothing of it was used. Make the archive with relative names only."
    )]
    Unsafe {
        /// The name in the archive, cut to a bearable length.
        name: String,
        /// What is wrong with it, as the end of a sentence.
        why: String,
    },
    /// `buildContext` names no folder.
    #[error("The build context has no folder {folder:?}. Correct 'buildContext'{instead}.")]
    NoSuchFolder {
        /// The text of `buildContext`.
        folder: String,
        /// Folders that are there.
        instead: String,
    },
    /// There is no Dockerfile, neither in the context nor in the block.
    #[error(
        "The build context has no file {wanted:?}. Set 'filename' to the name of the Dockerfile{instead}, or give its \
         text as 'dockerfile'."
    )]
    NoDockerfile {
        /// Where it was looked for, below the build folder.
        wanted: String,
        /// Dockerfiles that are there.
        instead: String,
    },
    /// `filename` or `buildContext` is no path in the context.
    #[error("'{field}' of the build is {text:?}, which {problem}. Give a path inside the build context.")]
    BadPath {
        /// The field of the build block.
        field: &'static str,
        /// Its text, cut to a bearable length.
        text: String,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// A line of a `.dockerignore` makes no sense.
    #[error("{file} in the build context cannot be used: {problem}. Correct it and build again.")]
    BadIgnoreFile {
        /// Which file.
        file: String,
        /// What is wrong with it, as a sentence without its end.
        problem: String,
    },
    /// The program `git` is needed and missing.
    #[error(
        "The build context {from} is a git repository, and the program 'git' is not installed on this computer. \
         Install git (https://git-scm.com/downloads), or give the address of an archive of it."
    )]
    NoGit {
        /// The address without secrets.
        from: String,
    },
    /// Who keeps the download could not.
    #[error(
        "The build context could not be kept on this disk: {0}. See that there is space, then run the job again."
    )]
    NotKept(#[source] io::Error),
    /// The stored archive could not be read.
    #[error("The stored build context could not be read: {0}. Check the disk, then run the job again.")]
    NotRead(#[source] io::Error),
    /// Nobody waits for it any more.
    #[error("Nobody waits for the build context any more.")]
    Unwanted,
    /// Who receives the rewritten archive went away.
    #[error("The build context could not be sent: {0}.")]
    NotSent(#[source] io::Error),
}

/// What a person can do about a context that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// See that the address is right and can be reached.
    CheckAddress,
    /// See that it is open to who asks: it may be there, for others.
    CheckAccess,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CheckAddress => "Check the address and the network, then run the job again.",
            Self::CheckAccess => {
                "Check the address. When it is private, put a token in it, as in https://TOKEN@github.com/owner/repo."
            }
        })
    }
}

impl ContextError {
    /// Whether it may be there for someone who has a token or password.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Unavailable { advice: Advice::CheckAccess, .. })
    }

    /// A name for programs that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "context-bad-address",
            Self::Unavailable { .. } => "context-unavailable",
            Self::NotAnArchive { .. } => "context-not-an-archive",
            Self::Broken(_) => "context-broken",
            Self::TooLarge { .. } => "context-too-large",
            Self::Unsafe { .. } => "context-unsafe",
            Self::NoSuchFolder { .. } => "context-no-such-folder",
            Self::NoDockerfile { .. } => "context-no-dockerfile",
            Self::BadPath { .. } => "context-bad-path",
            Self::BadIgnoreFile { .. } => "context-bad-ignore-file",
            Self::NoGit { .. } => "context-no-git",
            Self::NotKept(_) => "context-not-kept",
            Self::NotRead(_) => "context-not-read",
            Self::Unwanted => "context-unwanted",
            Self::NotSent(_) => "context-not-sent",
        }
    }

    pub(crate) fn unsafe_name(name: &str, why: impl Into<String>) -> Self {
        Self::Unsafe { name: cut(name), why: why.into() }
    }

    pub(crate) fn too_large(what: &'static str, most: u64, unit: &str) -> Self {
        Self::TooLarge { what, most: format!("{most} {unit}") }
    }

    /// What the reader of an archive says: a wrapped error of ours, or that the archive makes no sense.
    pub(crate) fn reading(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::Broken(cut(&error.to_string())),
        }
    }
}

/// The error in the form in which it passes through somebody else's reader.
impl From<ContextError> for io::Error {
    fn from(error: ContextError) -> Self {
        Self::other(error)
    }
}

/// `text` as far as it fits into a message.
pub(crate) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
