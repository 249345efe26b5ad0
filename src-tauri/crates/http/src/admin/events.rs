//! What changes, pushed to window, tray and dashboard as it happens: `GET /api/events`.
//!
//! A reader holds version numbers and no backlog. However slow it is, it is next told how things are then; when it
//! missed more jobs than are remembered it is told to fetch the list again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use deskgrid_job::JobId;
use deskgrid_worker::{ChangedJobs, EngineState, Offer};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::premises::DoorState;
use super::row::{LiveOf, Moment, Waiting};
use crate::Site;
use crate::access::Administrator;
use crate::error::HttpError;
use crate::serve::ThroughLocalDoor;

/// Events reach one reader at most this often.
const TICK: Duration = Duration::from_millis(100);
/// A comment is sent when nothing else was for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// With more changes than this the whole list is shorter.
const MOST_ROWS: usize = 1000;
/// Of so many jobs at the head of the line, readers are told how their place and their reason to wait change.
const HEAD: usize = 50;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/events", get(follow))
}

async fn follow(
    _: Administrator,
    State(site): State<Site>,
    is_local: Option<Extension<ThroughLocalDoor>>,
) -> Response {
    let events = futures_util::stream::unfold(Reader::start(site), |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let events = Sse::new(events);
    // A local door that breaks tells both sides, and what is idle shall sleep.
    match is_local {
        Some(_) => events.into_response(),
        None => events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response(),
    }
}

/// One reader's place.
struct Reader {
    site: Site,
    ready: VecDeque<Event>,
    told_at: Option<Instant>,
    jobs: ChangedJobs,
    /// What the head of the line was last said to wait for.
    head: HashMap<JobId, Waiting>,
    live: watch::Receiver<u64>,
    live_seen: u64,
    situation: watch::Receiver<deskgrid_job::queue::Situation>,
    /// The desk as it was last told.
    desk: Value,
    around: Around,
    sites: watch::Receiver<()>,
    settings: watch::Receiver<()>,
    cache: watch::Receiver<u64>,
    kept: watch::Receiver<u64>,
}

impl Reader {
    fn start(site: Site) -> Self {
        let worker = site.worker();
        let mut reader = Self {
            ready: VecDeque::new(),
            told_at: None,
            jobs: worker.changes(),
            head: Moment::of(&site).head(HEAD),
            live: worker.live_changes(),
            live_seen: 0,
            situation: worker.situation(),
            desk: Value::Null,
            around: Around::of(&site),
            sites: site.invitations().changes(),
            settings: site.books().changed(),
            cache: site.news().cache(),
            kept: worker.cache_changes(),
            site,
        };
        reader.tell_desk();
        // Runs that go on are told of at once.
        reader.live.mark_changed();
        reader
    }

    fn tell(&mut self, name: &str, data: Option<&Value>) {
        self.ready.extend(data.map(|data| Event::default().event(name).data(data.to_string())));
    }

    /// Tells of the desk where it differs from what was told before.
    fn tell_desk(&mut self) {
        let desk = super::desk::state(&self.site);
        if desk != self.desk {
            self.tell("desk", Some(&desk));
            self.desk = desk;
        }
    }

    /// The next event; none when the server ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let ending = self.site.ending().clone();
            tokio::select! {
                () = ending.cancelled() => return None,
                () = self.wait() => {}
            }
            self.told_at = Some(Instant::now());
            if let Err(error) = self.gather().await {
                tracing::warn!("the administration's events end early: {error}");
                return None;
            }
        }
    }

    /// Waits until something changed, and no less than a tick since the last events.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.jobs.changed() => {}
            () = changed(&mut self.live) => self.live.mark_changed(),
            () = changed(&mut self.situation) => self.situation.mark_changed(),
            () = self.around.changed() => {}
            () = changed(&mut self.sites) => self.sites.mark_changed(),
            () = changed(&mut self.settings) => self.settings.mark_changed(),
            () = changed(&mut self.cache) => self.cache.mark_changed(),
            () = changed(&mut self.kept) => self.kept.mark_changed(),
        }
        if let Some(told) = self.told_at {
            tokio::time::sleep_until(told + TICK).await;
        }
    }

    /// Makes events of all that changed.
    async fn gather(&mut self) -> Result<(), HttpError> {
        self.tell_desk();
        self.gather_jobs().await?;
        if is_news(&mut self.live) {
            self.gather_live();
        }
        // Both count as seen, whichever it was.
        let (was_told, was_kept) = (is_news(&mut self.cache), is_news(&mut self.kept));
        for (name, is_news) in [
            ("sites", is_news(&mut self.sites)),
            ("cache", was_told || was_kept),
            ("settings", is_news(&mut self.settings)),
        ] {
            self.tell(name, is_news.then(|| json!({})).as_ref());
        }
        Ok(())
    }

    async fn gather_jobs(&mut self) -> Result<(), HttpError> {
        let situation_changed = is_news(&mut self.situation);
        let changed = self.jobs.take().filter(|changed| changed.len() <= MOST_ROWS);
        let Some(mut changed) = changed else {
            self.head = Moment::of(&self.site).head(HEAD);
            self.tell("jobs", Some(&json!({ "whole": true })));
            return Ok(());
        };
        if changed.is_empty() && !situation_changed {
            return Ok(());
        }
        let moment = Moment::of(&self.site);
        let head = moment.head(HEAD);
        let moved = head.iter().filter(|(id, waiting)| self.head.get(*id) != Some(*waiting));
        changed.extend(moved.map(|(id, _)| id.clone()));
        self.head = head;
        if changed.is_empty() {
            return Ok(());
        }
        self.tell_rows(&moment, changed).await
    }

    async fn tell_rows(&mut self, moment: &Moment, changed: HashSet<JobId>) -> Result<(), HttpError> {
        let mut found = self.site.store().synopses(changed.iter().cloned().collect()).await?;
        let hidden = self.site.removals().hidden_jobs();
        found.retain(|job| hidden.get(&job.id) != Some(&job.queued_at));
        let mut gone = changed;
        for job in &found {
            gone.remove(&job.id);
        }
        let rows: Vec<_> = found.into_iter().map(|job| moment.row(job)).collect();
        let gone: Vec<_> = gone.iter().map(JobId::as_str).collect();
        self.tell("jobs", Some(&json!({ "changed": rows, "gone": gone })));
        Ok(())
    }

    fn gather_live(&mut self) {
        let (changed, seen) = self.site.worker().live_since(self.live_seen);
        self.live_seen = seen;
        let live = changed.into_iter().filter_map(|(id, live)| Some((id.to_string(), LiveOf::new(live)?)));
        let live: HashMap<_, _> = live.collect();
        if !live.is_empty() {
            self.tell("live", Some(&json!(live)));
        }
    }
}

/// What else the desk's state hangs on, beside jobs and sites.
struct Around {
    doors: watch::Receiver<DoorState>,
    engine: watch::Receiver<EngineState>,
    offer: watch::Receiver<Offer>,
    shell: watch::Receiver<u64>,
    damage: watch::Receiver<u64>,
    quitting: Option<watch::Receiver<bool>>,
}

impl Around {
    fn of(site: &Site) -> Self {
        let worker = site.worker();
        let (doors, shell) = (site.premises().changed(), site.news().shell());
        let (damage, quitting) = (site.store().damage(), site.shell().map(|shell| shell.quitting()));
        Self { doors, engine: worker.engine(), offer: worker.offer(), shell, damage, quitting }
    }

    async fn changed(&mut self) {
        tokio::select! {
            () = changed(&mut self.doors) => {}
            () = changed(&mut self.engine) => {}
            () = changed(&mut self.offer) => {}
            () = changed(&mut self.shell) => {}
            () = changed(&mut self.damage) => {}
            () = changed_if_there(&mut self.quitting) => {}
        }
    }
}

/// Waits for news. A source that has ended has none any more.
async fn changed<T>(source: &mut watch::Receiver<T>) {
    if source.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn changed_if_there<T>(source: &mut Option<watch::Receiver<T>>) {
    match source {
        Some(source) => changed(source).await,
        None => std::future::pending().await,
    }
}

/// Whether there is something new, which then counts as seen.
fn is_news<T>(source: &mut watch::Receiver<T>) -> bool {
    let is_news = source.has_changed().unwrap_or(false);
    source.mark_unchanged();
    is_news
}
