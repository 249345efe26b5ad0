//! The steps of a run in their order, and what it holds in its hands between them.

mod collect;
mod ending;
mod finish;

use std::collections::BTreeMap;
use std::time::Duration;

use deskgrid_docker::{ContainerId, Engine, EngineError, Image, ImageProblem, OurContainer, Start};
use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, Definition, Failure, FailureCode, FilePath, RunResult, StageName, Time};
use deskgrid_store::{Scratch, UsedImage};
use futures_util::future::try_join;

use super::container::{self, Bounds, Purpose};
use super::emulation::Emulation;
use super::follow::{self, Found};
use super::inputs::{self, Files};
use super::journal::{self};
use super::run_time::{self, Known, Note, RunTime};
use super::{Interruption, KILLED, MOST_UNANSWERED, Run, disk, image};
use crate::{cache, owner};

/// Whether the container may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// It was not started, or is over.
    No,
    /// The engine was asked to, and may come to it yet.
    Perhaps,
    /// It was started.
    Yes,
}

/// A run on its way.
pub(super) struct Course<'a> {
    run: &'a Run,
    container: Option<ContainerId>,
    begun: Begun,
    /// Whether there is a container that ran, or may have.
    has_begun: bool,
    scratch: Option<Scratch>,
    inputs: BTreeMap<FilePath, BlobHash>,
    /// Keeps what it stored until that is on record.
    spared: cache::Spared,
    /// The limit of the container's memory in bytes, as far as we know.
    memory: Option<u64>,
    /// The name of the image that it wants.
    image: Option<String>,
    /// The image that it has in the engine.
    used_image: Option<UsedImage>,
    /// Where that is made for another kind of computer.
    emulation: Option<Emulation>,
}

impl<'a> Course<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let inputs = BTreeMap::new();
        Self {
            run,
            container: None,
            begun: Begun::No,
            has_begun: false,
            scratch: None,
            inputs,
            spared: run.kit.cache.spare(),
            memory: None,
            image: None,
            used_image: None,
            emulation: None,
        }
    }

    /// From the definition to the result.
    pub(super) async fn start_afresh(&mut self) -> Result<RunResult, Interruption> {
        let run = self.run;
        let ((), definition) = try_join(journal::clear(run), self.definition()).await?;
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
        self.has_image(&engine, &image.id);
        self.inputs = inputs::blobs(&files);
        run.pulse.enter(StageName::Create);
        let container = self.create(&engine, &definition, &image, files).await?;
        let output = engine.attach(&container).await?;
        self.note_begin().await?;
        let output = match self.start(&engine, &container).await? {
            Start::AtOnce => Some(output),
            Start::Again => None,
        };
        let mut time = RunTime::from(Duration::ZERO, Some(limit), self.scratch.clone());
        run.pulse.leave(StageName::Create);
        run.pulse.enter(StageName::Run);
        let end = follow::follow(run, &mut engine, &container, output, &mut time).await?;
        self.begun = Begun::No;
        self.finish(engine, &container, end, time.read()).await
    }

    /// From a container that an earlier life of this program made, and that `teller` told of.
    pub(super) async fn take_over(
        &mut self,
        teller: &Engine,
        found: OurContainer,
    ) -> Result<RunResult, Interruption> {
        let run = self.run;
        let container = found.id.clone();
        self.container = Some(container.clone());
        self.has_begun = true;
        self.begun = if found.started_at.is_some() { Begun::Yes } else { Begun::Perhaps };
        self.scratch = Some(self.scratch_of_earlier_life().await?);
        // The engine may have gone since it told of the container, and may have taken it down.
        let seen = match follow::look(run, &container).await {
            // It does not let us look at this one: what its list said has to do. In another life that says nothing.
            Err(Interruption::EngineLost | Interruption::Failed(_)) => {
                let engine = follow::engine_again(run).await?;
                if engine != *teller {
                    return Err(Interruption::EngineLost);
                }
                Found { engine, container: found, began: None }
            }
            Err(Interruption::ContainerLost) if found.started_at.is_none() => return self.look_back().await,
            seen => seen?,
        };
        let Found { mut engine, container: found, began } = seen;
        let Some(started_at) = found.started_at else { return Err(Interruption::NotBegun) };
        self.begun = Begun::Yes;
        if !found.running && found.was_taken_down(began) {
            return Err(Interruption::ContainerLost);
        }
        let known = self.time_known(started_at).await;
        let by_wall = found.finished_at.map(|ended_at| ended_at.since(started_at));
        let ran = if found.running { known.until_now } else { run_time::of_ended(by_wall, known) };
        run.pulse.take_up(ran);
        let definition = self.definition().await?;
        self.image = Some(definition.image.image().to_owned());
        if let Some(id) = &found.image_id {
            self.has_image(&engine, id);
        }
        // One that has ended meanwhile has ended in time, as nobody was there to stop it; unless an earlier life had
        // stopped it at its limit and could not say so any more.
        let may_be_up = found.exit.as_ref().is_none_or(|exit| exit.code == KILLED && !exit.oom_killed);
        let limit = may_be_up.then(|| self.time_limit(&definition));
        // The time of one that has ended stands still.
        let limit = limit.filter(|limit| found.running || ran >= *limit);
        let mut time = RunTime::from(ran, limit, self.scratch.clone());
        point(Point::RunTakenOver);
        let end = follow::follow(run, &mut engine, &container, None, &mut time).await?;
        self.begun = Begun::No;
        let duration = if found.running { time.read() } else { ran };
        self.finish(engine, &container, end, duration).await
    }

    /// What became of a run whose container is not there: whether it was lost, or had not begun.
    /// Looking needs nothing of the disk: one that is full, or may only be read, ends no job that had not begun.
    pub(super) async fn look_back(&mut self) -> Result<RunResult, Interruption> {
        let scratch = self.run.kit.store.scratch_left(&self.run.id, self.run.number);
        self.scratch = Some(scratch.clone());
        let noted = tokio::task::spawn_blocking(move || scratch.noted());
        let had_begun = noted.await.ok().flatten().is_some();
        Err(if had_begun { Interruption::ContainerLost } else { Interruption::NotBegun })
    }

    /// What is left of it is made whole, as soon as the disk lets us.
    async fn scratch_of_earlier_life(&self) -> Result<Scratch, Interruption> {
        let run = self.run;
        loop {
            match run.kit.store.scratch(&run.id, run.number) {
                Err(error) if error.is_read_only() => {
                    run.until_writable().await?;
                }
                scratch => return scratch.map_err(disk),
            }
        }
    }

    async fn start(&mut self, engine: &Engine, container: &ContainerId) -> Result<Start, EngineError> {
        self.begun = Begun::Perhaps;
        let started = engine.start(container).await;
        self.begun = match &started {
            Ok(_) => Begun::Yes,
            Err(error) if error.is_engine_lost() => Begun::Perhaps,
            Err(_) => Begun::No,
        };
        self.has_begun = self.begun != Begun::No;
        started
    }

    /// Notes that the container is about to run. Where there is no such note, no run was lost.
    async fn note_begin(&self) -> Result<(), Interruption> {
        let Some(scratch) = self.scratch.clone() else { return Ok(()) };
        let write = move || Note::before_start().keep_in(&scratch);
        tokio::task::spawn_blocking(write).await.map_err(disk)?.map_err(disk)
    }

    /// How long the container has run, as far as an earlier life noted it.
    async fn time_known(&self, started_at: Time) -> Known {
        let scratch = self.scratch.clone();
        let read = move || Some(Note::of(&scratch?)?.known(started_at));
        let known = tokio::task::spawn_blocking(read).await.ok().flatten();
        known.unwrap_or_else(|| Known::by_wall(started_at))
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

    /// Whether it came to a container that ran, or may have.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The name of the image that the run wanted.
    pub(super) fn image(&self) -> Option<String> {
        self.image.clone()
    }

    /// The image that the run had.
    pub(super) fn used_image(&self) -> Option<UsedImage> {
        self.used_image.clone()
    }

    fn has_image(&mut self, engine: &Engine, id: &str) {
        let name = self.image.clone().unwrap_or_default();
        self.used_image = Some(UsedImage { engine: engine.info().id.clone(), id: id.to_owned(), name });
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
            let placement = inputs::place(files, delivery, &scratch);
            Ok::<_, Interruption>((scratch, placement))
        });
        let (scratch, placement) = placed.await.map_err(disk)??;
        // What could be placed goes with the rest of the folder, also where the disk had no room for all.
        self.scratch = Some(scratch);
        let placement = placement?;
        point(Point::InputsPlaced);
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
                let again = run.unless_stopped(image::have(run, engine, &definition.image)).await?;
                self.has_image(engine, &again.id);
                engine.create(&spec).await?
            }
            created => created?,
        };
        self.container = Some(container.clone());
        if run.stop.is_asked() {
            return Err(Interruption::Stopped);
        }
        if let Some(shipment) = placement.shipment {
            let (archive, problem) = shipment.pack();
            let sent = run.unless_stopped(engine.upload(&container, "/", archive)).await;
            match problem.get() {
                Some(problem) if sent.is_err() => return Err(problem.clone().into()),
                _ => sent?,
            }
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
