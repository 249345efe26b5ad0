//! Stores what a container that has ended left in `/outputs`, by the way that files travel in its engine.

use std::sync::{Arc, OnceLock};

use deskgrid_docker::{ContainerId, Delivery, Engine, EngineError};
use deskgrid_fault::{Point, point};
use deskgrid_job::{Failure, FailureCode};
use deskgrid_outputs::Outputs;
use deskgrid_outputs::archive::ArchiveError;
use deskgrid_store::Scratch;
use futures_util::TryStreamExt as _;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::Course;
use crate::run::counter::Counter;
use crate::run::follow::Persistence;
use crate::run::{Interruption, disk, outputs};

impl Course<'_> {
    /// Stores what is in `/outputs`.
    pub(super) async fn collect(
        &self,
        mut engine: Engine,
        container: &ContainerId,
    ) -> Result<Outputs, Interruption> {
        let mut persistence = Persistence::new(self.run);
        loop {
            let collected = match (engine.delivery(), &self.scratch) {
                (Delivery::Bind, Some(scratch)) => self.collect_folder(scratch).await,
                _ => self.collect_archive(&engine, container).await,
            };
            match collected {
                Ok(outputs) => {
                    self.spared.add(outputs.files.values().map(|file| file.hash));
                    return Ok(outputs);
                }
                Err(interruption) => {
                    engine = self.until_possible(engine, interruption, &mut persistence).await?;
                }
            }
        }
    }

    /// Waits until what a container left can be kept, where only an engine that went away is in the way, or a disk that
    /// may only be read: all of it stays where it is.
    pub(super) async fn until_possible(
        &self,
        engine: Engine,
        interruption: Interruption,
        persistence: &mut Persistence<'_>,
    ) -> Result<Engine, Interruption> {
        match interruption {
            Interruption::EngineLost => persistence.engine_after(&engine).await,
            Interruption::Failed(failure) if failure.code == FailureCode::DiskReadOnly => {
                persistence.disk_after(failure).await?;
                Ok(engine)
            }
            other => Err(other),
        }
    }

    async fn collect_folder(&self, scratch: &Scratch) -> Result<Outputs, Interruption> {
        let (store, folder) = (self.run.kit.store.clone(), scratch.outputs());
        let counter = Counter::default();
        let count = counter.clone();
        let collected = tokio::task::spawn_blocking(move || {
            let mut batch = store.blobs().batch();
            let tree = outputs::of_folder(&folder, &mut batch, &count)?;
            point(Point::OutputsHashed);
            batch.commit()?;
            point(Point::OutputsStored);
            Ok::<_, deskgrid_store::StoreError>(tree.into_outputs())
        });
        counter.shown(&self.run.pulse, collected).await.map_err(disk)?.map_err(disk)
    }

    async fn collect_archive(
        &self,
        engine: &Engine,
        container: &ContainerId,
    ) -> Result<Outputs, Interruption> {
        // The reader of the archive sees a broken stream only; what the engine said is kept beside it.
        let problem = Arc::new(OnceLock::new());
        let noted = problem.clone();
        let download = engine.download(container, "/outputs").map_err(move |error| {
            let _ = noted.set(error.clone());
            std::io::Error::other(error)
        });
        let reader = SyncIoBridge::new(StreamReader::new(download));
        let store = self.run.kit.store.clone();
        let counter = Counter::default();
        let count = counter.clone();
        let collected = tokio::task::spawn_blocking(move || {
            let mut batch = store.blobs().batch();
            let tree = outputs::of_archive(reader, &mut batch, &count)?;
            batch.commit().map_err(ArchiveError::NotKept)?;
            Ok::<_, ArchiveError<deskgrid_store::StoreError>>(tree.into_outputs())
        });
        let collected = counter.shown(&self.run.pulse, collected).await.map_err(disk)?;
        match (collected, problem.get()) {
            // The job removed the folder.
            (_, Some(EngineError::NoSuchFile { .. })) => Ok(Outputs::default()),
            (_, Some(error)) => Err(error.clone().into()),
            (Ok(outputs), None) => Ok(outputs),
            (Err(ArchiveError::NotKept(error)), None) => Err(disk(error)),
            (Err(ArchiveError::Broken(error)), None) => {
                let words =
                    format!("The outputs could not be fetched from the engine: {error}. Run the job again.");
                Err(Failure::new(FailureCode::EngineRefused, words).into())
            }
        }
    }
}
