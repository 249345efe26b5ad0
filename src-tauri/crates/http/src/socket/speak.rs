//! What a client is told on its socket: workers, the queue as it changes, live lines, and answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deskgrid_job::{Job, JobId, Outlook, Phase, Time};
use deskgrid_wire::{WorkerDescription, server_message};
use deskgrid_worker::{Feed, Listing, News};
use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

use super::changes::{frames, is_shown};
use super::handshake::{self, Socket};
use super::live::{Live, TICK};
use super::{Goodbye, Reply};
use crate::Site;
use crate::jobs::view;
use crate::status;

/// A ping is sent this often, also between other messages: its answer shows that the client is there.
pub(super) const PING: Duration = Duration::from_secs(30);
/// A client that does not take a message within this is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

type Sink = SplitSink<Socket, Message>;

/// One client's mouthpiece.
pub(super) struct Speaker<'a> {
    site: Site,
    outlook: Outlook,
    sink: &'a mut Sink,
    news: broadcast::Receiver<News>,
    live: Live,
    /// The workers that the client was told of, once it was.
    workers: Option<Vec<WorkerDescription>>,
    /// Jobs that the client knows as running.
    running: HashSet<JobId>,
    /// Not before this lines are sent again.
    flush_at: Instant,
}

impl<'a> Speaker<'a> {
    pub(super) fn new(site: Site, outlook: Outlook, sink: &'a mut Sink) -> Self {
        let news = site.worker().news(&outlook);
        let (live, running) = (Live::default(), HashSet::new());
        Self { site, outlook, sink, news, live, workers: None, running, flush_at: Instant::now() }
    }

    /// Speaks until the client can no longer be reached.
    pub(super) async fn speak(mut self, asked: mpsc::Receiver<Reply>) -> Goodbye {
        // Only a client that is gone or does not listen ends this.
        let _ = self.go_on(asked).await;
        Goodbye::Gone
    }

    async fn go_on(&mut self, mut asked: mpsc::Receiver<Reply>) -> Result<(), Unreachable> {
        let (mut engine, mut offer) = (self.site.worker().engine(), self.site.worker().offer());
        self.send_workers().await?;
        let mut feed = self.site.worker().feed(&self.outlook);
        let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = pings.tick() => self.send(Message::Ping(Bytes::new())).await?,
                reply = asked.recv() => match reply {
                    Some(reply) => self.answer(reply, &mut feed).await?,
                    // The listener has ended, and says why.
                    None => std::future::pending().await,
                },
                listing = feed.next() => self.send_listing(listing).await?,
                () = tokio::time::sleep_until(self.flush_at), if self.live.is_waiting() => self.flush().await?,
                Ok(()) = engine.changed() => self.send_workers().await?,
                Ok(()) = offer.changed() => self.send_workers().await?,
                // Last, since a chatty job always has some.
                news = self.news.recv() => self.hear(news)?,
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Unreachable> {
        match tokio::time::timeout(PATIENCE, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Unreachable),
        }
    }

    async fn send_text(&mut self, text: String) -> Result<(), Unreachable> {
        self.send_pieces(&[text.into()]).await
    }

    /// Sends one text.
    async fn send_pieces(&mut self, pieces: &[Bytes]) -> Result<(), Unreachable> {
        for message in handshake::text(pieces) {
            self.send(message).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, reply: Reply, feed: &mut Feed) -> Result<(), Unreachable> {
        match reply {
            Reply::Frame(text) => self.send_text(text).await,
            Reply::Whole => {
                feed.ask_for_whole();
                Ok(())
            }
        }
    }

    /// Sends who runs jobs, unless the client knows: nobody, while there is no engine.
    async fn send_workers(&mut self) -> Result<(), Unreachable> {
        let is_ready = self.site.worker().engine().borrow().ready().is_some();
        let workers: Vec<_> = is_ready.then(|| status::worker(&self.site)).into_iter().collect();
        if !self.workers.as_ref().is_some_and(|known| is_same(known, &workers)) {
            self.send_text(server_message::workers(&workers)).await?;
            self.workers = Some(workers);
        }
        Ok(())
    }

    /// Lines go out before and after each frame of states: those of a job's run between its start and its end.
    async fn send_listing(&mut self, listing: Listing) -> Result<(), Unreachable> {
        match listing {
            Listing::Whole { version, jobs } => {
                // Before anything newer is heard: lines of jobs that came after this list was made are not to go.
                let is_live = |job: &&Arc<Job>| matches!(job.phase, Phase::Queued | Phase::Running);
                self.live.retain(&jobs.iter().filter(is_live).map(|job| &job.id).collect());
                self.flush().await?;
                let frame = self.whole(version, &jobs);
                let is_running = |job: &&Arc<Job>| job.phase == Phase::Running;
                let running = jobs.iter().filter(is_running).map(|job| job.id.clone()).collect();
                // A long list is not kept while a slow client reads it.
                drop(jobs);
                self.send_pieces(std::slice::from_ref(&*frame)).await?;
                self.running = running;
            }
            Listing::Changes(changes) => {
                for jobs in frames(changes) {
                    self.flush().await?;
                    let view = view(&self.site, &self.outlook);
                    let frame = server_message::job_state_updates(jobs.iter().map(Arc::as_ref), view);
                    self.send_text(frame).await?;
                    self.note(&jobs);
                }
            }
        }
        self.flush().await
    }

    /// The frame with the whole list, as all who read it at this version are sent it.
    fn whole(&self, version: u64, jobs: &[Arc<Job>]) -> Arc<Bytes> {
        self.site.whole_lists().frame(&self.outlook, version, || {
            let shown = jobs.iter().map(Arc::as_ref).filter(|job| is_shown(job.phase));
            server_message::job_states(shown, view(&self.site, &self.outlook))
        })
    }

    /// Notes what the client knows now.
    fn note(&mut self, jobs: &[Arc<Job>]) {
        for job in jobs {
            match job.phase {
                Phase::Running => {
                    self.running.insert(job.id.clone());
                }
                Phase::Queued => {
                    self.running.remove(&job.id);
                }
                Phase::Finished(_) | Phase::Removed => {
                    self.running.remove(&job.id);
                    self.live.forget(&job.id);
                }
            }
        }
    }

    fn hear(&mut self, news: Result<News, RecvError>) -> Result<(), Unreachable> {
        match news {
            Ok(News::Lines(lines)) => self.live.take(&lines),
            // States come by the feed, which misses none.
            Ok(News::State(_) | News::Pull(..)) => {}
            Err(RecvError::Lagged(_)) => self.live.missed_some(),
            Err(RecvError::Closed) => return Err(Unreachable),
        }
        Ok(())
    }

    /// Sends all lines that are there.
    async fn flush(&mut self) -> Result<(), Unreachable> {
        use broadcast::error::TryRecvError;
        loop {
            match self.news.try_recv() {
                Ok(news) => self.hear(Ok(news))?,
                Err(TryRecvError::Lagged(count)) => self.hear(Err(RecvError::Lagged(count)))?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        for frame in self.live.frames(&self.running) {
            self.send_pieces(&frame).await?;
        }
        self.flush_at = Instant::now() + TICK;
        Ok(())
    }
}

/// The client can no longer be reached, or the worker is gone.
struct Unreachable;

/// Whether nothing but the time differs.
fn is_same(known: &[WorkerDescription], now: &[WorkerDescription]) -> bool {
    let timeless = |worker: &WorkerDescription| WorkerDescription { time: Time(0), ..worker.clone() };
    known.iter().map(timeless).eq(now.iter().map(timeless))
}
