//! What a person is told about an image that is made for another kind of processor. Whether it runs is up to the engine.

use deskgrid_docker::{Engine, Image};
use deskgrid_job::{Failure, FailureCode, LogLine, StageName, Time};

use super::journal::Journal;
use super::{Interruption, Run};
use crate::lists::Step;

/// An image and an engine of different kinds.
pub(super) struct Emulation {
    /// What the image is made for.
    image: String,
    /// What the engine is.
    engine: String,
}

impl Emulation {
    /// None when the image is made for this engine.
    pub(super) fn of(engine: &Engine, image: &Image) -> Option<Self> {
        let image = engine.emulates(image)?;
        Some(Self { image, engine: engine.platform() })
    }

    /// Warns in the log of the image, and shows it with the run.
    pub(super) async fn warn(&self, run: &Run) -> Result<(), Interruption> {
        let Self { image, engine } = self;
        run.pulse.emulate(image);
        run.pulse.note(StageName::Image, &format!("Emulated: it is made for {image}"));
        let text = format!(
            "Warning: this image is made for {image}, and this engine is {engine}. It is emulated where the engine can \
             do that, and then slower.\n"
        );
        let line = LogLine { text, time: Time::now(), is_stderr: true };
        Journal::going_on(run, Step::Pull).write(vec![line]).await
    }

    /// Adds the likely reason to a command that could not be started.
    pub(super) fn explain(&self, interruption: Interruption) -> Interruption {
        let Self { image, engine } = self;
        match interruption {
            Interruption::Failed(Failure { code: FailureCode::CannotStart, message }) => {
                let words = format!(
                    "{message} The image is made for {image}, and this engine is {engine} without an emulator for it, \
                     as it seems. Use an image for {engine}, or install an emulator: \
                     `docker run --privileged --rm tonistiigi/binfmt --install all`."
                );
                Failure::new(FailureCode::CannotStart, words).into()
            }
            other => other,
        }
    }
}
