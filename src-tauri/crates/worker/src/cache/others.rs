//! What others do with the images that we brought: one that the person pulls or names themselves is theirs from then on,
//! and so is one that they removed and brought back, even where it is the very same image.
//!
//! What they did while we were not there is not known here, see `ownership`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::{Engine, ImageNews, full_name};
use deskgrid_store::{Change, ImageRecord, Origin};
use futures_util::StreamExt as _;

use super::Trouble;
use super::ownership::{self, is_in};
use crate::run::Kit;

/// Listening to an engine that does not let us, or that broke off, is tried again so often.
const AGAIN: Duration = Duration::from_secs(60);
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
    let is_removal = news.contains(&ImageNews::Removed);
    let claimed = news.into_iter().filter_map(|one| match one {
        ImageNews::Named(name) => Some(name),
        ImageNews::Removed => None,
    });
    let mut changes = given_up(&records, &claimed.collect());
    if is_removal && !records.is_empty() {
        let names: Vec<_> = records.iter().map(|record| record.name.clone()).collect();
        let held = engine.held_images(&names, kit.worker.as_str()).await?;
        changes.extend(ownership::compare(id, &records, &held, |name| engine.is_bringing(name)).changes);
    }
    if !changes.is_empty() {
        kit.store.commit(changes).await?;
        kit.cache.changed();
    }
    Ok(())
}

/// What is not ours any more, as others pulled or gave these names. Nobody gives the names of our builds away.
fn given_up(records: &[ImageRecord], named: &BTreeSet<String>) -> Vec<Change> {
    let is_theirs =
        |record: &&ImageRecord| record.origin == Origin::Pulled && named.contains(&full_name(&record.name));
    records.iter().filter(is_theirs).cloned().map(Change::ImageGone).collect()
}

#[cfg(test)]
mod tests {
    use deskgrid_job::Time;

    use super::*;

    #[test]
    fn what_others_pulled_or_named_is_given_up_and_our_builds_are_not() {
        let record = |name: &str, origin| ImageRecord {
            engine: "e".to_owned(),
            name: name.to_owned(),
            id: Some("1".to_owned()),
            origin,
            used_at: Time(1),
            is_unwanted: false,
        };
        let records = [
            record("python", Origin::Pulled),
            record("other:1", Origin::Pulled),
            record("deskgrid/build:a", Origin::Built),
        ];
        let named = BTreeSet::from(["python:latest".to_owned(), "deskgrid/build:a".to_owned()]);
        let given_up: Vec<_> = given_up(&records, &named).iter().map(|one| format!("{one:?}")).collect();
        assert!(given_up.len() == 1 && given_up[0].contains("\"python\""), "{given_up:?}");
    }
}
