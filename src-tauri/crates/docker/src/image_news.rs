//! What happens to the names of the engine's images, as far as it was not we who did it: what somebody else pulled or
//! named is not ours any more, even where it is the very same image.
//!
//! The engine tells of each pull that went well, ours too, on another connection than the one that tells its end, so
//! that either may come first. What others did before we first listened is not told; what they did while the events
//! were interrupted is, as far as the engine remembers.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::holdings::full_name;

/// The event of a pull that went well comes within this time, or never does, as of some builders' pulls: what comes
/// later is another's. Longer than a question to the engine, which may hold up who listens.
const EVENT_COMES_WITHIN: Duration = Duration::from_secs(90);
/// By so much later than the last event heard are the events that are asked for again. Some engines round what they are
/// asked for, and none shall be heard twice.
const AFTER_THE_LAST: i64 = 1000;

/// Something that was done to images in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageNews {
    /// Somebody else pulled this name, or gave it to an image. It is written as [`full_name`] writes it.
    Named(String),
    /// Somebody brought the image of this id from a file, with whatever names.
    Loaded(String),
    /// An image lost a name, or went, by whomever.
    Removed,
}

impl Engine {
    /// What happens from now on, or since it was listened to last. It ends with this life of the engine, when the
    /// engine breaks it off, and at once where nobody may listen to it. One at a time listens.
    pub fn image_news(&self) -> BoxStream<'static, ImageNews> {
        let kinds = ["pull", "tag", "load", "import", "untag", "delete", "remove"];
        let filters = HashMap::from([("type", vec!["image"]), ("event", kinds.to_vec())]);
        let options = EventsOptionsBuilder::new().filters(&filters);
        let options = match self.own_pulls().resume() {
            Some(since) => options.since(&since),
            None => options,
        };
        let (engine, events) = (self.clone(), self.docker().events(Some(options.build())));
        let heard = events.take_while(|event| ready(event.is_ok())).take_until(self.clone().ended());
        let heard = heard.map(move |event| engine.read(&event.ok()?));
        let claims = stream::unfold(self.clone(), |engine| async move {
            let name = engine.own_pulls().next_claim().await;
            Some((Some(ImageNews::Named(name)), engine))
        });
        // It ends with the events; of claims there may always be more.
        let heard = heard.map(Some).chain(stream::once(ready(None)));
        let both = stream::select(heard, claims.map(Some)).take_while(|news| ready(news.is_some()));
        both.filter_map(|news| ready(news.flatten())).boxed()
    }

    fn read(&self, event: &EventMessage) -> Option<ImageNews> {
        self.own_pulls().heard(event);
        match happened(event)? {
            Happened::Pulled(name) if self.own_pulls().is_ours(&name) => None,
            Happened::Pulled(name) | Happened::Tagged(name) => Some(ImageNews::Named(name)),
            Happened::Loaded(id) => Some(ImageNews::Loaded(id)),
            Happened::Removed => Some(ImageNews::Removed),
        }
    }

    /// Whether an image of this name is being pulled for us just now.
    pub fn is_bringing(&self, name: &str) -> bool {
        self.own_pulls().lock().pulls.get(&full_name(name)).is_some_and(|own| own.under_way > 0)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Pulled(String),
    Tagged(String),
    Loaded(String),
    Removed,
}

fn happened(event: &EventMessage) -> Option<Happened> {
    let actor = event.actor.as_ref()?;
    let attribute = actor.attributes.as_ref().and_then(|attributes| attributes.get("name"));
    match event.action.as_deref()? {
        // Docker calls a pulled image by its name here, Podman by its id.
        "pull" => {
            let named = actor.id.as_ref().filter(|id| !is_id(id)).or(attribute);
            named.map(|name| Happened::Pulled(full_name(name)))
        }
        "tag" => attribute.map(|name| Happened::Tagged(full_name(name))),
        "load" | "import" => actor.id.clone().map(Happened::Loaded),
        _ => Some(Happened::Removed),
    }
}

fn is_id(text: &str) -> bool {
    text.starts_with("sha256:") || (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The pulls that are ours, and what is known of the events that tell of them.
#[derive(Default)]
pub(crate) struct OwnPulls {
    state: Mutex<State>,
    /// Told when there are claims.
    claimed: Notify,
}

#[derive(Default)]
struct State {
    /// By the full name of what they bring.
    pulls: HashMap<String, Own>,
    /// Names that others pulled at the same time as we, which is known when ours has ended.
    claims: VecDeque<String>,
    /// When the last event was that we heard, in nanoseconds of the engine's clock.
    last: Option<i64>,
}

#[derive(Default)]
struct Own {
    under_way: usize,
    /// Events that came while one was under way.
    heard: usize,
    /// When those pulls went well whose event has yet to come.
    awaited: VecDeque<Instant>,
}

impl State {
    /// Forgets what never comes, and what is done with.
    fn tidy(&mut self) {
        self.pulls.retain(|_, own| {
            own.awaited.retain(|since| since.elapsed() <= EVENT_COMES_WITHIN);
            own.under_way > 0 || !own.awaited.is_empty()
        });
    }
}

impl OwnPulls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &str) {
        self.lock().pulls.entry(name.to_owned()).or_default().under_way += 1;
    }

    fn end(&self, name: &str, went_well: bool) {
        let mut state = self.lock();
        let Some(own) = state.pulls.get_mut(name) else { return };
        own.under_way -= 1;
        if went_well && own.heard > 0 {
            own.heard -= 1;
        } else if went_well {
            own.awaited.push_back(Instant::now());
        }
        if own.under_way == 0 && std::mem::take(&mut own.heard) > 0 {
            state.claims.push_back(name.to_owned());
            self.claimed.notify_one();
        }
        state.tidy();
    }

    /// Whether the pull that an event tells of was ours, as far as that can be said by now.
    fn is_ours(&self, name: &str) -> bool {
        let mut state = self.lock();
        state.tidy();
        let Some(own) = state.pulls.get_mut(name) else { return false };
        if own.awaited.pop_front().is_none() {
            own.heard += 1;
        }
        state.tidy();
        true
    }

    /// Waits for a name that somebody else pulled at the same time as we.
    async fn next_claim(&self) -> String {
        loop {
            if let Some(name) = self.lock().claims.pop_front() {
                return name;
            }
            self.claimed.notified().await;
        }
    }

    fn heard(&self, event: &EventMessage) {
        let mut state = self.lock();
        state.last = event.time_nano.or(state.last);
    }

    /// From when on the events are to be told again, as the engine wants to be asked. Before the first one was heard,
    /// those of earlier pulls do not come any more.
    fn resume(&self) -> Option<String> {
        let mut state = self.lock();
        let Some(last) = state.last else {
            state.pulls.values_mut().for_each(|own| own.awaited.clear());
            state.tidy();
            return None;
        };
        let since = last.saturating_add(AFTER_THE_LAST);
        Some(format!("{}.{:09}", since / 1_000_000_000, since % 1_000_000_000))
    }
}

/// A pull of ours on its way.
pub(crate) struct OwnPull {
    engine: Engine,
    name: String,
    went_well: bool,
}

impl OwnPull {
    pub(crate) fn begin(engine: &Engine, name: &str) -> Self {
        let name = full_name(name);
        engine.own_pulls().begin(&name);
        Self { engine: engine.clone(), name, went_well: false }
    }

    /// It has brought what it was to bring.
    pub(crate) fn went_well(mut self) {
        self.went_well = true;
    }
}

impl Drop for OwnPull {
    fn drop(&mut self) {
        self.engine.own_pulls().end(&self.name, self.went_well);
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;
    use futures_util::FutureExt as _;

    use super::*;

    fn event(action: &str, id: &str, name: &str) -> EventMessage {
        let attributes = Some(HashMap::from([("name".to_owned(), name.to_owned())]));
        let actor = Some(EventActor { id: Some(id.to_owned()), attributes });
        EventMessage { action: Some(action.to_owned()), actor, ..EventMessage::default() }
    }

    #[test]
    fn what_the_engine_tells_of_images_is_read_by_their_names() {
        let id = format!("sha256:{}", "a".repeat(64));
        for (action, id, name, wanted) in [
            ("pull", "python:3", "python", Some(Happened::Pulled("python:3".to_owned()))),
            ("pull", &id[7..], "docker.io/library/x", Some(Happened::Pulled("x:latest".to_owned()))),
            ("tag", &id, "mine:1", Some(Happened::Tagged("mine:1".to_owned()))),
            ("load", &id, &id, Some(Happened::Loaded(id.clone()))),
            ("import", &id, &id, Some(Happened::Loaded(id.clone()))),
            ("untag", &id, &id, Some(Happened::Removed)),
            ("delete", &id, &id, Some(Happened::Removed)),
        ] {
            assert_eq!(happened(&event(action, id, name)), wanted, "{action} {id}");
        }
        assert_eq!(happened(&EventMessage::default()), None);
    }

    #[tokio::test]
    async fn a_pull_of_ours_is_none_of_somebody_else_whichever_is_heard_first() {
        let engine = Engine::that_never_answers();
        let hear = || engine.read(&event("pull", "x:1", "x"));
        let theirs = Some(ImageNews::Named("x:1".to_owned()));
        assert_eq!(hear(), theirs);
        let pull = OwnPull::begin(&engine, "docker.io/library/x:1");
        assert!(engine.is_bringing("x:1") && !engine.is_bringing("x:2"));
        assert_eq!(hear(), None, "before its end");
        pull.went_well();
        assert_eq!(hear(), theirs);
        OwnPull::begin(&engine, "x:1").went_well();
        assert_eq!(hear(), None, "after its end");
        assert_eq!(hear(), theirs);
        drop(OwnPull::begin(&engine, "x:1"));
        assert_eq!(hear(), theirs, "it was broken off");
        OwnPull::begin(&engine, "x:1").went_well();
        assert_eq!(engine.own_pulls().resume(), None);
        assert_eq!(hear(), theirs, "its event was before we listened");
    }

    #[tokio::test]
    async fn what_somebody_else_pulled_at_the_same_time_as_we_is_told_when_ours_has_ended() {
        let engine = Engine::that_never_answers();
        let pull = OwnPull::begin(&engine, "x:1");
        for _ in ["theirs", "ours"] {
            assert_eq!(engine.read(&event("pull", "x:1", "x")), None);
        }
        pull.went_well();
        assert_eq!(engine.own_pulls().next_claim().now_or_never().as_deref(), Some("x:1"));
        assert_eq!(engine.own_pulls().next_claim().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_never_came_does_not_make_a_much_later_pull_of_somebody_else_ours() {
        let engine = Engine::that_never_answers();
        OwnPull::begin(&engine, "x:1").went_well();
        tokio::time::advance(EVENT_COMES_WITHIN + Duration::from_secs(1)).await;
        assert_eq!(engine.read(&event("pull", "x:1", "x")), Some(ImageNews::Named("x:1".to_owned())));
    }

    #[tokio::test]
    async fn events_that_were_interrupted_are_asked_for_from_the_last_one_on() {
        let engine = Engine::that_never_answers();
        let last = EventMessage { time_nano: Some(5_000_000_001), ..event("tag", "1", "y") };
        engine.read(&last);
        OwnPull::begin(&engine, "x:1").went_well();
        assert_eq!(engine.own_pulls().resume().as_deref(), Some("5.000001001"));
        assert_eq!(engine.read(&event("pull", "x:1", "x")), None, "its event is told again");
    }
}
