//! Containers of an earlier life of this program: those of running jobs are taken over, all others removed. No job is
//! started in an engine before that is done once: one that was cancelled, or whose start came late, may run there still.
//!
//! Only containers with our own worker id are ever looked at.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deskgrid_docker::{Engine, OurContainer};
use deskgrid_fault::{Point, point};
use deskgrid_job::{JobId, WorkerId};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::oneshot;

use super::Owner;
use crate::run::{Beginning, ID_LABEL, OURS_LABEL, RUN_LABEL};

/// Before each look.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(60)];
/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(2);
/// How many containers are removed side by side.
const AT_ONCE: usize = 8;

/// What a sweep tells the owner.
pub(super) enum Sweep {
    /// The containers of this worker that this engine has. Those that belong to no run are asked back.
    Found(Engine, Vec<OurContainer>, oneshot::Sender<Vec<OurContainer>>),
    /// Those are removed.
    Done(Engine),
}

impl Owner {
    /// Looks for our containers whenever an engine comes, and again later: what an earlier life had asked for a moment
    /// before its end, the engine may come to after we have looked.
    pub(super) fn sweep(&mut self, engine: Engine) {
        let (owner, worker) = (self.sweep_sender.clone(), self.kit.worker.clone());
        self.tasks.spawn(async move {
            for pause in PAUSES {
                tokio::time::sleep(pause).await;
                let Some(containers) = look(&engine, &worker).await else { return };
                let (reply, strays) = oneshot::channel();
                if owner.send(Sweep::Found(engine.clone(), containers, reply)).await.is_err() {
                    return;
                }
                let Ok(strays) = strays.await else { return };
                remove(&engine, strays).await;
                if owner.send(Sweep::Done(engine.clone())).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Looks once more after a run that does not know what its engine made of its last call: there may be a container
    /// that nobody knows of. Another engine is swept anyway.
    pub(super) fn sweep_again(&mut self) {
        let engine = self.engine.borrow().ready().cloned();
        if let Some(engine) = engine {
            self.sweep(engine);
        }
    }

    /// Takes over the containers of running jobs that `engine` told of, and returns those that belong to no run.
    pub(super) fn adopt(&mut self, engine: &Engine, containers: Vec<OurContainer>) -> Vec<OurContainer> {
        let mut by_run: HashMap<(JobId, u32), OurContainer> = HashMap::new();
        let mut strays = Vec::new();
        for container in containers {
            match run_of(&container) {
                Some(run) => strays.extend(by_run.insert(run, container)),
                None if container.labels.contains_key(OURS_LABEL) => strays.push(container),
                // It has our label from an image that it was made of.
                None => {}
            }
        }
        let waiting: HashSet<_> = std::mem::take(&mut self.orphans);
        for (id, run) in waiting {
            let beginning = match by_run.remove(&(id.clone(), run)) {
                Some(container) => Beginning::TakeOver(engine.clone(), Box::new(container)),
                None => Beginning::NothingLeft,
            };
            self.begin(&id, run, beginning);
        }
        let unknown =
            by_run.into_iter().filter(|(run, _)| !self.stops.contains_key(run)).map(|(_, stray)| stray);
        strays.extend(unknown);
        point(Point::RunsAdopted);
        strays
    }
}

/// One that cannot be removed holds nobody up for longer than the call may take: an engine that hangs on a container
/// may do well with others.
async fn remove(engine: &Engine, strays: Vec<OurContainer>) {
    let removals = stream::iter(strays).map(|stray| async move {
        tracing::info!(container = %stray.id, "removing a container of an earlier start");
        if let Err(error) = engine.remove(&stray.id).await {
            tracing::warn!(container = %stray.id, %error, "could not remove it");
        }
    });
    removals.buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Our containers in this engine, as soon as it tells; none when its life is over first.
async fn look(engine: &Engine, worker: &WorkerId) -> Option<Vec<OurContainer>> {
    while !engine.is_over() {
        match engine.ours(worker.as_str()).await {
            Ok(containers) => return Some(containers),
            Err(error) => {
                tracing::warn!(%error, "could not look for containers of an earlier start; trying again");
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    None
}

fn run_of(container: &OurContainer) -> Option<(JobId, u32)> {
    let id = JobId::new(container.labels.get(ID_LABEL)?).ok()?;
    Some((id, container.labels.get(RUN_LABEL)?.parse().ok()?))
}
