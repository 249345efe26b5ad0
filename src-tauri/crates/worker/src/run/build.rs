//! Builds the image of a `build` block, unless it is in the engine (protocol section 7). Runs that want the same block
//! share one build, context and all, which ends when none of them wants it any more.

use std::sync::Arc;

use deskgrid_docker::joint::{Joint, Said};
use deskgrid_docker::{BuildOrder, BuildProgress, Built, Engine, Image, Network};
use deskgrid_job::{BuildBlock, Failure, FailureCode, LogLine, StageName};
use deskgrid_store::{Change, Origin};
use futures_util::FutureExt as _;
use futures_util::future::join;
use tokio::sync::mpsc;

use super::context::{self, Prepared};
use super::image::FOUND;
use super::journal::Journal;
use super::{Interruption, Kit, Run, disk, line};
use crate::cache;
use crate::lists::Step;

/// Lines that are written at once.
const AT_ONCE: usize = 256;

/// The builds in progress, by image and by whether their steps reach the internet.
pub(crate) type Builds = Joint<(String, bool), Told, Result<Image, Interruption>>;

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

/// The block's image: the one that is there, or a new one.
pub(super) async fn built(run: &Run, engine: &Engine, block: &BuildBlock) -> Result<Image, Interruption> {
    if let Some(image) = engine.image(&block.image).await? {
        run.pulse.note(StageName::Image, FOUND);
        return Ok(image);
    }
    let has_network = run.permits().network != Network::Off;
    let share = run.kit.builds.join((block.image.clone(), has_network), |said| {
        let (kit, engine, block) = (run.kit.clone(), engine.clone(), block.clone());
        async move { build(&kit, &engine, &block, has_network, &said).await }.boxed()
    });
    let (sender, receiver) = mpsc::unbounded_channel();
    let finish = share.finish(move |told| drop(sender.send(told)));
    let mut journal = Journal::new(run, Step::Context);
    let (image, followed) = join(finish, follow(run, &mut journal, receiver)).await;
    run.pulse.leave(StageName::Build);
    if let Err(Interruption::Failed(failure)) = &image {
        journal.write(vec![line(failure.message.clone(), true)]).await?;
    }
    followed.and(image)
}

/// Writes down and shows what a build tells.
async fn follow(
    run: &Run,
    journal: &mut Journal<'_>,
    mut told: mpsc::UnboundedReceiver<Told>,
) -> Result<(), Interruption> {
    let mut waiting = Vec::new();
    while told.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let mut lines = Vec::new();
        for told in waiting.drain(..) {
            match told {
                Told::Note(text) => lines.push(line(text, false)),
                Told::Fetched(done, total) => {
                    run.pulse.progress(StageName::Image, Some("The files to build from"), done, total);
                }
                Told::Line(progress) => {
                    begin_building(run, journal, &mut lines).await?;
                    lines.push(shown(run, progress));
                }
            }
        }
        journal.write(lines).await?;
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

fn shown(run: &Run, progress: BuildProgress) -> LogLine {
    let total = Some(progress.total).filter(|total| *total > 0);
    run.pulse.progress(StageName::Build, Some(&progress.line), progress.done, total);
    line(progress.line, progress.is_stderr)
}

/// Builds once, for all who wait.
async fn build(
    kit: &Arc<Kit>,
    engine: &Engine,
    block: &BuildBlock,
    has_network: bool,
    said: &Said<Told>,
) -> Result<Image, Interruption> {
    let Prepared { context, remarks } = context::prepare(kit, block, said).await?;
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
    let building = engine.build(&order, archive, |progress| said.tell(Told::Line(progress)));
    let most = kit.limits.borrow().max_duration;
    let outcome = tokio::time::timeout(most, building).await;
    let built = match (outcome, problem.get()) {
        (Ok(Ok(built)), _) => built,
        // The engine saw a broken archive only.
        (Ok(Err(error)), Some(problem)) if !error.is_engine_lost() => {
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
    note(kit, engine, block, &built).await?;
    Ok(built.image)
}

/// The images are ours from now on.
async fn note(kit: &Kit, engine: &Engine, block: &BuildBlock, built: &Built) -> Result<(), Interruption> {
    let ours = cache::record(engine, &block.image, Some(&built.image.id), Origin::Built);
    let mut brought = vec![Change::ImageBrought(ours)];
    for name in &built.pulled {
        // One that cannot be found any more is nobody's.
        if let Ok(Some(image)) = engine.image(name).await {
            let pulled = cache::record(engine, name, Some(&image.id), Origin::Pulled);
            brought.push(Change::ImageBrought(pulled));
        }
    }
    kit.store.commit(brought).await.map_err(disk)?;
    kit.cache.changed();
    Ok(())
}
