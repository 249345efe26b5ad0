//! What a person decided about one site, and what can change about it.

use crate::{Date, Origin};

/// Whether a site's pages may use this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allow,
    /// They may not, and nobody is asked again.
    Block,
}

/// What the jobs of a site can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The internet.
    #[default]
    Internet,
    /// Nothing.
    None,
}

impl Decision {
    /// The word for it in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }

    /// The decision of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Allow, Self::Block].into_iter().find(|known| known.as_str() == word)
    }
}

impl Network {
    /// The word for it in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::None => "none",
        }
    }

    /// The network of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Internet, Self::None].into_iter().find(|known| known.as_str() == word)
    }
}

/// How the jobs of a site are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What they can reach.
    pub network: Network,
    /// Whether they get the engine's own defaults instead of our stricter ones.
    pub compatible: bool,
}

/// One decision, as the settings file keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose pages.
    pub origin: Origin,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub since: Option<Date>,
    /// The last day on which a page of it was let in.
    pub last_used: Option<Date>,
    /// How its jobs are run.
    pub terms: Terms,
}

/// One change of the decisions in the settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A person decided.
    Decide {
        /// About whom.
        origin: Origin,
        /// What.
        decision: Decision,
        /// When.
        on: Date,
    },
    /// A person takes every decision about this origin back.
    Forget(Origin),
    /// A page of this origin was let in on this day.
    Used {
        /// Whose page.
        origin: Origin,
        /// When.
        on: Date,
    },
    /// A person chose how the jobs of this origin are run; what is none stays.
    Configure {
        /// Whose jobs.
        origin: Origin,
        /// What they can reach.
        network: Option<Network>,
        /// Whether they get the engine's own defaults.
        compatible: Option<bool>,
        /// When, for an origin that was allowed without an entry so far.
        on: Date,
    },
}

impl Change {
    /// Whom it is about.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Forget(origin)
            | Self::Decide { origin, .. }
            | Self::Used { origin, .. }
            | Self::Configure { origin, .. } => origin,
        }
    }
}
