//! Fetches one image from its registry: with the person's credentials, more than once where the network fails for a
//! moment, and for another kind of processor where there is none for this one and the engine can emulate.
//!
//! Who waits for it and what becomes of it when nobody does is in `joint`; what a person calls the image, in `image`.

use std::time::Duration;

use bollard::BollardRequest;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::CreateImageOptionsBuilder;
use deskgrid_fault::{Point, point};
use futures_util::StreamExt as _;

use crate::credentials;
use crate::emulation;
use crate::engine::{Engine, WORK};
use crate::error::{EngineError, ImageProblem, pull_failure};
use crate::image_news::OwnPull;
use crate::joint::Said;
use crate::progress::{Meter, PullProgress};
use crate::reference::Reference;

const DOING: &str = "fetching an image";
/// Before each further try, when the registry could not be reached. What breaks off in the middle of a layer the engine
/// tries again by itself.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Fetches `wanted`, for `platform` where one is asked for, and tells by `said` how far that is.
pub(crate) async fn fetch(
    engine: &Engine,
    wanted: &Reference,
    platform: Option<&str>,
    said: &Said<PullProgress>,
) -> Result<(), EngineError> {
    let access = credentials::find(wanted.registry()).await;
    let mut fetching = Fetching { engine, wanted, credentials: access.found, said, meter: Meter::default() };
    if let Some(remark) = &access.remark {
        fetching.say(remark);
    }
    let mut result = fetching.patiently(platform).await;
    if platform.is_none() && is(&result, ImageProblem::WrongPlatform) {
        for other in emulation::platforms(engine.info()).await {
            fetching.say(&format!("There is no image for this kind of processor, trying {other}"));
            if fetching.patiently(Some(other)).await.is_ok() {
                result = Ok(());
                break;
            }
        }
    }
    result.map_err(|error| with_remark(error, access.remark))
}

/// Of what is wrong with the credentials nobody needs to hear unless they were needed.
fn with_remark(error: EngineError, remark: Option<String>) -> EngineError {
    match (error, remark) {
        (EngineError::Image { problem: ImageProblem::NoAccess, message }, Some(remark)) => {
            EngineError::Image { problem: ImageProblem::NoAccess, message: format!("{message} {remark}") }
        }
        (error, _) => error,
    }
}

fn is(result: &Result<(), EngineError>, wanted: ImageProblem) -> bool {
    matches!(result, Err(EngineError::Image { problem, .. }) if *problem == wanted)
}

struct Fetching<'a> {
    engine: &'a Engine,
    wanted: &'a Reference,
    credentials: Option<DockerCredentials>,
    said: &'a Said<PullProgress>,
    /// Counts over all tries.
    meter: Meter,
}

impl Fetching<'_> {
    async fn patiently(&mut self, platform: Option<&str>) -> Result<(), EngineError> {
        for pause in PAUSES {
            let result = self.once(platform).await;
            if !is(&result, ImageProblem::Unreachable) {
                return result;
            }
            self.say(&format!("The registry cannot be reached, trying again in {} s", pause.as_secs()));
            tokio::time::sleep(pause).await;
        }
        self.once(platform).await
    }

    async fn once(&mut self, platform: Option<&str>) -> Result<(), EngineError> {
        let wanted = self.wanted;
        let options = CreateImageOptionsBuilder::new().from_image(wanted.name()).tag(wanted.version());
        let options =
            platform.map_or_else(|| options.clone(), |platform| options.clone().platform(platform)).build();
        let docker = self.engine.docker().clone().with_request_modifier(with_url_safe_credentials);
        let own = OwnPull::begin(self.engine, &wanted.full());
        let mut answers = docker.create_image(Some(options), None, self.credentials.clone());
        loop {
            let next = async { answers.next().await.transpose() };
            let message = match tokio::time::timeout(WORK, next).await {
                Err(_) => return Err(EngineError::TimedOut { doing: DOING, limit: WORK }),
                Ok(Err(error)) => return Err(failure(&wanted.full(), error)),
                Ok(Ok(None)) => {
                    own.went_well();
                    return Ok(());
                }
                Ok(Ok(Some(message))) => message,
            };
            point(Point::ImagePulling);
            if let Some(progress) = self.meter.next(message) {
                self.said.tell(progress);
            }
        }
    }

    fn say(&self, words: &str) {
        self.said.tell(self.meter.remark(words));
    }
}

/// Engines read the credentials in the alphabet of base64 that is made for URLs and ignore them without a word when
/// they are in the common one, in which bollard writes them.
pub(crate) fn with_url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    for name in ["X-Registry-Auth", "X-Registry-Config"] {
        if let Some(value) = request.headers_mut().get_mut(name)
            && let Ok(common) = value.to_str()
            && let Ok(safe) = common.replace('+', "-").replace('/', "_").parse()
        {
            *value = safe;
        }
    }
    request
}

fn failure(image: &str, error: Bollard) -> EngineError {
    match EngineError::of(DOING, error) {
        EngineError::Refused { message, .. }
        | EngineError::Image { message, .. }
        | EngineError::NoSpace { detail: message } => pull_failure(image, &message),
        other => other,
    }
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
    fn what_is_wrong_with_the_credentials_is_said_when_access_is_refused() {
        let error = |problem| EngineError::Image { problem, message: "No.".to_owned() };
        let said = |problem| with_remark(error(problem), Some("No helper.".to_owned())).to_string();
        assert_eq!(said(ImageProblem::NoAccess), "No. No helper.");
        assert_eq!(said(ImageProblem::Unreachable), "No.");
    }
}
