//! The cache as the person sees it: what uses the disk, what of it goes, and what is kept.
//!
//! What becomes free is told in two numbers, on this disk and inside the engine, whose disk may be another one.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use deskgrid_job::{JobId, Time};
use deskgrid_store::Change;
use deskgrid_worker::cache::{Item, Kind, Survey, usual_limit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::removals::{self, Key};
use super::understood;
use crate::Site;
use crate::access::Administrator;
use crate::body::JsonText;
use crate::error::HttpError;

/// Items that are listed at most, the biggest first.
const MOST_ITEMS: usize = 2000;
/// Jobs of one item that are named at most.
const MOST_JOBS: usize = 50;
const PINNED: &str = "You keep it";

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/cache", get(show))
        .route("/api/cache/delete", post(delete))
        .route("/api/cache/undo", post(undo))
        .route("/api/cache/prune", post(prune))
        .route("/api/cache/pin", post(pin))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemOf<'a> {
    kind: &'static str,
    id: &'a str,
    name: &'a str,
    bytes: u64,
    last_used: Option<u64>,
    pinned: bool,
    jobs: Vec<&'a str>,
    job_count: usize,
    /// How an image came into the engine: `pulled` or `built`.
    origin: Option<&'static str>,
    is_deletable: bool,
    why: Option<&'static str>,
}

impl<'a> From<&'a Item> for ItemOf<'a> {
    fn from(item: &'a Item) -> Self {
        let why = obstacle(item);
        Self {
            kind: item.kind.as_str(),
            id: &item.id,
            name: &item.name,
            bytes: item.bytes,
            last_used: item.used_at.map(|time| time.0),
            pinned: item.is_pinned,
            jobs: item.jobs.iter().take(MOST_JOBS).map(JobId::as_str).collect(),
            job_count: item.jobs.len(),
            origin: item.image.as_ref().map(|(_, record)| record.origin.as_str()),
            is_deletable: why.is_none(),
            why,
        }
    }
}

/// Why it cannot be deleted now.
fn obstacle(item: &Item) -> Option<&'static str> {
    item.obstacle.or(item.is_pinned.then_some(PINNED))
}

/// All that is kept and not deleted, the biggest first; in the engine where what lies on the disk says so.
async fn survey(site: &Site, with_engine: impl FnOnce(&Survey) -> bool) -> Result<Survey, HttpError> {
    let mut survey = site.worker().survey_cache().await?;
    if with_engine(&survey) {
        site.worker().survey_engine(&mut survey).await;
    }
    let hidden = site.removals().hidden();
    if !hidden.is_empty() {
        survey.leave_out(&hidden);
    }
    survey.items.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.id.cmp(&other.id)));
    Ok(survey)
}

async fn show(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    let survey = survey(&site, |_| true).await?;
    let room = site.store().room().await?;
    let chosen = site.worker().cache_limit();
    let used = survey.on_disk();
    let is_separate = site.worker().engine().borrow().ready().is_some_and(|engine| engine.info().is_desktop);
    let kinds = Kind::ALL.map(|kind| {
        let items = || survey.items.iter().filter(|item| item.kind == kind);
        let bytes: u64 = items().map(|item| item.bytes).sum();
        let place = if kind.is_on_disk() { "disk" } else { "engine" };
        json!({ "kind": kind.as_str(), "count": items().count(), "bytes": bytes, "where": place })
    });
    let items: Vec<_> = survey.items.iter().take(MOST_ITEMS).map(ItemOf::from).collect();
    let usual = usual_limit(room.total);
    Ok(Json(json!({
        "disk": { "total": room.total, "free": room.free, "used": used },
        "engine": { "used": survey.in_engine(), "separate": is_separate },
        "limit": {
            "bytes": chosen.unwrap_or(usual),
            "isDefault": chosen.is_none(),
            "usual": usual,
            "most": used + room.free,
        },
        "kinds": kinds,
        "items": items,
    })))
}

#[derive(Deserialize)]
struct Named {
    kind: String,
    id: String,
}

impl Named {
    fn key(self) -> Result<Key, HttpError> {
        let kind = Kind::parse(&self.kind).ok_or_else(|| {
            HttpError::bad("bad-kind", format!("There is nothing of the kind {:?} in the cache.", self.kind))
        })?;
        Ok((kind, self.id))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Doomed {
    items: Vec<Named>,
    #[serde(default)]
    dry_run: bool,
    /// Whether it goes at once, instead of when nobody has taken it back for some time.
    #[serde(default)]
    at_once: bool,
}

/// Hides what is named, as far as nobody needs it, and removes it when that was not taken back in time, or at once.
async fn delete(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Doomed { items, dry_run, at_once } = understood(&text)?;
    let wanted = items.into_iter().map(Named::key).collect::<Result<HashSet<Key>, _>>()?;
    let concerns_engine = |on_disk: &Survey| {
        let is_wanted = |item: &&Item| wanted.contains(&(item.kind, item.id.clone()));
        wanted.iter().any(|(kind, _)| !kind.is_on_disk())
            || on_disk.items.iter().filter(is_wanted).any(|item| item.built.is_some())
    };
    let survey = survey(&site, concerns_engine).await?;
    let found = survey.items.iter().filter(|item| wanted.contains(&(item.kind, item.id.clone())));
    let (free, held): (Vec<&Item>, Vec<&Item>) = found.partition(|item| obstacle(item).is_none());
    if free.is_empty() {
        let why = held.first().and_then(|item| obstacle(item));
        let words = why.map_or("It is not in the cache any more".to_owned(), str::to_owned);
        return Err(HttpError::refused(StatusCode::CONFLICT, "not-deletable", format!("{words}.")));
    }
    carry_out(&site, &survey, &free, (dry_run, at_once)).await
}

/// Removes `items` later or at once, or does not, and tells what becomes free.
async fn carry_out(
    site: &Site,
    survey: &Survey,
    items: &[&Item],
    (dry_run, at_once): (bool, bool),
) -> Result<Json<Value>, HttpError> {
    let bytes: u64 = items.iter().map(|item| item.bytes).sum();
    let mut freed = survey.freed(items);
    let mut pending = None;
    if at_once && !dry_run {
        freed = site.worker().remove_from_cache(&keys(items)).await?;
        site.news().cache_changed();
    } else if !dry_run && !items.is_empty() {
        pending = Some(removals::begin(site, keys(items)));
    }
    let (undo, until) = pending.map_or((None, None), |(undo, until)| (Some(undo), Some(until.0)));
    Ok(Json(json!({
        "items": items.len(),
        "bytes": bytes,
        "freed": { "disk": freed.disk, "engine": freed.engine, "certainty": freed.certainty.as_str() },
        "undo": undo,
        "until": until,
        "list": items.iter().take(MOST_ITEMS).map(|item| ItemOf::from(*item)).collect::<Vec<_>>(),
    })))
}

fn keys(items: &[&Item]) -> Vec<Key> {
    items.iter().map(|item| (item.kind, item.id.clone())).collect()
}

#[derive(Deserialize)]
struct Undo {
    undo: String,
}

async fn undo(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Undo { undo } = understood(&text)?;
    if !removals::undo(&site, &undo) {
        let words = "This was deleted for good already, or brought back.";
        return Err(HttpError::refused(StatusCode::CONFLICT, "too-late", words));
    }
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pruning {
    /// An age in milliseconds; none for everything.
    older_than: Option<u64>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    at_once: bool,
}

/// Removes what was not used for some time, all at once, or says what that would be.
async fn prune(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Pruning { older_than, dry_run, at_once } = understood(&text)?;
    let survey = survey(&site, |_| true).await?;
    let now = Time::now();
    let is_old = |item: &&Item| is_prunable(item, older_than, now);
    let going: Vec<_> = survey.items.iter().filter(is_old).collect();
    carry_out(&site, &survey, &going, (dry_run, at_once)).await
}

/// Caches of jobs go by name only: nobody knows when they were used, and without them jobs become slow.
fn is_prunable(item: &Item, older_than: Option<u64>, now: Time) -> bool {
    let age = item.used_at.map(|time| now.0.saturating_sub(time.0));
    let is_old = older_than.is_none_or(|least| age.is_none_or(|age| age >= least));
    is_old && item.kind != Kind::JobCache && obstacle(item).is_none()
}

#[derive(Deserialize)]
struct Pin {
    kind: String,
    id: String,
    on: bool,
}

/// Keeps something whatever the limit says, or not any more.
async fn pin(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Pin { kind, id, on } = understood(&text)?;
    let (kind, id) = Named { kind, id }.key()?;
    let pin = Change::Pin { kind: kind.as_str().to_owned(), id: id.clone(), is_on: on };
    site.store().commit(vec![pin]).await?;
    if let (Kind::Result, Ok(job)) = (kind, JobId::new(&id)) {
        site.worker().note_change(&job);
    }
    site.news().cache_changed();
    Ok(Json(json!({})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, used_at: u64) -> Item {
        Item { bytes: 1, used_at: Some(Time(used_at)), ..Item::new(kind, "a", "a") }
    }

    #[test]
    fn pruning_takes_what_is_old_and_free() {
        let now = Time(1000);
        let takes = |item: &Item| is_prunable(item, Some(100), now);
        assert!(takes(&item(Kind::Result, 900)) && !takes(&item(Kind::Result, 901)));
        assert!(is_prunable(&item(Kind::Blob, 999), None, now));
        assert!(!takes(&item(Kind::JobCache, 0)));
        assert!(!takes(&Item { is_pinned: true, ..item(Kind::Image, 0) }));
        assert!(!takes(&Item { obstacle: Some("in use"), ..item(Kind::Log, 0) }));
    }
}
