//! Has the image of a run in the engine: found there, pulled, or built. What is said meanwhile goes to the build log.

use deskgrid_docker::joint::Next;
use deskgrid_docker::{Engine, Image, Pace, Pull, PullProgress, Sought};
use deskgrid_job::{ImageSource, StageName};
use deskgrid_store::{Change, ImageRecord, Origin};
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
    let pull = match engine.seek_image(reference, None).await? {
        Sought::Pulling(pull) => pull,
        Sought::Found(image) => {
            run.pulse.note(StageName::Image, FOUND);
            return Ok(image);
        }
    };
    let _on_its_way = run.kit.cache.on_its_way(reference);
    // Should we die before it is on record as one that is here, the person still hears of it.
    let coming = cache::record(engine, reference, None, Origin::Pulled);
    note(run, Change::ImageBrought(coming.clone())).await?;
    let image = match follow(run, pull).await {
        Ok(image) => image,
        Err(error) => {
            note(run, Change::ImageGone(coming)).await?;
            return Err(error);
        }
    };
    let here = ImageRecord { id: Some(image.id.clone()), ..coming };
    note(run, Change::ImageCame(here)).await?;
    Ok(image)
}

async fn note(run: &Run, change: Change) -> Result<(), Interruption> {
    run.kit.store.commit(vec![change]).await.map_err(disk)
}

/// Writes down and tells what the engine says of a pull, to its end.
async fn follow(run: &Run, mut pull: Pull) -> Result<Image, Interruption> {
    let mut journal = Journal::new(run, Step::Pull);
    let mut pace = Pace::default();
    loop {
        let due = pace.due();
        let lines = tokio::select! {
            next = pull.next() => match next? {
                Next::Heard(heard) => tell(run, &mut pace, &heard.messages),
                Next::Over(image) => return Ok(image),
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                pace.ripe(Instant::now())
            }
        };
        journal.write(lines.into_iter().map(|text| line(text, false)).collect()).await?;
    }
}

/// Tells the newest of what came, and returns the lines that are to be written now.
fn tell(run: &Run, pace: &mut Pace, came: &[PullProgress]) -> Vec<String> {
    let now = Instant::now();
    let lines = came.iter().filter_map(|progress| pace.take(progress, now)).collect();
    if let Some(newest) = came.last() {
        let total = Some(newest.total).filter(|total| *total > 0);
        run.pulse.progress(StageName::Image, Some(&newest.line), newest.done, total);
        run.pulse.layers(newest.layers.0, newest.layers.1);
        run.kit.lists.tell(&run.id, &News::Pull(run.id.clone(), newest.clone().into()));
    }
    lines
}
