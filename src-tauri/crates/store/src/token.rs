//! The secret that opens the administration to whoever can read the data folder.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;

/// Random bytes of a token; twice as many digits.
const LENGTH: usize = 32;

/// The secret. It never shows itself in logs.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// The token of the server that has this data folder; none when none runs there. Blocks on the disk.
    ///
    /// Whoever listens at the server's address while it does not run may be anyone, and must not be sent the token.
    ///
    /// # Errors
    /// [`StoreError::File`] when it may not be read.
    pub fn of_running(folder: &Path) -> Result<Option<Self>, StoreError> {
        if !crate::lock::is_held(folder) {
            return Ok(None);
        }
        Ok(read(&folder.join("token"))?.map(|(token, _)| token))
    }

    fn of_text(text: &str) -> Option<Self> {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 2 * LENGTH && text.bytes().all(is_digit)).then(|| Self(text.into()))
    }

    fn random() -> std::io::Result<Self> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self(hex::encode(bytes).into()))
    }

    /// Whether `given` is it. How long this takes tells nothing about how much of a guess was right.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// The key that pages of the dashboard show instead. It stays the same as long as the token does, and tells
    /// nothing about it.
    #[must_use]
    pub fn for_pages(&self) -> Self {
        let digest = Sha256::new().chain_update("deskgrid dashboard\n").chain_update(self.0.as_bytes());
        Self(hex::encode(digest.finalize()).into())
    }

    /// The secret itself, to be sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// The stored token, or a new one: also where the stored one is no token, or others could have read it.
pub(crate) fn settle(folder: &Folder) -> Result<Token, StoreError> {
    let path = folder.token();
    match read(&path)? {
        Some((token, true)) => return Ok(token),
        Some((_, false)) => {
            tracing::warn!(path = %path.display(), "others could read the token; there is a new one now");
        }
        None => {}
    }
    let token = Token::random().map_err(failed("draw random bytes for", &path))?;
    folder.write_durably(&path, &format!("{}\n", token.reveal()))?;
    Ok(token)
}

/// The token in the file, and whether only we may read it.
fn read(path: &Path) -> Result<Option<(Token, bool)>, StoreError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mut bytes = Vec::new();
    // More than a token and its end of line is none.
    file.by_ref().take(2 * LENGTH as u64 + 8).read_to_end(&mut bytes).map_err(failed("read", path))?;
    let is_private = platform::is_private(&file).map_err(failed("read", path))?;
    Ok(Token::of_text(String::from_utf8_lossy(&bytes).trim()).map(|token| (token, is_private)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn a_token_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Token::of_running(dir.path()).unwrap().is_none());
        let store = Store::open(dir.path()).unwrap();
        let token = store.token().await.unwrap();
        assert_eq!(token.reveal().len(), 64);
        assert!(store.token().await.unwrap().is(token.reveal().as_bytes()));
        assert!(Token::of_running(dir.path()).unwrap().unwrap().is(token.reveal().as_bytes()));
    }

    #[test]
    fn the_key_for_pages_is_told_from_the_token_and_is_not_it() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(one.for_pages().reveal(), one.for_pages().reveal());
        assert_ne!(one.for_pages().reveal(), one.reveal());
        assert_ne!(one.for_pages().reveal(), other.for_pages().reveal());
        assert!(Token::of_text(one.for_pages().reveal()).is_some());
    }

    #[tokio::test]
    async fn a_token_is_handed_out_only_while_its_server_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.token().await.unwrap();
        drop(store);
        assert!(Token::of_running(dir.path()).unwrap().is_none());
    }

    #[tokio::test]
    async fn nothing_but_the_whole_token_is_it() {
        let token = Token::random().unwrap();
        let text = token.reveal();
        for bad in ["", &text[..63], &format!("{text}0"), &text.to_uppercase(), "x"] {
            assert!(!token.is(bad.as_bytes()) || bad == text, "{bad}");
        }
        assert!(!token.is(Token::random().unwrap().reveal().as_bytes()));
        assert!(!format!("{token:?}").contains(text));
    }

    #[tokio::test]
    async fn a_damaged_token_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "short").unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.token().await.unwrap().reveal().len(), 64);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_may_read_the_token_and_one_that_others_could_read_is_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let first = store.token().await.unwrap();
        let path = dir.path().join("token");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!store.token().await.unwrap().is(first.reveal().as_bytes()));
        assert_eq!(mode(), 0o600);
    }
}
