//! What others do with the images that we brought: one that the person pulls or names themselves is theirs from then on,
//! and so is one that they removed and brought back, even where it is the very same image.
//!
//! What they did while we were not there is not known here, see `ownership`.

use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::{Engine, ImageNews, full_name};
use deskgrid_store::{Change, ImageRecord, Origin, StoreError};
use futures_util::StreamExt as _;

use super::Trouble;
use super::ownership::{self, is_in};
use crate::run::Kit;

/// Listening to an engine that does not let us, or that broke off, is tried again so often: before the engine forgets
/// what it told nobody, and while our own pulls are still known from those of others.
const AGAIN: Duration = Duration::from_secs(5);
/// Much that happens at once is looked at once.
const AT_ONCE: usize = 1000;

/// Works until it is dropped.
pub(crate) async fn watch(kit: Arc<Kit>) {
    let mut state = kit.engine.clone();
    loop {
        let engine = match state.wait_for(|state| state.ready().is_some()).await {
            Ok(state) => state.ready().cloned(),
            Err(_) => return,
        };
        if let Some(engine) = engine {
            follow(&kit, &engine).await;
        }
        // Another life of the engine is listened to at once.
        let _ = tokio::time::timeout(AGAIN, state.changed()).await;
    }
}

async fn follow(kit: &Kit, engine: &Engine) {
    let mut news = engine.image_news().ready_chunks(AT_ONCE);
    while let Some(news) = news.next().await {
        if let Err(error) = take_note(kit, engine, news).await {
            tracing::warn!(%error, "could not note what somebody else did with images");
        }
    }
}

async fn take_note(kit: &Kit, engine: &Engine, news: Vec<ImageNews>) -> Result<(), Trouble> {
    let id = &engine.info().id;
    let mut records = kit.store.images().await?;
    records.retain(|record| is_in(record, id));
    let theirs = records.extract_if(.., |record| is_claimed(record, &news));
    // At once: it is told no second time should the engine not answer below.
    note(kit, theirs.map(Change::ImageGivenUp).collect()).await?;
    if news.contains(&ImageNews::Removed) && !records.is_empty() {
        let names: Vec<_> = records.iter().map(|record| record.name.clone()).collect();
        let held = engine.held_images(&names, kit.worker.as_str()).await?;
        let is_coming = |name: &str| kit.cache.is_coming(engine, name);
        note(kit, ownership::compare(id, &records, &held, is_coming).changes).await?;
    }
    Ok(())
}

async fn note(kit: &Kit, changes: Vec<Change>) -> Result<(), StoreError> {
    if !changes.is_empty() {
        kit.store.commit(changes).await?;
        kit.cache.changed();
    }
    Ok(())
}

/// Whether this is not ours any more: others pulled it, loaded it or gave it its name. Our builds stay ours.
fn is_claimed(record: &ImageRecord, news: &[ImageNews]) -> bool {
    record.origin == Origin::Pulled
        && news.iter().any(|one| match one {
            ImageNews::Named(name) => *name == full_name(&record.name),
            ImageNews::Loaded(id) => Some(id) == record.id.as_ref(),
            ImageNews::Removed => false,
        })
}

#[cfg(test)]
mod tests {
    use deskgrid_job::Time;

    use super::*;

    #[test]
    fn what_others_pulled_named_or_loaded_is_claimed_and_our_builds_are_not() {
        let record = |name: &str, id: &str, origin| ImageRecord {
            engine: "e".to_owned(),
            name: name.to_owned(),
            id: Some(id.to_owned()),
            origin,
            used_at: Time(1),
            is_unwanted: false,
        };
        let records = [
            record("python", "1", Origin::Pulled),
            record("other:1", "2", Origin::Pulled),
            record("loaded:1", "3", Origin::Pulled),
            record("deskgrid/build:a", "3", Origin::Built),
        ];
        let named = ["python:latest", "deskgrid/build:a"].map(|name| ImageNews::Named(name.to_owned()));
        let mut news = named.to_vec();
        news.extend([ImageNews::Loaded("3".to_owned()), ImageNews::Removed]);
        let claimed = records.iter().filter(|record| is_claimed(record, &news));
        let claimed: Vec<_> = claimed.map(|record| record.name.as_str()).collect();
        assert_eq!(claimed, ["python", "loaded:1"]);
    }
}
