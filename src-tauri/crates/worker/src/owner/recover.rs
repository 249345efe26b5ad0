//! Containers of an earlier life of this program: those of running jobs are taken over, all others removed.
//!
//! Only containers with our own worker id are ever looked at.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deskgrid_docker::{Engine, OurContainer};
use deskgrid_fault::{Point, point};
use deskgrid_job::{JobId, WorkerId};

use super::Owner;
use crate::run::{Beginning, ID_LABEL, OURS_LABEL, RUN_LABEL};

/// Before each look.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(60)];
/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(2);

impl Owner {
    /// Looks for our containers whenever an engine comes, and again later: what an earlier life had asked for a moment
    /// before its end, the engine may come to after we have looked.
    pub(super) fn sweep(&mut self, engine: Engine) {
        let (found, worker) = (self.found_sender.clone(), self.kit.worker.clone());
        self.tasks.spawn(async move {
            for pause in PAUSES {
                tokio::time::sleep(pause).await;
                let Some(containers) = look(&engine, &worker).await else { return };
                if found.send(containers).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Takes over the containers of running jobs; removes those that belong to no run.
    pub(super) fn adopt(&mut self, containers: Vec<OurContainer>) {
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
                Some(container) => Beginning::TakeOver(container),
                None => Beginning::NothingLeft,
            };
            self.begin(&id, run, beginning);
        }
        let unknown =
            by_run.into_iter().filter(|(run, _)| !self.stops.contains_key(run)).map(|(_, stray)| stray);
        strays.extend(unknown);
        point(Point::RunsAdopted);
        self.remove(strays);
    }

    fn remove(&mut self, strays: Vec<OurContainer>) {
        let engine = self.engine.clone();
        self.tasks.spawn(async move {
            let Some(engine) = engine.borrow().ready().cloned() else { return };
            for stray in strays {
                tracing::info!(container = %stray.id, "removing a container of an earlier start");
                if let Err(error) = engine.remove(&stray.id).await {
                    tracing::warn!(container = %stray.id, %error, "could not remove it");
                }
            }
        });
    }
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
