//! Builds the image of a `build` block, unless it is in the engine (protocol section 7). Runs that want the same block
//! share one build, context and all, which ends when none of them wants it any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use deskgrid_docker::joint::{Heard, Joint, Message, Next, Said, Share};
use deskgrid_docker::{Base, BuildOrder, BuildProgress, Engine, Image, Network};
use deskgrid_fault::{Point, point};
use deskgrid_job::{BuildBlock, Failure, FailureCode, LogLine, StageName};
use deskgrid_store::{Change, Origin};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::context::{self, Prepared};
use super::image::FOUND;
use super::journal::Journal;
use super::{Interruption, Kit, Run, disk, line};
use crate::cache;
use crate::lists::Step;

/// Lines that are written at once: as many as readers are told of, so that they see the end of a failing step.
const AT_ONCE: usize = 256;
/// Said to who joins late; what was told so far follows.
const JOINED: &str = "Another job has begun this build. It goes on for both.";

/// The builds in progress.
pub(crate) type Builds = Joint<Wanted, Told, Result<Image, Interruption>>;
type BuildShare = Share<Told, Result<Image, Interruption>>;

/// What makes two builds one. The image has the same name whatever token the context's address has, and one that opens
/// nothing shall fail only those who gave it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    image: String,
    context: Option<String>,
    /// Whether a token of that address is not known any more: who brings it shall not fail with who does not.
    lacks_secret: bool,
    /// Whether its steps reach the internet.
    has_network: bool,
}

/// What a build tells to the runs that wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Something about the context.
    Note(String),
    /// Bytes of the context that are here, and all.
    Fetched(u64, Option<u64>),
    /// Something that the builder said.
    Line(BuildProgress),
}

impl Message for Told {
    fn weight(&self) -> usize {
        let text = match self {
            Self::Note(text) => text.len(),
            Self::Fetched(..) => 0,
            Self::Line(progress) => progress.line.len(),
        };
        size_of::<Self>() + text
    }

    fn is_passing(&self) -> bool {
        matches!(self, Self::Fetched(..))
    }
}

/// The block's image: the one that is there, or a new one.
pub(super) async fn built(run: &Run, engine: &Engine, block: &BuildBlock) -> Result<Image, Interruption> {
    if let Some(image) = engine.image(&block.image).await? {
        run.pulse.note(StageName::Image, FOUND);
        return Ok(image);
    }
    let has_network = run.permits().network != Network::Off;
    let wanted = Wanted {
        image: block.image.clone(),
        context: block.context.clone(),
        lacks_secret: block.lacks_secret,
        has_network,
    };
    let share = run.kit.builds.join(wanted, |said| {
        let (kit, engine, block) = (run.kit.clone(), engine.clone(), block.clone());
        async move { build(&kit, &engine, &block, has_network, &said).await }.boxed()
    });
    let mut journal = Journal::new(run, Step::Context);
    let image = follow(run, &mut journal, share).await;
    run.pulse.leave(StageName::Build);
    if let Err(Interruption::Failed(failure)) = &image {
        journal.write(vec![line(failure.message.clone(), true)]).await?;
    }
    image
}

/// Writes down and shows what a build tells, to its end.
async fn follow(run: &Run, journal: &mut Journal<'_>, mut share: BuildShare) -> Result<Image, Interruption> {
    if share.is_late() {
        journal.write(vec![line(JOINED.to_owned(), false)]).await?;
    }
    loop {
        match share.next().await {
            Next::Heard(heard) => write(run, journal, heard).await?,
            Next::Over(outcome) => return outcome,
        }
    }
}

async fn write(run: &Run, journal: &mut Journal<'_>, heard: Heard<Told>) -> Result<(), Interruption> {
    let mut lines = Vec::new();
    if heard.missed > 0 {
        let words = format!("{} earlier lines of this build are not in this log.", heard.missed);
        lines.push(line(words, false));
    }
    let mut newest = None;
    for told in heard.messages {
        match told {
            Told::Note(text) => lines.push(line(text, false)),
            Told::Fetched(done, total) => {
                run.pulse.progress(StageName::Image, Some("The files to build from"), done, total);
            }
            Told::Line(progress) => {
                begin_building(run, journal, &mut lines).await?;
                lines.push(line(progress.line.clone(), progress.is_stderr));
                newest = Some(progress);
            }
        }
    }
    if let Some(progress) = newest {
        let total = Some(progress.total).filter(|total| *total > 0);
        run.pulse.progress(StageName::Build, Some(&progress.line), progress.done, total);
    }
    while !lines.is_empty() {
        let rest = lines.split_off(lines.len().min(AT_ONCE));
        journal.write(std::mem::replace(&mut lines, rest)).await?;
    }
    Ok(())
}

/// From the builder's first line on the run builds.
async fn begin_building(
    run: &Run,
    journal: &mut Journal<'_>,
    lines: &mut Vec<LogLine>,
) -> Result<(), Interruption> {
    if journal.step() != Step::Build {
        journal.write(std::mem::take(lines)).await?;
        journal.go_on_as(Step::Build);
        run.pulse.leave(StageName::Image);
        run.pulse.enter(StageName::Build);
    }
    Ok(())
}

/// Builds once, for all who wait.
async fn build(
    kit: &Arc<Kit>,
    engine: &Engine,
    block: &BuildBlock,
    has_network: bool,
    said: &Said<Told>,
) -> Result<Image, Interruption> {
    let Prepared { context, remarks, waiter: _waiter } = context::prepare(kit, block, said).await?;
    for remark in remarks {
        said.tell(Told::Note(remark));
    }
    let order = BuildOrder {
        image: block.image.clone(),
        dockerfile: context.dockerfile_name().to_owned(),
        text: block.dockerfile.clone(),
        target: block.target.clone(),
        args: block.build_args.clone(),
        platform: block.platform.clone(),
        has_network,
        worker: kit.worker.to_string(),
    };
    let (archive, problem) = context::pack(context);
    let (bases, told_of) = mpsc::unbounded_channel();
    let building = engine.build(&order, archive, move |progress| {
        // Who takes note of them is polled beside it, and ends after it.
        progress.base.iter().for_each(|base| drop(bases.send(base.clone())));
        said.tell(Told::Line(progress));
    });
    let most = kit.limits.borrow().max_duration;
    let building = tokio::time::timeout(most, building);
    let (outcome, noted) = tokio::join!(building, note_bases(kit, engine, told_of));
    noted?;
    let image = match (outcome, problem.get()) {
        (Ok(Ok(image)), _) => image,
        // The engine saw a broken archive only, which looks as if it had gone away.
        (Ok(Err(error)), Some(problem)) => {
            tracing::debug!(%error, "the build was broken off");
            return Err(problem.clone().into());
        }
        (Ok(Err(error)), _) => return Err(error.into()),
        (Err(_), _) => {
            let words = format!(
                "The image could not be built within {} s, which is the longest that a job may run.",
                most.as_secs()
            );
            return Err(Failure::new(FailureCode::BuildFailed, words).into());
        }
    };
    note(kit, engine, block, &image).await?;
    Ok(image)
}

/// The image is ours from now on.
async fn note(kit: &Kit, engine: &Engine, block: &BuildBlock, image: &Image) -> Result<(), Interruption> {
    let ours = cache::record(engine, &block.image, Some(&image.id), Origin::Built);
    kit.store.commit(vec![Change::ImageBrought(ours)]).await.map_err(disk)?;
    point(Point::ImageNoted);
    kit.cache.changed();
    Ok(())
}

/// Notes the images that the builder pulls, whatever becomes of the build: on their way, so that the person hears of
/// them should we die before they are here, and then as ours.
async fn note_bases(
    kit: &Kit,
    engine: &Engine,
    mut told_of: mpsc::UnboundedReceiver<Base>,
) -> Result<(), Interruption> {
    let mut coming = BTreeMap::new();
    let note = async |change| kit.store.commit(vec![change]).await.map_err(disk);
    while let Some(base) = told_of.recv().await {
        match base {
            Base::Coming(name) => {
                let on_its_way = kit.cache.on_its_way(&name);
                note(Change::ImageBrought(cache::record(engine, &name, None, Origin::Pulled))).await?;
                coming.insert(name, on_its_way);
            }
            Base::Here(name) => {
                // One that cannot be found any more is nobody's.
                if let Ok(Some(image)) = engine.image(&name).await {
                    let here = cache::record(engine, &name, Some(&image.id), Origin::Pulled);
                    // Where it was noted, the person may have claimed it meanwhile.
                    let was_noted = coming.contains_key(&name);
                    let change = if was_noted { Change::ImageCame(here) } else { Change::ImageBrought(here) };
                    note(change).await?;
                    coming.remove(&name);
                }
            }
        }
    }
    for name in coming.into_keys() {
        note(Change::ImageGone(cache::record(engine, &name, None, Origin::Pulled))).await?;
    }
    Ok(())
}
