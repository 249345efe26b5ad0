//! Images: having one in the engine, whatever that takes, and what it brings along.

use bollard::BollardRequest;
use bollard::errors::Error as Bollard;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use deskgrid_fault::{Point, point};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;

use crate::cli_config;
use crate::engine::{Engine, QUESTION, WORK};
use crate::error::{EngineError, ImageProblem, pull_failure};
use crate::progress::{Meter, PullProgress};
use crate::reference::Reference;
use crate::surroundings::Surroundings;

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

impl Engine {
    /// Makes sure that the image `reference` is in the engine. One that is there already is used as it is, without
    /// asking any registry; otherwise it is pulled, and `progress` hears how far that is.
    ///
    /// Calls for the same image at the same time share one pull, which is broken off when all of them are dropped.
    /// `platform` is `os/processor`, such as `linux/arm64`.
    ///
    /// # Errors
    /// [`EngineError::Image`] says whether the name, the rights, the network or the disk is at fault.
    pub async fn ensure_image(
        &self,
        reference: &str,
        platform: Option<&str>,
        progress: impl FnMut(PullProgress) + Send,
    ) -> Result<Image, EngineError> {
        let wanted = Reference::parse(reference)?;
        if let Some(image) = self.local_image(&wanted).await?
            && platform.is_none_or(|platform| is_for(&image, platform))
        {
            point(Point::ImageFound);
            return Ok(image);
        }
        self.pull(&wanted, platform, progress).await?;
        point(Point::ImagePulled);
        self.local_image(&wanted).await?.ok_or_else(|| EngineError::Image {
            problem: ImageProblem::Other,
            message: format!("The image {reference:?} was fetched and then removed. Submit the job again."),
        })
    }

    async fn local_image(&self, wanted: &Reference) -> Result<Option<Image>, EngineError> {
        let name = wanted.full();
        match self.call("looking for an image", QUESTION, self.docker().inspect_image(&name)).await {
            Ok(answer) => Ok(Some(image(answer))),
            Err(EngineError::Image { .. } | EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(
        &self,
        wanted: &Reference,
        platform: Option<&str>,
        progress: impl FnMut(PullProgress) + Send,
    ) -> Result<(), EngineError> {
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
        let share = self.pulls().join(key.clone(), |messages| {
            let engine = self.clone();
            async move { engine.pull_once(&key.0, key.1.as_deref(), &messages).await }.boxed()
        });
        let result = share.finish(progress).await;
        self.doubt_after(&result);
        result
    }

    async fn pull_once(
        &self,
        wanted: &Reference,
        platform: Option<&str>,
        messages: &broadcast::Sender<PullProgress>,
    ) -> Result<(), EngineError> {
        const DOING: &str = "fetching an image";
        let options = CreateImageOptionsBuilder::new().from_image(wanted.name()).tag(wanted.version());
        let options =
            platform.map_or_else(|| options.clone(), |platform| options.clone().platform(platform)).build();
        let credentials = credentials(wanted).await;
        let docker = self.docker().clone().with_request_modifier(with_url_safe_credentials);
        let mut answers = docker.create_image(Some(options), None, credentials);
        let mut meter = Meter::default();
        loop {
            let next = async { answers.next().await.transpose() };
            let message = match tokio::time::timeout(WORK, next).await {
                Err(_) => return Err(EngineError::TimedOut { doing: DOING, limit: WORK }),
                Ok(Err(error)) => return Err(failure(DOING, &wanted.full(), error)),
                Ok(Ok(None)) => return Ok(()),
                Ok(Ok(Some(message))) => message,
            };
            point(Point::ImagePulling);
            if let Some(progress) = meter.next(message) {
                // Nobody listens when every waiter has left, and then this work is dropped as well.
                let _ = messages.send(progress);
            }
        }
    }
}

/// What the docker command line has stored for the image's registry. Read anew for each pull, as people sign in after
/// a pull has failed.
async fn credentials(wanted: &Reference) -> Option<bollard::auth::DockerCredentials> {
    let registry = wanted.registry().to_owned();
    let read = move || cli_config::credentials(&Surroundings::of_this_computer(), &registry);
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// Engines read the credentials in the alphabet of base64 that is made for URLs and ignore them without a word when
/// they are in the common one, in which bollard writes them.
fn with_url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth")
        && let Ok(common) = value.to_str()
        && let Ok(safe) = common.replace('+', "-").replace('/', "_").parse()
    {
        *value = safe;
    }
    request
}

fn failure(doing: &'static str, image: &str, error: Bollard) -> EngineError {
    match EngineError::of(doing, error) {
        EngineError::Refused { message, .. }
        | EngineError::Image { message, .. }
        | EngineError::NoSpace { detail: message } => pull_failure(image, &message),
        other => other,
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
    fn credentials_are_sent_in_the_alphabet_that_engines_read() {
        let mut request = BollardRequest::new(bollard::body_full(bytes::Bytes::new()));
        request.headers_mut().insert("X-Registry-Auth", "a+b/c=".parse().unwrap());
        assert_eq!(with_url_safe_credentials(request).headers()["X-Registry-Auth"], "a-b_c=");
    }

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
