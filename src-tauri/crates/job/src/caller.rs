//! Who asks for something: a web page, known by its origin, or a program of the person's own.

use std::fmt;
use std::sync::Arc;

use crate::QueueName;

/// The origins of the public pages of the protocol (section 1), which are known to every Deskgrid.
pub const SHIPPED_ORIGINS: [&str; 3] =
    ["https://container.mtfm.io", "https://metapage.io", "https://app.metapage.io"];

/// The side that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// A program on this computer, which may see and end everything.
    Program,
    /// A web page of this origin, which sees and ends only what pages of its origin asked for.
    Page(Arc<str>),
}

impl Caller {
    /// The caller of an origin's text, or of the text that stands for programs.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() { Self::Program } else { Self::Page(text.into()) }
    }

    /// The origin, or the empty text for programs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Program => "",
            Self::Page(origin) => origin,
        }
    }

    /// Whether it is one of the pages that every Deskgrid knows.
    pub fn is_shipped(&self) -> bool {
        matches!(self, Self::Page(origin) if SHIPPED_ORIGINS.contains(&&**origin))
    }

    /// Whether what `other` asked for is this caller's business.
    pub fn sees(&self, other: &Caller) -> bool {
        *self == Self::Program || self == other
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("a program"),
            Self::Page(origin) => f.write_str(origin),
        }
    }
}

/// A queue as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outlook {
    /// The queue.
    pub queue: QueueName,
    /// Who looks.
    pub caller: Caller,
}

impl Outlook {
    /// All of a queue, as programs see it.
    pub fn whole(queue: QueueName) -> Self {
        Self { queue, caller: Caller::Program }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_sees_its_own_and_a_program_sees_all() {
        let (one, other) = (Caller::parse("https://a.example"), Caller::parse("https://b.example"));
        assert!(one.sees(&one) && !one.sees(&other) && !one.sees(&Caller::Program));
        assert!(Caller::Program.sees(&one) && Caller::Program.sees(&Caller::Program));
    }

    #[test]
    fn a_caller_reads_back_from_its_text() {
        for caller in [Caller::Program, Caller::parse("https://a.example")] {
            assert_eq!(Caller::parse(caller.as_str()), caller);
        }
    }
}
