//! Images: having one in the engine, whatever that takes, and what it brings along.

use bollard::models::ImageInspect;
use deskgrid_fault::{Point, point};
use futures_util::FutureExt as _;

use crate::engine::{Engine, QUESTION};
use crate::error::{EngineError, ImageProblem};
use crate::fetch;
use crate::joint::{Joint, Next, Share};
use crate::progress::PullProgress;
use crate::reference::Reference;

/// The pulls in progress, by image and platform.
pub(crate) type Pulls = Joint<(Reference, Option<String>), PullProgress, Result<(), EngineError>>;

/// An image in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its id, which stays the same when its name is given to another image.
    pub id: String,
    /// Its own entry point; empty when it has none.
    pub entrypoint: Vec<String>,
    /// Its own command, or the arguments of its entry point.
    pub cmd: Vec<String>,
    /// Its bytes on the engine's disk.
    pub size: u64,
    /// Operating system and processor, such as `linux/amd64`.
    pub platform: String,
}

/// What becomes of the wish for an image.
pub enum Sought {
    /// It is in the engine already.
    Found(Image),
    /// It is being pulled.
    Pulling(Pull),
}

/// One caller's share in the pull of an image, which goes on while it is asked for what comes [`Pull::next`].
#[must_use = "the pull ends when nobody waits for it"]
pub struct Pull {
    engine: Engine,
    wanted: Reference,
    share: Share<PullProgress, Result<(), EngineError>>,
}

impl Engine {
    /// Looks for the image `reference` in the engine. One that is there already is used as it is, without asking any
    /// registry; otherwise it is pulled.
    ///
    /// Calls for the same image at the same time share one pull, which is broken off when all of them are dropped.
    /// `platform` is `os/processor`, such as `linux/arm64`.
    ///
    /// # Errors
    /// [`EngineError::Image`] when the name is none.
    pub async fn seek_image(&self, reference: &str, platform: Option<&str>) -> Result<Sought, EngineError> {
        let wanted = Reference::parse(reference)?;
        if let Some(image) = self.local_image(&wanted).await?
            && platform.is_none_or(|platform| is_for(&image, platform))
        {
            point(Point::ImageFound);
            return Ok(Sought::Found(image));
        }
        self.pull(wanted, platform).map(Sought::Pulling)
    }

    /// The image of this name, when it is in the engine.
    ///
    /// # Errors
    /// When the name is none, or the engine does not answer.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        self.local_image(&Reference::parse(name)?).await
    }

    async fn local_image(&self, wanted: &Reference) -> Result<Option<Image>, EngineError> {
        let name = wanted.full();
        match self.call("looking for an image", QUESTION, self.docker().inspect_image(&name)).await {
            Ok(answer) => Ok(Some(image(answer))),
            Err(EngineError::Image { .. } | EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn pull(&self, wanted: Reference, platform: Option<&str>) -> Result<Pull, EngineError> {
        if wanted.is_id() {
            return Err(EngineError::Image {
                problem: ImageProblem::NotFound,
                message: format!(
                    "The engine has no image with the id {}. Name the image by its registry and tag.",
                    wanted.full()
                ),
            });
        }
        let key = (wanted.clone(), platform.map(str::to_owned));
        // With the last waiter the work is dropped, which closes the connection and so ends the pull in the engine.
        let share = self.pulls().join(key.clone(), |said| {
            let engine = self.clone();
            async move { fetch::fetch(&engine, &key.0, key.1.as_deref(), &said).await }.boxed()
        });
        Ok(Pull { engine: self.clone(), wanted, share })
    }
}

impl Pull {
    /// Waits for what is told of the pull, or for the image; not to be called after that. Nothing is lost when the
    /// future is dropped.
    ///
    /// # Errors
    /// [`EngineError::Image`] says whether the rights, the network or the disk is at fault.
    pub async fn next(&mut self) -> Result<Next<PullProgress, Image>, EngineError> {
        let result = match self.share.next().await {
            Next::Heard(heard) => return Ok(Next::Heard(heard)),
            Next::Over(result) => result,
        };
        self.engine.doubt_after(&result);
        result?;
        point(Point::ImagePulled);
        let image = self.engine.local_image(&self.wanted).await?.ok_or_else(|| EngineError::Image {
            problem: ImageProblem::Other,
            message: format!(
                "The image {:?} was fetched and then removed. Submit the job again.",
                self.wanted.full()
            ),
        })?;
        Ok(Next::Over(image))
    }
}

fn image(answer: ImageInspect) -> Image {
    let config = answer.config.unwrap_or_default();
    Image {
        id: answer.id.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        cmd: config.cmd.unwrap_or_default(),
        size: answer.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        platform: format!("{}/{}", answer.os.unwrap_or_default(), answer.architecture.unwrap_or_default()),
    }
}

/// Whether the image is for `platform`; a variant after the processor is not compared, as engines leave it out.
fn is_for(image: &Image, platform: &str) -> bool {
    let os_and_processor: Vec<_> = platform.split('/').take(2).collect();
    image.platform == os_and_processor.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_compared_by_system_and_processor() {
        let image = image(ImageInspect {
            os: Some("linux".into()),
            architecture: Some("arm64".into()),
            ..ImageInspect::default()
        });
        assert!(is_for(&image, "linux/arm64") && is_for(&image, "linux/arm64/v8"));
        assert!(!is_for(&image, "linux/amd64") && !is_for(&image, "linux"));
    }
}
