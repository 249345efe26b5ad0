//! Who is invited, shared by everyone who has to know: the access rules, open sockets, the administration.
//!
//! The rules themselves are in `deskgrid-sites`, the decisions in the settings file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deskgrid_job::{Caller, Time};
use deskgrid_sites::{Change, Date, Entry, Origin, Sites, Verdict};
use tokio::sync::watch;

/// What was decided about sites; a cheap handle.
#[derive(Clone, Debug)]
pub struct Invitations(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sites: Mutex<Sites>,
    /// Told whenever someone may have been let in or shut out.
    changed: watch::Sender<()>,
}

impl Invitations {
    /// The decisions of `sites`.
    pub fn new(sites: Sites) -> Self {
        Self(Arc::new(Shared { sites: Mutex::new(sites), changed: watch::channel(()).0 }))
    }

    /// Takes on decisions that were read again, and a list of origins that are allowed without one.
    pub fn replace(&self, entries: Vec<Entry>, listed: Vec<Origin>) {
        self.change(|sites| sites.replace(entries, listed));
    }

    fn sites(&self) -> MutexGuard<'_, Sites> {
        self.0.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Sites) -> T) -> T {
        read(&self.sites())
    }

    /// Changes something and tells everyone.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Sites) -> T) -> T {
        let changed = change(&mut self.sites());
        self.0.changed.send_replace(());
        changed
    }

    pub(crate) fn verdict(&self, origin: &Origin) -> Verdict {
        self.sites().verdict(origin)
    }

    /// A page of an unknown origin asked for something.
    pub(crate) fn ask(&self, origin: &Origin) {
        if self.sites().ask(origin, Time::now()) {
            self.0.changed.send_replace(());
            tracing::info!(
                "pages of {origin} ask to use Deskgrid; allow them with: deskgrid sites allow {origin}"
            );
        }
    }

    /// A page was let in. The answer is what to write down of it, at most once a day.
    pub(crate) fn note_use(&self, origin: &Origin) -> Option<Change> {
        let today = Date::of(Time::now());
        let is_news = self.sites().use_today(origin, today);
        is_news.then(|| Change::Used { origin: origin.clone(), on: today })
    }

    /// Tells of every change, and of sites that ask for the first time.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Waits until `caller` is no longer invited. Programs always are.
    pub(crate) async fn withdrawn(&self, caller: &Caller) {
        let mut changed = self.0.changed.subscribe();
        let origin = match caller {
            Caller::Page(origin) => Origin::of_browser(origin).ok(),
            Caller::Program => None,
        };
        let Some(origin) = origin else { return std::future::pending().await };
        while self.verdict(&origin) == Verdict::Allowed {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_sites::{Decision, Terms};

    use super::*;

    const PAGE: &str = "https://a.example";

    fn entry(decision: Decision) -> Entry {
        let origin = Origin::of_browser(PAGE).unwrap();
        Entry { origin, decision, since: None, last_used: None, terms: Terms::default() }
    }

    #[tokio::test]
    async fn an_invitation_is_withdrawn_by_a_block_and_not_by_other_changes() {
        let invitations = Invitations::new(Sites::new(vec![entry(Decision::Allow)], vec![]));
        let withdrawn = tokio::spawn({
            let invitations = invitations.clone();
            async move { invitations.withdrawn(&Caller::parse(PAGE)).await }
        });
        invitations.replace(vec![entry(Decision::Allow)], vec![]);
        tokio::task::yield_now().await;
        assert!(!withdrawn.is_finished());
        invitations.replace(vec![entry(Decision::Block)], vec![]);
        withdrawn.await.unwrap();
    }

    #[test]
    fn a_use_is_told_once_a_day() {
        let invitations = Invitations::new(Sites::new(vec![entry(Decision::Allow)], vec![]));
        let origin = Origin::of_browser(PAGE).unwrap();
        assert!(invitations.note_use(&origin).is_some());
        assert_eq!(invitations.note_use(&origin), None);
    }
}
