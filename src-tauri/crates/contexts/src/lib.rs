//! Build contexts: the files of an image build (protocol section 7), where they come from and what of them is sent.
//!
//! Everything here is a stranger's: addresses, archives, `.dockerignore` files. So nothing is ever unpacked on this
//! disk. An archive is *scanned* ([`Archive::scan`]: bounds, names, links), a *recipe* says what of it the build is
//! about ([`Context::new`]), and it is *rewritten* as a plain tar for the engine ([`Context::write_to`]). Bytes travel
//! in pieces; memory grows with the number of files only.
//!
//! This crate knows archive formats, the program `git` and GitHub's addresses. It knows no engine, no database and no
//! folder of ours: who calls it keeps the bytes.

mod address;
mod archive;
mod context;
mod download;
mod error;
#[cfg(test)]
mod fake_github;
mod git;
mod ignore;
mod interest;
mod links;
mod remarks;
mod rewrite;
mod secret;
mod source;
#[cfg(test)]
mod testing;
mod tree;

pub use archive::Archive;
pub use context::{Context, Recipe};
pub use download::{Downloads, Fetched, GitHub, Progress, Sink, Terms};
pub use error::{Advice, ContextError};
pub use interest::{Interest, Waiter};
pub use source::{Remote, Source};

/// What a context may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that are downloaded: of an archive, or of what git fetches.
    pub download: u64,
    /// Bytes that all its files and their headers have together when unpacked; of a git repository, those of one commit.
    pub unpacked: u64,
    /// Files, folders and links in it.
    pub entries: u64,
}

impl Default for Limits {
    /// Room for honest contexts with data in them, and an end for others.
    fn default() -> Self {
        Self { download: 4_000_000_000, unpacked: 16_000_000_000, entries: 500_000 }
    }
}
