//! Has the image of a run in the engine: found there, pulled, or built. What is said meanwhile goes to the build log.

use deskgrid_docker::{Engine, Image, Pace, PullProgress};
use deskgrid_job::{ImageSource, StageName};
use deskgrid_store::{Change, ImageRecord, Origin};
use futures_util::future::try_join;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::journal::Journal;
use super::{Interruption, Run, build, disk, line};
use crate::cache;
use crate::lists::{News, Step};

/// What is noted of an image that was there already.
pub(super) const FOUND: &str = "It was here already";

/// The image of `source`, whatever that takes.
pub(super) async fn have(run: &Run, engine: &Engine, source: &ImageSource) -> Result<Image, Interruption> {
    match source {
        ImageSource::Reference(reference) => pulled(run, engine, reference).await,
        ImageSource::Build(block) => build::built(run, engine, block).await,
    }
}

async fn pulled(run: &Run, engine: &Engine, reference: &str) -> Result<Image, Interruption> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let pull = async {
        let image = engine.ensure_image(reference, None, move |progress| drop(sender.send(progress))).await;
        image.map_err(Interruption::from)
    };
    let coming = cache::record(engine, reference, None, Origin::Pulled);
    let had = try_join(pull, tell(run, &coming, receiver)).await;
    if had.is_err()
        && let Err(error) = run.kit.store.commit(vec![Change::ImageGone(coming.clone())]).await
    {
        tracing::warn!(image = reference, %error, "could not note that an image did not come");
    }
    let (image, was_pulled) = had?;
    if was_pulled {
        let here = ImageRecord { id: Some(image.id.clone()), ..coming };
        run.kit.store.commit(vec![Change::ImageBrought(here)]).await.map_err(disk)?;
    } else {
        run.pulse.note(StageName::Image, FOUND);
    }
    Ok(image)
}

/// Writes down and tells what the engine says of a pull, and returns whether it said anything: of an image that is
/// there already it says nothing. With its first word the image is on record as `coming`: should we die before it is as
/// one that is here, the person still hears of it.
async fn tell(
    run: &Run,
    coming: &ImageRecord,
    mut progress: mpsc::UnboundedReceiver<PullProgress>,
) -> Result<bool, Interruption> {
    let mut journal = Journal::new(run, Step::Pull);
    let (mut was_pulled, mut pace) = (false, Pace::default());
    loop {
        let due = pace.due();
        let next = tokio::select! {
            next = progress.recv() => next,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let ripe = pace.ripe(Instant::now()).into_iter();
                journal.write(ripe.map(|text| line(text, false)).collect()).await?;
                continue;
            }
        };
        let Some(progress) = next else { break };
        if !was_pulled {
            was_pulled = true;
            run.kit.store.commit(vec![Change::ImageBrought(coming.clone())]).await.map_err(disk)?;
        }
        if let Some(text) = pace.take(&progress, Instant::now()) {
            journal.write(vec![line(text, false)]).await?;
        }
        let total = Some(progress.total).filter(|total| *total > 0);
        run.pulse.progress(StageName::Image, Some(&progress.line), progress.done, total);
        run.pulse.layers(progress.layers.0, progress.layers.1);
        run.kit.lists.tell(&run.id, &News::Pull(run.id.clone(), progress.into()));
    }
    Ok(was_pulled)
}
