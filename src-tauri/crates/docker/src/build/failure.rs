//! Why an image could not be built, in words for people: the step and its exit code, or what is wrong with the
//! Dockerfile, or with an image that it begins with.

use bollard::errors::Error as Bollard;

use super::{BuildOrder, Reader};
use crate::error::{EngineError, ImageProblem, pull_failure, pull_problem};

/// What engines put before their words and what tells nobody anything.
const NOISE: [&str; 6] = [
    "failed to solve with frontend dockerfile.v0: ",
    "failed to create LLB definition: ",
    "failed to solve: ",
    "rpc error: code = Unknown desc = ",
    "failed to build LLB: ",
    "failed to compute cache key: ",
];

/// The engine's error in our terms.
pub(super) fn of(order: &BuildOrder, reader: &dyn Reader, error: Bollard) -> EngineError {
    match EngineError::of("building an image", error) {
        EngineError::Refused { message, .. } | EngineError::Image { message, .. } => {
            told(order, reader, without_noise(&message))
        }
        other => other,
    }
}

fn told(order: &BuildOrder, reader: &dyn Reader, said: &str) -> EngineError {
    let words = said.to_ascii_lowercase();
    if let Some(code) = exit_code(&words) {
        let step = reader.step().map_or_else(|| "a step".to_owned(), |step| format!("step {step}"));
        return failed(&format!("{step} failed with exit code {code}. Its output is in the build log."));
    }
    if let Some(target) = &order.target
        && (words.contains("target stage") || words.contains("build target"))
    {
        return failed(&format!("its Dockerfile has no stage {target:?}, which build.target asks for."));
    }
    if words.contains("no space left on device") {
        return EngineError::Image {
            problem: ImageProblem::NoSpace,
            message: format!(
                "The image could not be built: the container engine's disk is full. Free space there, for example \
                 with `docker system prune`, then submit the job again. The engine said: {said}"
            ),
        };
    }
    if let Some(image) = reader.missing()
        && pull_problem(&words) != ImageProblem::Other
    {
        return pull_failure(&image, said);
    }
    match reader.step() {
        Some(step) if !words.contains("dockerfile") => {
            failed(&format!("step {step} failed. The engine said: {said}"))
        }
        _ => failed(&format!("{said}.")),
    }
}

fn failed(why: &str) -> EngineError {
    EngineError::BuildFailed { message: format!("The image could not be built: {why}") }
}

/// Somebody removed it in the moment it was there.
pub(super) fn vanished(image: &str) -> EngineError {
    EngineError::Image {
        problem: ImageProblem::Other,
        message: format!("The image {image:?} was built and then removed. Submit the job again."),
    }
}

fn without_noise(said: &str) -> &str {
    let mut said = said.trim();
    while let Some(rest) = NOISE.iter().find_map(|noise| said.strip_prefix(noise)) {
        said = rest;
    }
    said
}

/// The number in `… exit code: 3` or `… returned a non-zero code: 3`.
fn exit_code(words: &str) -> Option<i64> {
    let found = ["exit code: ", "non-zero code: ", "exit status "].iter().find_map(|marker| {
        let start = words.rfind(marker)? + marker.len();
        Some(&words[start..])
    })?;
    let digits: String = found.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use bollard::models::BuildInfo;

    use super::super::BuildProgress;
    use super::*;

    struct At(&'static str, Option<&'static str>);

    impl Reader for At {
        fn take(&mut self, _: BuildInfo, _: &mut Vec<BuildProgress>) {}
        fn finish(&mut self, _: &mut Vec<BuildProgress>) {}
        fn step(&self) -> Option<String> {
            Some(self.0.to_owned()).filter(|step| !step.is_empty())
        }
        fn missing(&self) -> Option<String> {
            self.1.map(str::to_owned)
        }
    }

    fn order() -> BuildOrder {
        BuildOrder {
            image: "deskgrid/build:x".into(),
            dockerfile: "Dockerfile".into(),
            text: None,
            target: Some("nope".into()),
            args: [].into(),
            platform: None,
            has_network: true,
            worker: "w".into(),
        }
    }

    fn error(at: &At, said: &str) -> EngineError {
        of(&order(), at, Bollard::DockerStreamError { error: said.to_owned() })
    }

    #[test]
    fn both_builders_failing_steps_are_told_in_the_same_words() {
        let at = At("2/3 (RUN make)", None);
        for said in [
            "The command '/bin/sh -c make' returned a non-zero code: 2",
            "executor failed running [/bin/sh -c make]: exit code: 2",
            "failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        ] {
            let error = error(&at, said);
            assert_eq!(error.code(), "build-failed");
            assert_eq!(
                error.to_string(),
                "The image could not be built: step 2/3 (RUN make) failed with exit code 2. Its output is in the \
                 build log."
            );
        }
    }

    #[test]
    fn a_stage_that_is_not_there_is_named() {
        for said in [
            "failed to reach build target nope in Dockerfile",
            "failed to solve: target stage \"nope\" could not be found",
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: target stage nope could \
             not be found",
        ] {
            assert!(error(&At("", None), said).to_string().contains("no stage \"nope\""), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_dockerfile_keeps_its_line() {
        let error =
            error(&At("", None), "failed to solve: dockerfile parse error line 2: unknown instruction: FOO");
        let wanted = "The image could not be built: dockerfile parse error line 2: unknown instruction: FOO.";
        assert_eq!((error.code(), error.to_string().as_str()), ("build-failed", wanted));
    }

    #[test]
    fn an_image_that_cannot_be_had_is_told_as_for_a_pull() {
        let at = At("1/2 (FROM x:1)", Some("x:1"));
        for (said, code) in [
            ("dial tcp: lookup r.example: no such host", "registry-unreachable"),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                "image-no-access",
            ),
            ("manifest for x:1 not found: manifest unknown", "image-not-found"),
        ] {
            assert_eq!(error(&at, said).code(), code);
        }
        assert_eq!(error(&At("2/2 (COPY a b)", None), "\"/a\" not found").code(), "build-failed");
        assert_eq!(error(&at, "write /x: no space left on device").code(), "engine-no-space");
    }
}
