//! One job as Server-Sent Events: what is known is replayed, then news are pushed as they come, until the job is over.
//!
//! News only say that something happened; lines are always read from the log by their place in it. So a slow
//! client loses nothing and costs no memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use deskgrid_job::{Caller, Job, JobId, Outlook, Phase, Reason};
use deskgrid_store::{LogKind, Most, Place};
use deskgrid_wire::{answer, definition};
use deskgrid_worker::{News, PullProgress};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use crate::Site;
use crate::body::understand;
use crate::error::HttpError;
use crate::jobs::known;
use crate::names::{Named, Seen};

/// A comment is sent when nothing else was for so long, so that nobody takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// New lines are read at most this often.
const PAUSE: Duration = Duration::from_millis(50);
/// And so many times longer than a read takes, so that a slow disk is left to those who write.
const REST: u32 = 4;
/// What one event carries at most: a client that reads slowly makes us hold it.
const MOST: Most = Most { lines: 5_000, bytes: 512 * 1024 };

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/j/{id}/stream", get(follow)).route("/q/{queue}/j/{id}/stream", get(follow))
}

#[derive(Deserialize)]
struct Wishes {
    /// `1` for the event `progress`, an extension of ours.
    progress: Option<String>,
}

async fn follow(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
    query: Result<Query<Wishes>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    let query = query.map_err(|error| HttpError::bad("bad-query", error.body_text()))?;
    let wants_progress = query.0.progress.is_some_and(|wish| wish != "0");
    let follower = Follower::start(site, &outlook, &id, wants_progress).await?;
    let events = futures_util::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One client's place in the story of one job.
struct Follower {
    site: Site,
    /// Who follows.
    caller: Caller,
    job: Arc<Job>,
    news: broadcast::Receiver<News>,
    /// The image's name, when the client wants to hear of its pull.
    image: Option<String>,
    ready: VecDeque<Event>,
    /// The state that was told last.
    told: Option<Phase>,
    build: Cursor,
    run: Cursor,
    /// Whether the logs may have lines that were not sent.
    is_behind: bool,
    /// Not before this the logs are read again, unless the job is over.
    read_at: Instant,
    is_over: bool,
}

/// How far one log was sent.
struct Cursor {
    kind: LogKind,
    event: &'static str,
    place: Place,
}

impl Follower {
    async fn start(
        site: Site,
        outlook: &Outlook,
        id: &JobId,
        wants_progress: bool,
    ) -> Result<Self, HttpError> {
        let caller = outlook.caller.clone();
        let job = known(&site, id).await?;
        // Whoever knows the id may follow the job, also where it is not listed for him.
        let outlooks = job.outlooks();
        let outlook = if outlooks.contains(outlook) { outlook } else { outlooks.first().unwrap_or(outlook) };
        let news = site.worker().news(outlook);
        // Once more: what happened before we listened is no news.
        let job = known(&site, id).await?;
        let image = if wants_progress { image_of(&site, id).await? } else { None };
        let cursor = |kind, event| Cursor { kind, event, place: Place::default() };
        Ok(Self {
            site,
            caller,
            job,
            news,
            image,
            ready: VecDeque::new(),
            told: None,
            build: cursor(LogKind::Build, "build-log"),
            run: cursor(LogKind::Run, "run-log"),
            is_behind: true,
            read_at: Instant::now(),
            is_over: false,
        })
    }

    /// The next event; none after the last one.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.advance().await {
                tracing::warn!(job = %self.job.id, "a stream of events ends early: {error}");
                return None;
            }
        }
    }

    /// Does what comes next: tells a state, reads lines, or waits. The end is told after the last line.
    async fn advance(&mut self) -> Result<(), HttpError> {
        let end = match self.job.phase {
            Phase::Finished(reason) => Some(reason),
            Phase::Removed => Some(Reason::Deleted),
            Phase::Queued | Phase::Running => None,
        };
        if end.is_none() && self.told != Some(self.job.phase) {
            self.tell(self.job.phase);
        } else if self.is_behind && (end.is_some() || Instant::now() >= self.read_at) {
            self.read().await?;
        } else if let Some(reason) = end {
            self.tell(Phase::Finished(reason));
            self.ready.push_back(Event::default().event("final").data(answer::stream_final(reason)));
            self.is_over = true;
        } else {
            self.wait().await?;
        }
        Ok(())
    }

    fn tell(&mut self, phase: Phase) {
        self.told = Some(phase);
        self.ready.push_back(Event::default().event("state").data(answer::stream_state(phase)));
    }

    async fn read(&mut self) -> Result<(), HttpError> {
        let began = Instant::now();
        self.is_behind = false;
        for cursor in [&mut self.build, &mut self.run] {
            let logs = self.site.store().logs();
            let (slice, place) = logs.read_on(&self.job.id, cursor.kind, cursor.place, MOST).await?;
            // A log that is shorter than what was sent of it belongs to a new run.
            let is_new = place.line() < cursor.place.line();
            self.is_behind |= slice.more || is_new;
            cursor.place = if is_new { Place::default() } else { place };
            if !slice.lines.is_empty() {
                let data = answer::stream_lines(&slice.lines, slice.next);
                self.ready.push_back(Event::default().event(cursor.event).data(data));
            }
        }
        if !self.is_behind {
            self.read_at = Instant::now() + PAUSE.max(began.elapsed() * REST);
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), HttpError> {
        let (ending, invitations) = (self.site.ending().clone(), self.site.invitations().clone());
        let caller = self.caller.clone();
        tokio::select! {
            news = self.news.recv() => self.hear(news).await,
            () = tokio::time::sleep_until(self.read_at), if self.is_behind => Ok(()),
            () = async { tokio::select! {
                () = ending.cancelled() => {}
                () = invitations.withdrawn(&caller) => {}
            } } => {
                self.is_over = true;
                Ok(())
            }
        }
    }

    async fn hear(&mut self, news: Result<News, RecvError>) -> Result<(), HttpError> {
        match news {
            Ok(News::State(job)) if job.id == self.job.id => self.take(job),
            Ok(News::Lines(lines)) if lines.id == self.job.id => self.is_behind = true,
            Ok(News::Pull(id, progress)) if id == self.job.id => self.tell_progress(&progress),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => {
                self.is_behind = true;
                match self.site.worker().job(&self.job.id).await? {
                    Some(job) => self.take(job),
                    None => self.job = Arc::new(Job { phase: Phase::Removed, ..Job::clone(&self.job) }),
                }
            }
            Err(RecvError::Closed) => self.is_over = true,
        }
        Ok(())
    }

    fn take(&mut self, job: Arc<Job>) {
        if job.run != self.job.run {
            self.build.place = Place::default();
            self.run.place = Place::default();
        }
        self.is_behind = true;
        self.job = job;
    }

    fn tell_progress(&mut self, progress: &PullProgress) {
        if let Some(image) = &self.image {
            let data = progress_data(image, progress);
            self.ready.push_back(Event::default().event("progress").data(data));
        }
    }
}

/// The data of the event `progress`: all bytes, and the layer that moved.
fn progress_data(image: &str, progress: &PullProgress) -> String {
    let status = status_in(&progress.line);
    let layers = progress
        .layer
        .iter()
        .map(|layer| json!({ "id": layer.id, "status": status, "done": layer.done, "total": layer.total }));
    let layers: Vec<_> = layers.collect();
    json!({ "image": image, "layers": layers, "done": progress.done, "total": progress.total }).to_string()
}

async fn image_of(site: &Site, id: &JobId) -> Result<Option<String>, HttpError> {
    let Some(text) = site.store().definition(id).await? else { return Ok(None) };
    let image = understand(text, |text| definition::parse(&serde_json::from_str(text).ok()?).ok());
    Ok(image.await?.map(|definition| definition.image.image().to_owned()))
}

/// What happens to the layer, in a line such as `3153aa388d02: Downloading [==>   ] 1MB/2MB`.
fn status_in(line: &str) -> &str {
    let rest = line.split_once(": ").map_or(line, |(_, rest)| rest);
    rest.split(" [").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layers_status_is_taken_from_its_line() {
        assert_eq!(status_in("3153aa388d02: Downloading [==> ] 1MB/2MB"), "Downloading");
        assert_eq!(status_in("3153aa388d02: Pull complete"), "Pull complete");
        assert_eq!(status_in("Pulling"), "Pulling");
    }

    #[test]
    fn progress_tells_the_image_and_all_bytes() {
        let progress =
            PullProgress { line: "Pulling".into(), layer: None, done: 3, total: 4, layers: (0, 1) };
        let wanted = r#"{"image":"busybox","layers":[],"done":3,"total":4}"#;
        assert_eq!(progress_data("busybox", &progress), wanted);
    }
}
