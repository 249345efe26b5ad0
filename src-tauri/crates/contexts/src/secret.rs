//! User names, passwords and tokens from addresses. They leave this module as a header only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

/// What stood before the `@` of an address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    user: String,
    password: Option<String>,
}

impl Secret {
    /// Takes user and password out of `url`, which has none afterwards.
    pub(crate) fn take(url: &mut Url) -> Option<Self> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let secret = Self { user: decoded(url.username()), password: url.password().map(decoded) };
        // Both fail only for addresses without a host, which have no user either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        (!secret.user.is_empty() || secret.password.is_some()).then_some(secret)
    }

    /// As the header that every server knows.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let pair = format!("{}:{}", self.user, self.password.as_deref().unwrap_or_default());
        header(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// As a token of GitHub's API, which stands alone or in place of the password.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        header(format!("Bearer {}", self.password.as_deref().unwrap_or(&self.user)))
    }
}

/// None when the text holds what no header may, and so cannot be a token.
fn header(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
