//! Names that come from outside and end in paths, labels or rows: checked once, at construction.

use std::fmt;
use std::sync::Arc;

/// Why a text is no usable name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("{what} is empty")]
    Empty {
        /// Which name was meant.
        what: &'static str,
    },
    /// More bytes than any place that stores it takes.
    #[error("{what} is {length} bytes long; at most {most} are allowed")]
    TooLong {
        /// Which name was meant.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// A character that could leave the folder, the label or the line it is written into.
    #[error("{what} {text:?} has a character that is not allowed; {allowed}")]
    BadCharacter {
        /// Which name was meant.
        what: &'static str,
        /// The refused text.
        text: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

fn bounded(what: &'static str, text: &str, most: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty { what }),
        length if length > most => Err(NameError::TooLong { what, length, most }),
        _ => Ok(()),
    }
}

fn refuse(what: &'static str, text: &str, allowed: &'static str) -> NameError {
    NameError::BadCharacter { what, text: text.chars().take(80).collect(), allowed }
}

/// Whether `text` is safe as a file name: letters, digits, dot, underscore, hyphen, and no dot in front.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.starts_with('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:literal, $check:expr, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`NameError`] says which rule it breaks.
            pub fn new(text: &str) -> Result<Self, NameError> {
                bounded($what, text, $most)?;
                let allowed: fn(&str) -> bool = $check;
                if allowed(text) { Ok(Self(text.into())) } else { Err(refuse($what, text, $allowed)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name!(
    /// A job's name: normally the SHA-256 of its definition, but a client may choose one (protocol section 2).
    JobId, "the job id", 128, is_plain, "use letters, digits, '.', '_' and '-', not starting with a dot"
);
name!(
    /// The name of a queue; its first use creates it (protocol section 1).
    QueueName, "the queue name", 255, |t| !t.chars().any(char::is_control), "control characters are not"
);
name!(
    /// A slot of a queue in which only the newest job lives (protocol section 3).
    Namespace, "the namespace", 255, |t| !t.chars().any(char::is_control), "control characters are not"
);
name!(
    /// Names this worker on the containers it owns.
    WorkerId, "the worker id", 128, is_plain, "use letters, digits, '.', '_' and '-', not starting with a dot"
);

impl Namespace {
    /// The namespace of submissions that name none; any number of jobs live in it.
    pub fn shared() -> Self {
        Self("_".into())
    }

    /// Whether this is the namespace that holds any number of jobs.
    pub fn is_shared(&self) -> bool {
        self.as_str() == "_"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_cannot_leave_its_folder() {
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\0b", "a b", &"x".repeat(300)] {
            assert!(JobId::new(bad).is_err(), "{bad:?}");
        }
        assert!(JobId::new("my-job_1.json").is_ok());
    }

    #[test]
    fn an_error_says_which_name_and_what_is_allowed() {
        let text = JobId::new("a/b").unwrap_err().to_string();
        assert!(text.contains("the job id \"a/b\"") && text.contains("letters, digits"), "{text}");
    }

    #[test]
    fn a_queue_may_have_any_printable_name() {
        assert!(QueueName::new("my queue ü").is_ok());
        assert!(QueueName::new("a\nb").is_err());
    }
}
