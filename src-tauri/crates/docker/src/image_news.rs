//! What happens to the names of the engine's images, as far as it was not we who did it: what somebody else pulled or
//! named is not ours any more, even where it is the very same image.
//!
//! The engine tells of each pull that went well, ours too, on another connection than the one that tells its end, so
//! that either may come first. What others did before we listened is not told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::engine::Engine;
use crate::holdings::full_name;

/// Something that was done to images in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageNews {
    /// Somebody else pulled this name, or gave it to an image. It is written as [`full_name`] writes it.
    Named(String),
    /// An image lost a name, or went, by whomever.
    Removed,
}

impl Engine {
    /// What happens from now on. It ends with this life of the engine, and at once where nobody may listen to it.
    pub fn image_news(&self) -> BoxStream<'static, ImageNews> {
        let kinds = ["pull", "tag", "untag", "delete", "remove"];
        let filters = HashMap::from([("type", vec!["image"]), ("event", kinds.to_vec())]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        // Of what came before, the events are not heard any more.
        self.own_pulls().forget_awaited();
        let (engine, events) = (self.clone(), self.docker().events(Some(options)));
        let heard = events.take_while(|event| std::future::ready(event.is_ok()));
        let heard = heard.filter_map(|event| std::future::ready(event.ok()));
        let heard = heard.take_until(self.clone().ended());
        heard.filter_map(move |event| std::future::ready(engine.read(&event))).boxed()
    }

    fn read(&self, event: &EventMessage) -> Option<ImageNews> {
        let happened = happened(event)?;
        match &happened {
            Happened::Pulled(name) if self.own_pulls().is_ours(name) => None,
            Happened::Pulled(name) | Happened::Tagged(name) => Some(ImageNews::Named(name.clone())),
            Happened::Removed => Some(ImageNews::Removed),
        }
    }

    /// Whether an image of this name is being pulled for us just now.
    pub fn is_bringing(&self, name: &str) -> bool {
        self.own_pulls().lock().get(&full_name(name)).is_some_and(|own| own.under_way > 0)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Pulled(String),
    Tagged(String),
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
        _ => Some(Happened::Removed),
    }
}

fn is_id(text: &str) -> bool {
    text.starts_with("sha256:") || (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The pulls that are ours, by the full name of what they bring.
#[derive(Default)]
pub(crate) struct OwnPulls(Mutex<HashMap<String, Own>>);

#[derive(Default)]
struct Own {
    under_way: usize,
    /// Events that came while one was under way.
    heard: usize,
    /// Pulls that went well and whose event has yet to come.
    awaited: usize,
}

impl OwnPulls {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Own>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &str) {
        self.lock().entry(name.to_owned()).or_default().under_way += 1;
    }

    fn end(&self, name: &str, went_well: bool) {
        let mut all = self.lock();
        let Some(own) = all.get_mut(name) else { return };
        own.under_way -= 1;
        if went_well && own.heard > 0 {
            own.heard -= 1;
        } else if went_well {
            own.awaited += 1;
        }
        if own.under_way == 0 {
            own.heard = 0;
        }
        all.retain(|_, own| own.under_way + own.awaited > 0);
    }

    /// Whether the pull that an event tells of was ours.
    fn is_ours(&self, name: &str) -> bool {
        let mut all = self.lock();
        let Some(own) = all.get_mut(name) else { return false };
        if own.awaited > 0 {
            own.awaited -= 1;
        } else if own.under_way > 0 {
            own.heard += 1;
        } else {
            return false;
        }
        all.retain(|_, own| own.under_way + own.awaited > 0);
        true
    }

    fn forget_awaited(&self) {
        let mut all = self.lock();
        all.values_mut().for_each(|own| own.awaited = 0);
        all.retain(|_, own| own.under_way > 0);
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
        engine.own_pulls().forget_awaited();
        assert_eq!(hear(), theirs, "its event was before we listened");
    }
}
