//! The token as a request shows it, and the answers to requests that need it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use deskgrid_store::Token;
use tokio::time::Instant;

use crate::error::HttpError;

/// Wrong tokens in one [`WINDOW`]; more are refused without a word about their worth. The right one always counts.
const MOST_WRONG: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Whether a request shows the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It shows none.
    None,
    /// It shows something else.
    Wrong,
    /// It shows it.
    Right,
}

/// Knows the token and counts wrong ones.
pub(crate) struct Gate {
    token: Token,
    /// What pages of the dashboard show instead.
    key: Token,
    wrong: Mutex<Option<(Instant, u32)>>,
}

impl Gate {
    pub(crate) fn new(token: Token) -> Self {
        Self { key: token.for_pages(), token, wrong: Mutex::new(None) }
    }

    /// The key for pages of the dashboard.
    pub(crate) fn key(&self) -> &str {
        self.key.reveal()
    }

    /// What the request's `Authorization: Bearer` says. A token in an address would end up in logs and histories, so
    /// nobody looks for it there.
    pub(super) fn proof(&self, headers: &HeaderMap) -> Proof {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return Proof::None };
        let given = given.as_bytes();
        match given.split_at_checked("Bearer ".len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
                let given = token.trim_ascii();
                if self.token.is(given) | self.key.is(given) { Proof::Right } else { Proof::Wrong }
            }
            _ => Proof::None,
        }
    }

    /// The answer to a request that needs the token and shows `proof`.
    pub(super) fn refusal(&self, proof: Proof) -> HttpError {
        if proof != Proof::Wrong {
            let words = "This needs the token of this Deskgrid, as the header Authorization: Bearer TOKEN. \
                         It is in the file `token` of the data folder.";
            return HttpError::refused(StatusCode::UNAUTHORIZED, "token-needed", words);
        }
        if self.count_wrong(Instant::now()) {
            let words = "That is not the token of this Deskgrid. It is in the file `token` of the data folder; \
                         a server with another data folder has another token.";
            return HttpError::refused(StatusCode::UNAUTHORIZED, "token-wrong", words);
        }
        let words = "Too many wrong tokens. Wait a minute.";
        HttpError::refused(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", words)
    }

    /// Counts a wrong token; false when there were too many of late.
    fn count_wrong(&self, now: Instant) -> bool {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, count) =
            wrong.filter(|(begun, _)| now.duration_since(*begun) < WINDOW).unwrap_or((now, 0));
        *wrong = Some((begun, count.saturating_add(1)));
        count < MOST_WRONG
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A gate and its token.
    pub(in crate::access) async fn gate() -> (Gate, String) {
        let folder = tempfile::tempdir().unwrap();
        let store = deskgrid_store::Store::open(folder.path()).unwrap();
        let token = store.token().await.unwrap();
        let text = token.reveal().to_owned();
        (Gate::new(token), text)
    }

    fn shows(gate: &Gate, values: &[&str]) -> Proof {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        gate.proof(&headers)
    }

    #[tokio::test]
    async fn only_the_token_as_a_bearer_is_proof() {
        let (gate, token) = gate().await;
        assert_eq!(shows(&gate, &[&format!("Bearer {token}")]), Proof::Right);
        assert_eq!(shows(&gate, &[&format!("bearer {token}")]), Proof::Right);
        assert_eq!(shows(&gate, &["Bearer x"]), Proof::Wrong);
        assert_eq!(shows(&gate, &[&format!("Bearer {}", &token[1..])]), Proof::Wrong);
        for other in [&[][..], &["Basic eDp5"], &[&token], &[&format!("Bearer {token}"), "Bearer x"]] {
            assert_eq!(shows(&gate, other), Proof::None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn wrong_tokens_are_limited_for_a_minute() {
        let (gate, _) = gate().await;
        let start = Instant::now();
        assert!((0..MOST_WRONG).all(|_| gate.count_wrong(start)));
        assert!(!gate.count_wrong(start + WINDOW / 2));
        assert!(gate.count_wrong(start + WINDOW));
    }
}
