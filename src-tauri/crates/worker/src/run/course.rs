//! The steps of a run in their order, and what it holds in its hands between them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deskgrid_docker::{
    ContainerId, Delivery, Engine, EngineError, Exit, Image, ImageProblem, OurContainer, Start,
};
use deskgrid_fault::{Point, point};
use deskgrid_job::{
    BlobHash, Definition, Failure, FailureCode, FilePath, LogLine, RunResult, StageName, Time,
};
use deskgrid_outputs::Outputs;
use deskgrid_outputs::archive::ArchiveError;
use deskgrid_store::Scratch;
use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::container::{self, Bounds, Purpose};
use super::counter::Counter;
use super::emulation::Emulation;
use super::follow::{self, Over};
use super::inputs::{self, Files};
use super::journal::{self, Journal};
use super::run_time::{self, Note, RunTime};
use super::{Interruption, Run, disk, image, line, outputs};
use crate::{cache, owner};

/// Noted before a container is started. It tells no time: the start itself takes some, which is not the job's.
const ABOUT_TO_RUN: &str = "about to run";
/// The exit code of a container whose main process was killed outright.
const KILLED: i64 = 137;

/// A run on its way.
pub(super) struct Course<'a> {
    run: &'a Run,
    container: Option<ContainerId>,
    scratch: Option<Scratch>,
    inputs: BTreeMap<FilePath, BlobHash>,
    /// The limit of the container's memory in bytes, as far as we know.
    memory: Option<u64>,
    /// The image that it has in the engine.
    image: Option<String>,
    /// Where that is made for another kind of computer.
    emulation: Option<Emulation>,
}

impl<'a> Course<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let inputs = BTreeMap::new();
        Self { run, container: None, scratch: None, inputs, memory: None, image: None, emulation: None }
    }

    /// From the definition to the result.
    pub(super) async fn start_afresh(&mut self) -> Result<RunResult, Interruption> {
        let run = self.run;
        journal::clear(run).await?;
        let definition = self.definition().await?;
        let limit = self.time_limit(&definition);
        let mut engine = run.engine()?;
        let gather = async {
            let files = inputs::gather(run, definition.clone()).await?;
            inputs::note_downloads(run, &definition, &files).await?;
            Ok::<_, Interruption>(files)
        };
        let image = async {
            let image = image::have(run, &engine, &definition.image).await?;
            let emulation = Emulation::of(&engine, &image);
            if let Some(emulation) = &emulation {
                emulation.warn(run).await?;
            }
            Ok((image, emulation))
        };
        self.image = Some(definition.image.image().to_owned());
        // Together they are larger than all that follows, and gone by then.
        let image = Box::pin(during(run, StageName::Image, image));
        let gather = Box::pin(during(run, StageName::Inputs, gather));
        let ((image, emulation), files) = run.unless_stopped(try_join(image, gather)).await?;
        point(Point::InputsGathered);
        self.emulation = emulation;
        self.inputs = inputs::blobs(&files);
        run.pulse.enter(StageName::Create);
        let container = self.create(&engine, &definition, &image, files).await?;
        let output = engine.attach(&container).await?;
        self.note_begin().await?;
        let output = match engine.start(&container).await? {
            Start::AtOnce => Some(output),
            Start::Again => None,
        };
        let mut time = RunTime::from(Duration::ZERO, Some(limit), self.scratch.clone());
        run.pulse.leave(StageName::Create);
        run.pulse.enter(StageName::Run);
        let end = follow::follow(run, &mut engine, &container, output, &mut time).await?;
        self.finish(engine, &container, end, time.read()).await
    }

    /// From a container that an earlier life of this program made.
    pub(super) async fn take_over(&mut self, found: OurContainer) -> Result<RunResult, Interruption> {
        let run = self.run;
        let mut engine = run.engine()?;
        let container = found.id.clone();
        self.container = Some(container.clone());
        self.scratch = Some(run.kit.store.scratch(&run.id, run.number).map_err(disk)?);
        let Some(started_at) = found.started_at else { return Err(Interruption::NotBegun) };
        if !found.running && found.was_taken_down(engine.began_at().await?) {
            return Err(Interruption::ContainerLost);
        }
        let note = self.note().await;
        let (noted, ran) = note.unwrap_or_else(|| (Duration::ZERO, Time::now().since(started_at)));
        let by_wall = found.finished_at.map(|ended_at| ended_at.since(started_at));
        let ran = if found.running { ran } else { run_time::of_ended(by_wall, noted, ran) };
        run.pulse.take_up(ran);
        let definition = self.definition().await?;
        self.image = Some(definition.image.image().to_owned());
        // One that has ended meanwhile has ended in time, as nobody was there to stop it; unless an earlier life had
        // stopped it at its limit and could not say so any more.
        let may_be_up = found.exit.as_ref().is_none_or(|exit| exit.code == KILLED && !exit.oom_killed);
        let limit = may_be_up.then(|| self.time_limit(&definition));
        let mut time = RunTime::from(ran, limit, self.scratch.clone());
        let end = follow::follow(run, &mut engine, &container, None, &mut time).await?;
        let duration = if found.running { time.read() } else { ran };
        self.finish(engine, &container, end, duration).await
    }

    /// What became of a run whose container is not there: whether it was lost, or had not begun.
    pub(super) async fn look_back(&mut self) -> Result<RunResult, Interruption> {
        self.scratch = Some(self.run.kit.store.scratch(&self.run.id, self.run.number).map_err(disk)?);
        let scratch = self.scratch.clone();
        let noted = tokio::task::spawn_blocking(move || scratch.and_then(|scratch| scratch.noted()));
        let had_begun = noted.await.ok().flatten().is_some();
        Err(if had_begun { Interruption::ContainerLost } else { Interruption::NotBegun })
    }

    /// Notes that the container is about to run. Where there is no such note, no run was lost.
    async fn note_begin(&self) -> Result<(), Interruption> {
        let Some(scratch) = self.scratch.clone() else { return Ok(()) };
        let write = move || scratch.note(ABOUT_TO_RUN);
        tokio::task::spawn_blocking(write).await.map_err(disk)?.map_err(disk)
    }

    /// How long the container had run when an earlier life noted it, and how long it has now if it still does.
    async fn note(&self) -> Option<(Duration, Duration)> {
        let scratch = self.scratch.clone()?;
        let read = move || Note::of(&scratch).map(|note| (note.ran(), note.ran_until_now()));
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    async fn definition(&self) -> Result<Definition, Interruption> {
        let text = self.run.kit.store.definition(&self.run.id).await.map_err(disk)?;
        let text = text.ok_or_else(|| disk("The definition of the job is missing from the database."))?;
        let mut definition = (self.run.kit.read_definition)(&text)
            .map_err(|why| Failure::new(FailureCode::BadDefinition, why))?;
        self.run.kit.secret_contexts.put_back(&self.run.id, &mut definition);
        Ok(definition)
    }

    /// The smaller of what the job asks for and what we allow (protocol section 2, `maxDuration`).
    fn time_limit(&self, definition: &Definition) -> Duration {
        let most = self.run.kit.limits.borrow().max_duration;
        definition.max_duration.map_or(most, |wanted| wanted.min(most))
    }

    /// Says what else there is to say about why the run does not go on.
    pub(super) fn explain(&self, interruption: Interruption) -> Interruption {
        match &self.emulation {
            Some(emulation) => emulation.explain(interruption),
            None => interruption,
        }
    }

    /// The name of the image that the run had.
    pub(super) fn image(&self) -> Option<String> {
        self.image.clone()
    }

    /// Creates the container with its files in place. Once begun it is not left half-way, so that no container
    /// stays behind that nobody knows of.
    async fn create(
        &mut self,
        engine: &Engine,
        definition: &Definition,
        image: &Image,
        files: Files,
    ) -> Result<ContainerId, Interruption> {
        let run = self.run;
        let (store, id, number, delivery) =
            (run.kit.store.clone(), run.id.clone(), run.number, engine.delivery());
        let placed = tokio::task::spawn_blocking(move || {
            let scratch = store.scratch(&id, number).map_err(disk)?;
            let placement = inputs::place(files, delivery, &scratch)?;
            Ok::<_, Interruption>((scratch, placement))
        });
        let (scratch, placement) = placed.await.map_err(disk)??;
        point(Point::InputsPlaced);
        self.scratch = Some(scratch);
        let base_url = run.kit.base_url.borrow().clone();
        let purpose = Purpose {
            id: &run.id,
            run: run.number,
            queue: run.queue.as_ref(),
            worker: &run.kit.worker,
            base_url: &base_url,
        };
        let spec = container::spec(&purpose, definition, image, &self.bounds(), placement.binds);
        self.memory = spec.memory;
        run.pulse.limit(spec.memory);
        let container = match engine.create(&spec).await {
            // Somebody removed it since it was found. Once is bad luck, twice is somebody's wish.
            Err(EngineError::Image { problem: ImageProblem::NotFound, .. }) => {
                run.unless_stopped(image::have(run, engine, &definition.image)).await?;
                engine.create(&spec).await?
            }
            created => created?,
        };
        self.container = Some(container.clone());
        if run.stop.is_asked() {
            return Err(Interruption::Stopped);
        }
        if let Some(shipment) = placement.shipment {
            run.unless_stopped(engine.upload(&container, "/", shipment.pack())).await?;
        }
        Ok(container)
    }

    fn bounds(&self) -> Bounds<'a> {
        let run = self.run;
        let offer = owner::offer(&run.kit.limits.borrow(), &run.kit.engine.borrow());
        Bounds {
            allotment: &run.allotment,
            memory: Some(offer.capacity.memory).filter(|bytes| *bytes < u64::MAX),
            permits: run.permits(),
        }
    }

    /// Turns the end of a container into the job's result.
    async fn finish(
        &self,
        engine: Engine,
        container: &ContainerId,
        (over, journal): (Over, Journal<'_>),
        duration: Duration,
    ) -> Result<RunResult, Interruption> {
        let mut result = RunResult { duration: Some(duration), ..RunResult::default() };
        self.run.pulse.leave(StageName::Run);
        match over {
            Over::TimeUp => {
                result.timed_out = true;
                let words = format!(
                    "Deskgrid stopped the container at its time limit, after {} s.",
                    duration.as_secs()
                );
                result.notes.push(line(words, true));
                result.notes.extend(journal.cut().map(|words| line(words, true)));
                journal.sync().await?;
            }
            Over::Exited(Exit { never_began: Some(why), .. }) => {
                // What the engine's first process said of it is not the job's own output.
                journal.discard().await?;
                return Err((*why).into());
            }
            Over::Exited(exit) => {
                result.notes.extend(journal.cut().map(|words| line(words, true)));
                result.exit_code = Some(exit.code);
                result.notes.extend(self.out_of_memory(&exit));
                let collect = during(self.run, StageName::Collect, self.collect(engine, container));
                let (outputs, ()) = try_join(collect, journal.sync()).await?;
                result.outputs = outputs.files;
                result.notes.extend(outputs.remarks.into_iter().map(|remark| line(remark, true)));
            }
        }
        Ok(result)
    }

    fn out_of_memory(&self, exit: &Exit) -> Option<LogLine> {
        (exit.code == KILLED && exit.oom_killed).then(|| {
            let asked = Some(self.run.allotment.needs.memory).filter(|bytes| *bytes > 0);
            let limit = match asked.or(self.memory) {
                None => "this computer had no more to give".to_owned(),
                Some(bytes) => format!("its limit was {} MiB", bytes / (1 << 20)),
            };
            let words = format!(
                "The container ran out of memory and was killed (exit code 137): {limit}. \
                 Ask for more with requirements.memory, or process less at a time."
            );
            line(words, true)
        })
    }

    /// Stores what is in `/outputs`. An engine that goes away meanwhile is waited for: the files stay in the container.
    async fn collect(&self, mut engine: Engine, container: &ContainerId) -> Result<Outputs, Interruption> {
        loop {
            let collected = match (engine.delivery(), &self.scratch) {
                (Delivery::Bind, Some(scratch)) => self.collect_folder(scratch).await,
                _ => self.collect_archive(&engine, container).await,
            };
            match collected {
                Err(Interruption::EngineLost) => engine = follow::engine_again(self.run).await?,
                collected => return collected,
            }
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

    /// Ends the container of a run that has no result, so that what it took is free when the run is reported over.
    pub(super) async fn stop_container(&self) {
        if let (Some(container), Ok(engine)) = (&self.container, self.run.engine())
            && let Err(error) = engine.kill(container).await
        {
            tracing::warn!(job = %self.run.id, %error, "could not stop the container; the next sweep removes it");
        }
    }

    /// The stored files among the inputs.
    pub(super) fn take_inputs(&mut self) -> BTreeMap<FilePath, BlobHash> {
        std::mem::take(&mut self.inputs)
    }

    /// Removes the container and the scratch folder. What cannot be removed now is swept later.
    pub(super) async fn clear_up(self) {
        if let (Some(container), Ok(engine)) = (&self.container, self.run.engine())
            && let Err(error) = engine.remove(container).await
        {
            tracing::warn!(job = %self.run.id, %error, "could not remove the container; the next sweep does");
        }
        if let Some(image) = self.image {
            // Where the job was deleted meanwhile, its container was in the way until now.
            cache::remove_if_deleted(&self.run.kit, &self.run.id, image).await;
        }
        let Some(scratch) = self.scratch else { return };
        if let Err(error) = scratch.remove().await {
            tracing::warn!(job = %self.run.id, %error, "could not remove the scratch folder");
        }
    }
}

/// Shows `stage` while `work` goes on.
async fn during<T>(run: &Run, stage: StageName, work: impl Future<Output = T>) -> T {
    run.pulse.enter(stage);
    let done = work.await;
    run.pulse.leave(stage);
    done
}
