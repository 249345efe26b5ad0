//! Repositories by the program `git`, as archives of one commit. Submodules and files in LFS are not part of them, as
//! they are not part of GitHub's archives.
//!
//! A stranger says which repository, so `git` runs with nothing of the person's: no configuration, no credential
//! helper, no hooks, no questions, over http and https only, in a folder that is removed afterwards. Its command lines,
//! which others on this computer can read, have nothing secret in them.
//!
//! What git fetches counts against the limit of downloads, and the tar that is made of it against that of what is
//! unpacked.

mod program;

use std::path::Path;

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;

use self::program::{Failed, Git};
use crate::ContextError;
use crate::address::{GitPlace, is_commit};
use crate::download::{Fetch, Fetched, Progress, Sink};
use crate::error::{Advice, cut};
use crate::secret::Secret;

/// Read from `git` at once, in bytes.
const PIECE: usize = 64 << 10;
/// Shortest beginning of a commit's name that is taken for one.
const SHORTEST_COMMIT: usize = 7;

/// Fetches what `place` names into the sink, as a plain tar with everything below one folder.
pub(crate) async fn fetch<S: Sink, P: FnMut(Progress) + Send>(
    place: &GitPlace,
    secret: Option<&Secret>,
    fetch: &mut Fetch<'_, S, P>,
) -> Result<Fetched, ContextError> {
    let folder = program::folder(fetch.terms.scratch).await.map_err(ContextError::NotKept)?;
    let mut job = Job { place, git: Git::new(folder.path(), secret), fetch };
    if let Some(known) = job.fetch.terms.known
        && job.newest().await?.as_deref() == Some(known)
    {
        return Ok(Fetched::NotModified);
    }
    let commit = job.commit(folder.path()).await?;
    job.archive(&commit).await?;
    Ok(Fetched::Archive { etag: Some(commit) })
}

struct Job<'a, 'b, S, P> {
    place: &'a GitPlace,
    git: Git,
    fetch: &'a mut Fetch<'b, S, P>,
}

impl<S: Sink, P: FnMut(Progress) + Send> Job<'_, '_, S, P> {
    /// The commit that the server has now; none when the server does not name it.
    async fn newest(&self) -> Result<Option<String>, ContextError> {
        let reference = self.place.reference.as_deref().unwrap_or("HEAD");
        // In the order in which git itself prefers them; the first is the commit that a signed tag stands for.
        let names = [
            format!("refs/tags/{reference}^{{}}"),
            format!("refs/tags/{reference}"),
            format!("refs/heads/{reference}"),
            "HEAD".to_owned(),
        ];
        let wanted = if self.place.reference.is_some() { &names[..3] } else { &names[3..] };
        let mut order = vec!["ls-remote", "--", self.place.url.as_str()];
        order.extend(wanted.iter().map(String::as_str));
        let answer = self.git.run(&order).await.map_err(|failed| self.failed(failed))?;
        let lines: Vec<_> = answer.lines().filter_map(|line| line.split_once('\t')).collect();
        let found = wanted.iter().find_map(|name| lines.iter().find(|(_, other)| other == name));
        let pinned = self.place.reference.clone().filter(|reference| is_commit(reference));
        Ok(found.map(|(commit, _)| (*commit).to_owned()).or(pinned))
    }

    /// Brings the wanted commit here and says its full name. First as little as possible; servers that are only files
    /// give all of a branch, and those that give no commit by its name are asked for everything.
    async fn commit(&mut self, folder: &Path) -> Result<String, ContextError> {
        self.git
            .run(&["init", "--quiet", "--bare", "--template=", "."])
            .await
            .map_err(|it| self.failed(it))?;
        let reference = self.place.reference.as_deref().unwrap_or("HEAD");
        let mut fetched = self.bring(folder, &["--depth=1"], &[reference]).await?;
        if fetched.as_ref().is_err_and(|failed| failed.says("shallow")) {
            fetched = self.bring(folder, &[], &[reference]).await?;
        }
        let mut name = "FETCH_HEAD";
        if fetched.is_err() && is_perhaps_commit(reference) {
            name = reference;
            fetched =
                self.bring(folder, &[], &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]).await?;
        }
        fetched.map_err(|failed| self.failed(failed))?;
        let order = ["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")];
        let commit = self.git.run(&order).await;
        let missing =
            |_| self.fetch.unavailable(format!("it has no {:?}", cut(reference)), Advice::CheckAddress);
        Ok(commit.map_err(missing)?.trim().to_owned())
    }

    /// One `git fetch`, watched. The inner error is git's, of which there may be a way around.
    async fn bring(
        &mut self,
        folder: &Path,
        options: &[&str],
        references: &[&str],
    ) -> Result<Result<(), Failed>, ContextError> {
        let mut order = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc"];
        order.extend(options);
        order.extend(["--", self.place.url.as_str()]);
        order.extend(references);
        let mut watch = tokio::time::interval(program::WATCH);
        let run = self.git.run(&order);
        tokio::pin!(run);
        loop {
            tokio::select! {
                ended = &mut run => {
                    weigh(self.fetch, folder).await?;
                    return Ok(ended.map(drop));
                }
                _ = watch.tick() => weigh(self.fetch, folder).await?,
            }
        }
    }

    /// Streams the commit, or the wanted folder of it, into the sink.
    async fn archive(&mut self, commit: &str) -> Result<(), ContextError> {
        let mut tree = commit.to_owned();
        if let Some(folder) = &self.place.folder {
            tree = format!("{commit}:{folder}");
            let kind = self.git.run(&["cat-file", "-t", &tree]).await;
            if kind.ok().as_deref().map(str::trim) != Some("tree") {
                return Err(ContextError::NoSuchFolder { folder: cut(folder), instead: String::new() });
            }
        }
        // One folder around everything, as in GitHub's archives, so that a repository's own sole folder stays.
        let order = ["archive", "--format=tar", "--prefix=repository/", &tree];
        let (running, mut output) = self.git.start(&order).map_err(|failed| self.failed(failed))?;
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let count = output.read_buf(&mut piece).await;
            if count.map_err(|error| self.fetch.unavailable(error.to_string(), Advice::CheckAddress))? == 0 {
                break;
            }
            self.fetch.push_unpacked(piece.freeze()).await?;
        }
        running.end().await.map_err(|failed| self.failed(failed)).map(drop)
    }

    /// git's own words, in which the address has no query.
    fn failed(&self, failed: Failed) -> ContextError {
        let words = match failed {
            Failed::NoProgram => return ContextError::NoGit { from: self.fetch.shown.to_owned() },
            Failed::Said(words) => words,
        };
        let is_closed = ["could not read Username", "Authentication failed", "not found", "403", "401"];
        let advice = if is_closed.iter().any(|it| words.contains(it)) {
            Advice::CheckAccess
        } else {
            Advice::CheckAddress
        };
        let words = words.replace(self.place.url.as_str(), self.fetch.shown);
        self.fetch.unavailable(format!("git says {:?}", cut(&words)), advice)
    }
}

/// Tells how much came, unless it is too much.
async fn weigh<S: Sink, P: FnMut(Progress) + Send>(
    fetch: &mut Fetch<'_, S, P>,
    folder: &Path,
) -> Result<(), ContextError> {
    let done = program::bytes_below(folder).await;
    if done > fetch.terms.limits.download {
        return Err(fetch.too_large());
    }
    fetch.tell(done, None);
    Ok(())
}

fn is_perhaps_commit(reference: &str) -> bool {
    reference.len() >= SHORTEST_COMMIT && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
