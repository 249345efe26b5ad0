//! Names of stored bytes: by content, or by a name that a client chose.

use std::fmt;

use crate::name::{NameError, is_plain};

/// The SHA-256 of a blob's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// Reads 64 hexadecimal digits of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The `:key` of `/f/:key` (protocol section 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BlobKey {
    /// 64 hexadecimal digits: the bytes must match.
    Hash(BlobHash),
    /// Any other name of `[A-Za-z0-9._-]{1,255}` that does not start with a dot.
    Name(String),
}

impl BlobKey {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "the file key";
        if let Some(hash) = BlobHash::parse(text) {
            return Ok(Self::Hash(hash));
        }
        match text.len() {
            0 => Err(NameError::Empty { what: WHAT }),
            length if length > 255 => Err(NameError::TooLong { what: WHAT, length, most: 255 }),
            _ if is_plain(text) => Ok(Self::Name(text.to_owned())),
            _ => Err(NameError::BadCharacter {
                what: WHAT,
                text: text.chars().take(80).collect(),
                allowed: "use letters, digits, '.', '_' and '-', not starting with a dot",
            }),
        }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(hash) => hash.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_digits_are_a_hash_in_either_case() {
        let text = "C192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55";
        let BlobKey::Hash(hash) = BlobKey::new(text).unwrap() else { panic!("not a hash") };
        assert_eq!(hash.to_string(), text.to_lowercase());
    }

    #[test]
    fn keys_that_could_leave_the_store_are_refused() {
        for bad in ["", "..", "../etc/passwd", "a/b", "%2e%2e", "a\0", ".x", &"k".repeat(256)] {
            assert!(BlobKey::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(BlobKey::new("data.json").unwrap(), BlobKey::Name("data.json".into()));
    }
}
