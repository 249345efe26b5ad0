//! Building an image: an order and a tar archive in, lines and counts of steps out. With `BuildKit` where the engine
//! has it, else with the classic builder; both give the same image, and their failures are told in the same words.
//!
//! Where the archive comes from, and who waits for the image, is not known here.

mod classic;
mod failure;
mod registries;
mod session;
mod trace;

use std::collections::{BTreeMap, HashMap};
use std::io;

use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use bytes::Bytes;
use deskgrid_fault::{Point, point};
use futures_util::stream::Stream;

use crate::LABEL_BUILDER;
use crate::cli_config;
use crate::engine::{Engine, EngineInfo};
use crate::error::EngineError;
use crate::image::Image;
use crate::image_news::OwnPull;
use crate::surroundings::Surroundings;

/// Bytes of a line beyond which it is told in parts.
const LONGEST_LINE: usize = 64 * 1024;
/// Label of the images that are built here; its value is the image's tag.
pub const BUILD_LABEL: &str = "deskgrid.build";

/// What is to be built.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildOrder {
    /// The name that the image gets, with a tag.
    pub image: String,
    /// The Dockerfile within the archive.
    pub dockerfile: String,
    /// Its text, where that is known: then only the registries that it names get the person's credentials.
    pub text: Option<String>,
    /// The stage that becomes the image; none for the last.
    pub target: Option<String>,
    /// Values for its `ARG`s.
    pub args: BTreeMap<String, String>,
    /// Operating system and processor; none for the engine's own.
    pub platform: Option<String>,
    /// Whether its steps can reach the internet.
    pub has_network: bool,
    /// The worker that has it built, as on its containers.
    pub worker: String,
}

/// Something that a builder said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildProgress {
    /// The line as `docker build` prints it, without a newline.
    pub line: String,
    /// Whether a step wrote it to its standard error.
    pub is_stderr: bool,
    /// Steps that are over.
    pub done: u64,
    /// Steps of all stages known so far.
    pub total: u64,
    /// What the line tells of an image that the build takes from a registry.
    pub base: Option<Base>,
}

/// An image that is pulled for a build and stays in the engine after it, by its full name. `BuildKit` pulls none such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// It is on its way.
    Coming(String),
    /// It is here.
    Here(String),
}

/// What reads a builder's messages.
trait Reader: Send {
    /// Takes in the next message and adds what there is to tell.
    fn take(&mut self, message: BuildInfo, told: &mut Vec<BuildProgress>);
    /// The build is over: adds what has waited for its end of line.
    fn finish(&mut self, told: &mut Vec<BuildProgress>);
    /// The step that was at work last, or that failed.
    fn step(&self) -> Option<String>;
    /// The image that could not be had, where that is what went wrong.
    fn missing(&self) -> Option<String>;
}

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// The one that builds steps side by side and keeps what it built before.
    BuildKit,
    /// The one that every engine has.
    Classic,
}

impl Builder {
    /// `BuildKit` is in every Docker for Linux containers since API 1.39.
    pub(crate) fn best(api_version: &str, os: &str, is_podman: bool) -> Self {
        let minor = api_version.strip_prefix("1.").and_then(|minor| minor.parse().ok()).unwrap_or(0);
        if is_podman || os == "windows" || minor < 39 { Self::Classic } else { Self::BuildKit }
    }

    /// The engine's best. As for the docker command line, the person can ask for the classic one by
    /// `DOCKER_BUILDKIT=0`.
    fn of(info: &EngineInfo, around: &Surroundings) -> Self {
        let is_refused = around.var("DOCKER_BUILDKIT").is_some_and(|value| value == "0" || value == "false");
        if is_refused { Self::Classic } else { info.builder }
    }
}

impl Engine {
    /// Builds an image from the tar archive `context`. An error in it breaks the build off. Dropping the future ends
    /// the build in the engine.
    ///
    /// There is no limit to how long a step may say nothing: compilers do so for hours.
    ///
    /// # Errors
    /// [`EngineError::BuildFailed`] when the Dockerfile or one of its steps is at fault, [`EngineError::Image`] when
    /// an image that it begins with could not be had.
    pub async fn build(
        &self,
        order: &BuildOrder,
        context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        progress: impl FnMut(BuildProgress) + Send,
    ) -> Result<Image, EngineError> {
        const DOING: &str = "building an image";
        let (builder, credentials) = self.preparation(order).await;
        let options = order.options(builder);
        let reader: Box<dyn Reader> = match builder {
            Builder::BuildKit => Box::new(trace::Trace::default()),
            Builder::Classic => Box::new(classic::Text::new(&order.args)),
        };
        let messages = session::build(self.info().address.clone(), options, credentials, context);
        let progress = self.with_its_pulls(progress);
        let followed = self.while_alive(DOING, follow(order, messages, reader, progress)).await;
        let result = followed.and_then(|followed| followed);
        self.doubt_after(&result);
        result?;
        point(Point::ImageBuilt);
        self.image(&order.image).await?.ok_or_else(|| failure::vanished(&order.image))
    }

    /// What the builder pulls is pulled for us.
    fn with_its_pulls(
        &self,
        mut progress: impl FnMut(BuildProgress) + Send,
    ) -> impl FnMut(BuildProgress) + Send {
        let mut pulls = HashMap::new();
        move |told: BuildProgress| {
            match &told.base {
                Some(Base::Coming(name)) => {
                    pulls.entry(name.clone()).or_insert_with(|| OwnPull::begin(self, name));
                }
                Some(Base::Here(name)) => {
                    let pull = pulls.remove(name).unwrap_or_else(|| OwnPull::begin(self, name));
                    pull.went_well();
                }
                None => {}
            }
            progress(told);
        }
    }

    /// Who builds, and what the person has stored for the registries that the Dockerfile names.
    async fn preparation(&self, order: &BuildOrder) -> (Builder, Credentials) {
        let (info, text, args) = (self.info().clone(), order.text.clone(), order.args.clone());
        let read = move || {
            let around = Surroundings::of_this_computer();
            let builder = Builder::of(&info, &around);
            let named = match text {
                Some(text) => registries::named(&text, &args),
                None => cli_config::registries(&around).into_iter().collect(),
            };
            (builder, named)
        };
        let Ok((builder, named)) = tokio::task::spawn_blocking(read).await else {
            return (Builder::Classic, HashMap::new());
        };
        (builder, registries::credentials(&named).await)
    }
}

type Credentials = HashMap<String, bollard::auth::DockerCredentials>;

/// Reads to the end.
async fn follow(
    order: &BuildOrder,
    mut messages: session::Messages,
    mut reader: Box<dyn Reader>,
    mut progress: impl FnMut(BuildProgress) + Send,
) -> Result<(), EngineError> {
    let mut told = Vec::new();
    let end = loop {
        match messages.recv().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok((message, _waited))) => reader.take(message, &mut told),
        }
        told.drain(..).for_each(&mut progress);
    };
    reader.finish(&mut told);
    told.into_iter().for_each(progress);
    end.map_err(|error| failure::of(order, reader.as_ref(), error))
}

impl BuildOrder {
    fn options(&self, builder: Builder) -> BuildImageOptions {
        let version = match builder {
            Builder::BuildKit => BuilderVersion::BuilderBuildKit,
            Builder::Classic => BuilderVersion::BuilderV1,
        };
        let tag = self.image.rsplit(':').next().unwrap_or_default();
        let args: HashMap<&str, &str> = self.args.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let options = BuildImageOptionsBuilder::new()
            .dockerfile(&self.dockerfile)
            .t(&self.image)
            .rm(true)
            .forcerm(true)
            .buildargs(&args)
            .labels(&HashMap::from([(BUILD_LABEL, tag), (LABEL_BUILDER, self.worker.as_str())]))
            .networkmode(if self.has_network { "default" } else { "none" })
            .platform(self.platform.as_deref().unwrap_or_default())
            .target(self.target.as_deref().unwrap_or_default())
            .version(version);
        options.build()
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{SystemInfo, SystemVersion};

    use super::*;
    use crate::address::Address;
    use crate::discovery::tests::computer;

    fn builder(api: &str, os: &str, env: &[(&str, &str)]) -> Builder {
        let version = SystemVersion {
            api_version: Some(api.to_owned()),
            os: Some(os.to_owned()),
            ..SystemVersion::default()
        };
        let info = EngineInfo::new(Address::parse("unix:///x"), version, SystemInfo::default());
        Builder::of(&info, &computer(env, &[]))
    }

    #[test]
    fn buildkit_builds_where_the_engine_has_it_and_the_person_does_not_refuse_it() {
        assert_eq!(builder("1.41", "linux", &[]), Builder::BuildKit);
        assert_eq!(builder("1.38", "linux", &[]), Builder::Classic);
        assert_eq!(builder("1.52", "windows", &[]), Builder::Classic);
        assert_eq!(builder("1.52", "linux", &[("DOCKER_BUILDKIT", "0")]), Builder::Classic);
        assert_eq!(builder("1.52", "linux", &[("DOCKER_BUILDKIT", "1")]), Builder::BuildKit);
    }
}
