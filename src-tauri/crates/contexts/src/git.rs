//! Repositories by the program `git`.

use crate::ContextError;
use crate::address::GitPlace;
use crate::download::{Fetch, Fetched, Progress, Sink};
use crate::secret::Secret;

/// Fetches a repository.
pub(crate) async fn fetch<S: Sink, P: FnMut(Progress) + Send>(
    _place: &GitPlace,
    _secret: Option<&Secret>,
    fetch: &mut Fetch<'_, S, P>,
) -> Result<Fetched, ContextError> {
    Err(ContextError::NoGit { from: fetch.shown.to_owned() })
}
