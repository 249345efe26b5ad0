//! The steps of a run in their order, and what it holds in its hands between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deskgrid_docker::{
    ContainerId, Delivery, Engine, EngineError, Exit, Image, ImageProblem, OurContainer, PullProgress, Start,
};
use deskgrid_fault::{Point, point};
use deskgrid_job::{
    BlobHash, Definition, Failure, FailureCode, FilePath, ImageSource, LogLine, RunResult, StageName, Time,
};
use deskgrid_outputs::Outputs;
use deskgrid_outputs::archive::ArchiveError;
use deskgrid_store::{Change, Scratch};
use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::container::{self, Bounds, Purpose};
use super::counter::Counter;
use super::follow::{self, Over};
use super::inputs::{self, Files};
use super::journal::{self, Journal};
use super::{Interruption, Run, disk, outputs};
use crate::lists::{News, Step};
use crate::owner;
use crate::sites::Permits;

/// The exit code of a container whose main process was killed outright.
const KILLED: i64 = 137;
/// Lines about one layer's progress in the build log are at least this far apart.
const BETWEEN_COUNTS: Duration = Duration::from_millis(500);

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
}

impl<'a> Course<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        Self { run, container: None, scratch: None, inputs: BTreeMap::new(), memory: None, image: None }
    }

    /// From the definition to the result.
    pub(super) async fn start_afresh(&mut self) -> Result<RunResult, Interruption> {
        let run = self.run;
        journal::clear(run).await?;
        let definition = self.definition().await?;
        let limit = self.time_limit(&definition);
        let mut engine = run.engine()?;
        let gather = async { inputs::gather(run, definition.clone()).await.map_err(Interruption::from) };
        let image = self.image(&engine, &definition);
        // Together they are larger than all that follows, and gone by then.
        let image = Box::pin(during(run, StageName::Image, image));
        let gather = Box::pin(during(run, StageName::Inputs, gather));
        let (image, files) = run.unless_stopped(try_join(image, gather)).await?;
        point(Point::InputsGathered);
        self.inputs = inputs::blobs(&files);
        if let ImageSource::Reference(reference) = &definition.image {
            self.image = Some(reference.clone());
        }
        run.pulse.enter(StageName::Create);
        let container = self.create(&engine, &definition, &image, files).await?;
        let output = engine.attach(&container).await?;
        if let Some(scratch) = &self.scratch {
            scratch.note_start().await.map_err(disk)?;
        }
        let output = match engine.start(&container).await? {
            Start::AtOnce => Some(output),
            Start::Again => None,
        };
        let started = Instant::now();
        run.pulse.leave(StageName::Create);
        run.pulse.enter(StageName::Run);
        let end = follow::follow(run, &mut engine, &container, output, started + limit).await?;
        self.finish(engine, &container, end, started.elapsed()).await
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
        run.pulse.take_up(started_at);
        let limit = self.time_limit(&self.definition().await?);
        let end = follow::follow(run, &mut engine, &container, None, deadline(&found, limit)).await?;
        let ended_at = engine.inspect(&container).await.ok().and_then(|now| now.finished_at);
        let duration = ended_at.unwrap_or_else(Time::now).since(started_at);
        self.finish(engine, &container, end, duration).await
    }

    /// What became of a run whose container is not there: whether it was lost, or had not begun.
    pub(super) async fn look_back(&mut self) -> Result<RunResult, Interruption> {
        let scratch = self.run.kit.store.scratch(&self.run.id, self.run.number).map_err(disk)?;
        let has_started = scratch.has_started().await.map_err(disk)?;
        self.scratch = Some(scratch);
        Err(if has_started { Interruption::ContainerLost } else { Interruption::NotBegun })
    }

    async fn definition(&self) -> Result<Definition, Interruption> {
        let text = self.run.kit.store.definition(&self.run.id).await.map_err(disk)?;
        let text = text.ok_or_else(|| disk("The definition of the job is missing from the database."))?;
        (self.run.kit.read_definition)(&text)
            .map_err(|why| Failure::new(FailureCode::BadDefinition, why).into())
    }

    /// The smaller of what the job asks for and what we allow (protocol section 2, `maxDuration`).
    fn time_limit(&self, definition: &Definition) -> Duration {
        let most = self.run.kit.limits.borrow().max_duration;
        definition.max_duration.map_or(most, |wanted| wanted.min(most))
    }

    /// Has the image brought here; what the engine says meanwhile goes to the build log.
    async fn image(&self, engine: &Engine, definition: &Definition) -> Result<Image, Interruption> {
        let reference = match &definition.image {
            ImageSource::Reference(reference) => reference,
            ImageSource::Build(_) => {
                let words = "This version of Deskgrid runs ready-made images only. \
                             Give the job an `image` instead of `build`.";
                return Err(Failure::new(FailureCode::ImageUnavailable, words).into());
            }
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let pull = async {
            let image =
                engine.ensure_image(reference, None, move |progress| drop(sender.send(progress))).await;
            image.map_err(Interruption::from)
        };
        let (image, was_pulled) = try_join(pull, self.tell_of_pull(receiver)).await?;
        if was_pulled {
            let pulled = Change::Pulled(reference.clone(), Time::now());
            self.run.kit.store.commit(vec![pulled]).await.map_err(disk)?;
        } else {
            self.run.pulse.note(StageName::Image, "It was here already");
        }
        Ok(image)
    }

    /// What is noted of the image when the run is over.
    pub(super) fn image_used(&self) -> Option<Change> {
        self.image.clone().map(|image| Change::ImageUsed(image, Time::now()))
    }

    /// Writes down and tells what the engine says, and returns whether it said anything: of an image that is there
    /// already it says nothing.
    async fn tell_of_pull(
        &self,
        mut progress: mpsc::UnboundedReceiver<PullProgress>,
    ) -> Result<bool, Interruption> {
        let mut journal = Journal::new(self.run, Step::Pull);
        let mut was_pulled = false;
        let mut written: HashMap<String, Instant> = HashMap::new();
        while let Some(progress) = progress.recv().await {
            was_pulled = true;
            if is_worth_a_line(&progress, &mut written) {
                journal.write(vec![line(progress.line.clone(), false)]).await?;
            }
            let total = Some(progress.total).filter(|total| *total > 0);
            self.run.pulse.progress(StageName::Image, Some(&progress.line), progress.done, total);
            let news = News::Pull(self.run.id.clone(), progress.into());
            self.run.kit.lists.tell(&self.run.id, &news);
        }
        Ok(was_pulled)
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
            // Somebody removed it since it was looked for.
            Err(EngineError::Image { problem: ImageProblem::NotFound, .. }) => {
                self.image(engine, definition).await?;
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
            permits: Permits::of(&run.callers, &run.kit.site_rules.borrow()),
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
        let Some(scratch) = self.scratch else { return };
        if let Err(error) = scratch.remove().await {
            tracing::warn!(job = %self.run.id, %error, "could not remove the scratch folder");
        }
    }
}

/// When a container of an earlier life is to be stopped. One that has ended while nobody watched is not out of time by
/// now, unless that life had stopped it at its limit and could not say so any more.
fn deadline(found: &OurContainer, limit: Duration) -> Instant {
    let (Some(started), now) = (found.started_at, Instant::now()) else { return Instant::now() };
    let age = found.finished_at.unwrap_or_else(Time::now).since(started);
    let was_killed = found.exit.as_ref().is_none_or(|exit| exit.code == KILLED && !exit.oom_killed);
    if was_killed { now + limit.saturating_sub(age) } else { now + limit }
}

/// Shows `stage` while `work` goes on.
async fn during<T>(run: &Run, stage: StageName, work: impl Future<Output = T>) -> T {
    run.pulse.enter(stage);
    let done = work.await;
    run.pulse.leave(stage);
    done
}

/// A layer's bytes are counted many times a second; the log tells of them now and then, and of all else always.
fn is_worth_a_line(progress: &PullProgress, written: &mut HashMap<String, Instant>) -> bool {
    let Some(layer) = &progress.layer else { return true };
    let now = Instant::now();
    let due = written.get(&layer.id).is_none_or(|last| now - *last >= BETWEEN_COUNTS);
    if due {
        written.insert(layer.id.clone(), now);
    }
    due
}

fn line(text: String, is_stderr: bool) -> LogLine {
    let text = if text.ends_with('\n') { text } else { format!("{text}\n") };
    LogLine { text, time: Time::now(), is_stderr }
}
