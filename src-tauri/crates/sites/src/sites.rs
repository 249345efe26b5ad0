//! The decisions of the moment, and what they mean for a page that knocks.

use deskgrid_job::{SHIPPED_ORIGINS, Time};

use crate::entry::Terms;
use crate::pending::PendingList;
use crate::{Date, Decision, Entry, Origin, Pending};

/// What a page of an origin may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that pages may.
    Allowed,
    /// Nothing, by a person's decision.
    Blocked,
    /// Nothing as long as nobody decided.
    Unknown,
}

/// All that is known about sites.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    /// The decisions of the settings file.
    entries: Vec<Entry>,
    /// Allowed by a plain list in the settings or by a flag, without a decision of their own.
    listed: Vec<Origin>,
    /// Allowed until the server stops.
    once: Vec<Origin>,
    pending: PendingList,
}

impl Sites {
    /// The rules of these decisions and of a list of further origins.
    pub fn new(entries: Vec<Entry>, listed: Vec<Origin>) -> Self {
        Self { entries, listed, ..Self::default() }
    }

    /// Takes on decisions that were read again. Whoever is decided about now no longer waits; what was allowed until
    /// the server stops stays so, unless it is blocked now.
    pub fn replace(&mut self, entries: Vec<Entry>, listed: Vec<Origin>) {
        self.listed = listed;
        self.replace_entries(entries);
    }

    /// Takes on the decisions of the file alone.
    pub fn replace_entries(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
        let blocked = |origin: &Origin, entries: &[Entry]| {
            entries.iter().any(|entry| entry.origin == *origin && entry.decision == Decision::Block)
        };
        self.once.retain(|origin| !blocked(origin, &self.entries));
        let waiting: Vec<Origin> = self.pending().iter().map(|pending| pending.origin.clone()).collect();
        for origin in waiting {
            if self.verdict(&origin) != Verdict::Unknown {
                self.pending.remove(&origin);
            }
        }
    }

    /// What pages of this origin may do. A decision wins over every list.
    pub fn verdict(&self, origin: &Origin) -> Verdict {
        match self.entry(origin).map(|entry| entry.decision) {
            Some(Decision::Allow) => Verdict::Allowed,
            Some(Decision::Block) => Verdict::Blocked,
            None if is_shipped(origin) || self.listed.contains(origin) || self.once.contains(origin) => {
                Verdict::Allowed
            }
            None => Verdict::Unknown,
        }
    }

    /// A page of an unknown origin asked for something; true when a person should hear of it, which is once.
    pub fn ask(&mut self, origin: &Origin, now: Time) -> bool {
        self.verdict(origin) == Verdict::Unknown && self.pending.ask(origin, now)
    }

    /// A page was let in; true when that is to be written down: once a day, and only beside a decision.
    pub fn use_today(&mut self, origin: &Origin, today: Date) -> bool {
        let entry = self.entries.iter_mut().find(|entry| entry.origin == *origin);
        match entry {
            Some(entry) if entry.last_used != Some(today) => {
                entry.last_used = Some(today);
                true
            }
            _ => false,
        }
    }

    /// Lets an origin in until the server stops. A block has to be taken back first: false then.
    pub fn allow_once(&mut self, origin: &Origin) -> bool {
        match self.verdict(origin) {
            Verdict::Blocked => return false,
            Verdict::Allowed => {}
            Verdict::Unknown => self.once.push(origin.clone()),
        }
        self.pending.remove(origin);
        true
    }

    /// Takes back what holds until the server stops, and the request that waits; true when there was either.
    pub fn forget_for_now(&mut self, origin: &Origin) -> bool {
        let before = self.once.len();
        self.once.retain(|known| known != origin);
        self.pending.remove(origin) || self.once.len() < before
    }

    /// How jobs of this origin are run.
    pub fn terms(&self, origin: &Origin) -> Terms {
        self.entry(origin).map(|entry| entry.terms).unwrap_or_default()
    }

    /// The decision about an origin.
    pub fn entry(&self, origin: &Origin) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.origin == *origin)
    }

    /// All decisions, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Those allowed by a list in the settings.
    pub fn listed(&self) -> &[Origin] {
        &self.listed
    }

    /// Those allowed until the server stops.
    pub fn once(&self) -> &[Origin] {
        &self.once
    }

    /// Those who wait for a decision.
    pub fn pending(&self) -> &[Pending] {
        self.pending.list()
    }
}

fn is_shipped(origin: &Origin) -> bool {
    SHIPPED_ORIGINS.contains(&origin.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of_browser(text).unwrap()
    }

    fn entry(text: &str, decision: Decision) -> Entry {
        Entry { origin: origin(text), decision, since: None, last_used: None, terms: Terms::default() }
    }

    fn verdict(sites: &Sites, text: &str) -> Verdict {
        sites.verdict(&origin(text))
    }

    const MINE: &str = "https://mine.example";
    const NOW: Time = Time(1_000_000);

    #[test]
    fn only_the_very_origin_is_meant() {
        let sites = Sites::new(vec![entry(MINE, Decision::Allow)], vec![origin("http://listed.example")]);
        for good in
            [MINE, "http://listed.example", SHIPPED_ORIGINS[0], SHIPPED_ORIGINS[1], SHIPPED_ORIGINS[2]]
        {
            assert_eq!(verdict(&sites, good), Verdict::Allowed, "{good}");
        }
        for bad in [
            "http://mine.example",
            "https://mine.example:444",
            "https://a.mine.example",
            "https://mine.example.evil.example",
            "https://evilmine.example",
            "https://mine.example.",
            "https://listed.example",
            "http://metapage.io",
            "https://evil.metapage.io",
        ] {
            assert_eq!(verdict(&sites, bad), Verdict::Unknown, "{bad}");
        }
    }

    #[test]
    fn a_block_wins_over_what_is_shipped_and_listed() {
        let blocks = vec![entry(SHIPPED_ORIGINS[1], Decision::Block), entry(MINE, Decision::Block)];
        let sites = Sites::new(blocks, vec![origin(MINE)]);
        assert_eq!(verdict(&sites, SHIPPED_ORIGINS[1]), Verdict::Blocked);
        assert_eq!(verdict(&sites, MINE), Verdict::Blocked);
    }

    #[test]
    fn an_unknown_origin_waits_once_and_a_decided_one_never() {
        let mut sites = Sites::new(vec![entry(MINE, Decision::Block)], vec![]);
        assert!(sites.ask(&origin("https://new.example"), NOW));
        assert!(!sites.ask(&origin("https://new.example"), NOW));
        assert!(!sites.ask(&origin(MINE), NOW) && !sites.ask(&origin(SHIPPED_ORIGINS[0]), NOW));
        assert_eq!(sites.pending().len(), 1);
    }

    #[test]
    fn a_decision_ends_the_waiting() {
        let mut sites = Sites::default();
        sites.ask(&origin(MINE), NOW);
        sites.replace_entries(vec![entry(MINE, Decision::Allow)]);
        assert_eq!((verdict(&sites, MINE), sites.pending().len()), (Verdict::Allowed, 0));
    }

    #[test]
    fn once_lasts_over_new_settings_and_ends_with_a_block_or_when_forgotten() {
        let mut sites = Sites::default();
        sites.ask(&origin(MINE), NOW);
        assert!(sites.allow_once(&origin(MINE)));
        assert!(sites.pending().is_empty());
        sites.replace(vec![], vec![]);
        assert_eq!(verdict(&sites, MINE), Verdict::Allowed);
        assert!(sites.forget_for_now(&origin(MINE)));
        assert_eq!(verdict(&sites, MINE), Verdict::Unknown);
        sites.allow_once(&origin(MINE));
        sites.replace_entries(vec![entry(MINE, Decision::Block)]);
        assert!(!sites.allow_once(&origin(MINE)));
        sites.replace_entries(vec![]);
        assert_eq!(verdict(&sites, MINE), Verdict::Unknown);
    }

    #[test]
    fn a_use_is_written_down_once_a_day_and_only_beside_a_decision() {
        let mut sites = Sites::new(vec![entry(MINE, Decision::Allow)], vec![]);
        let (one, two) = (Date::parse("2026-11-22").unwrap(), Date::parse("2026-11-23").unwrap());
        assert!(sites.use_today(&origin(MINE), one));
        assert!(!sites.use_today(&origin(MINE), one));
        assert!(sites.use_today(&origin(MINE), two));
        assert!(!sites.use_today(&origin(SHIPPED_ORIGINS[0]), one));
    }
}
