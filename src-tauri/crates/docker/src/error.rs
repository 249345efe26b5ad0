//! What can go wrong with an engine, in words for people. Bollard's errors end here.

use std::error::Error as _;
use std::time::Duration;

use bollard::errors::Error as Bollard;

/// What systems say of a disk that takes no more.
const FULL: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// What systems say of a disk that may only be read.
const READ_ONLY: &str = "read-only file system";
/// What Docker calls that which starts a container. What is read-only to it is in the container.
const RUNTIME: [&str; 2] = ["oci runtime", "runc"];

/// A call to the engine that did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody listens any more, or the connection broke.
    #[error("The container engine went away while {doing} ({detail}). Work goes on when it is back.")]
    Gone {
        /// What we were at.
        doing: &'static str,
        /// The system's words.
        detail: String,
    },
    /// It listens but does not answer.
    #[error(
        "The container engine did not answer within {} s while {doing}. If this happens again, restart the engine.",
        limit.as_secs()
    )]
    TimedOut {
        /// What we were at.
        doing: &'static str,
        /// How long we waited.
        limit: Duration,
    },
    /// The container ended while the engine was shutting down, which ends containers: its end says nothing about it.
    #[error(
        "The container was stopped because the container engine was. Work goes on when the engine is back."
    )]
    StoppedWithEngine {
        /// The exit code that it came to.
        code: i64,
    },
    /// Somebody removed the container, or the engine lost it.
    #[error("The container is gone: somebody removed it, or the engine lost it ({detail}).")]
    NoSuchContainer {
        /// The engine's words.
        detail: String,
    },
    /// It cannot keep a limit that the container was made with; containers that are made from now on have it not.
    #[error("The container engine cannot set a limit of the container ({detail}). It is made again without.")]
    LimitRefused {
        /// The engine's words.
        detail: String,
    },
    /// The container exists, the path in it does not.
    #[error("The container has no such file or folder ({detail}).")]
    NoSuchFile {
        /// The engine's words.
        detail: String,
    },
    /// The command is not there or may not run; the same container fails again.
    #[error("{message}")]
    CannotStart {
        /// Names command and image, and what to do.
        message: String,
    },
    /// The image is not here and could not be brought here.
    #[error("{message}")]
    Image {
        /// What is wrong.
        problem: ImageProblem,
        /// Names the image, and what to do.
        message: String,
    },
    /// The engine's own disk is full, wherever that is.
    #[error(
        "The container engine's disk is full ({detail}). Free space there, for example with `docker system prune`, \
         then run the job again."
    )]
    NoSpace {
        /// The engine's words.
        detail: String,
    },
    /// The engine's own disk may only be read, as a system has it that found the disk failing.
    #[error(
        "The container engine's disk may only be read ({detail}). See to it that the engine can write to it, then run \
         the job again."
    )]
    ReadOnly {
        /// The engine's words.
        detail: String,
    },
    /// The image could not be built; the same Dockerfile fails again.
    #[error("{message}")]
    BuildFailed {
        /// Names the step and its exit code, or what is wrong with the Dockerfile.
        message: String,
    },
    /// The engine answered and said no.
    #[error("The container engine refused {doing}: {message}")]
    Refused {
        /// What we were at.
        doing: &'static str,
        /// Its HTTP status; 0 where its answer made no sense.
        status: u16,
        /// Its words.
        message: String,
    },
}

/// Why an image could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageProblem {
    /// The text is no image reference.
    BadName,
    /// The registry has no such image or tag.
    NotFound,
    /// The registry does not let us.
    NoAccess,
    /// The image exists, but not for this kind of computer.
    WrongPlatform,
    /// The registry could not be reached.
    Unreachable,
    /// The registry was reached, but not by a connection that the engine trusts.
    Untrusted,
    /// The registry gives no more images for some time.
    RateLimited,
    /// The engine's disk is full.
    NoSpace,
    /// Anything else the engine said.
    Other,
}

impl EngineError {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "engine-gone",
            Self::TimedOut { .. } => "engine-timed-out",
            Self::StoppedWithEngine { .. } => "stopped-with-engine",
            Self::NoSuchContainer { .. } => "no-such-container",
            Self::LimitRefused { .. } => "limit-refused",
            Self::NoSuchFile { .. } => "no-such-file",
            Self::CannotStart { .. } => "cannot-start",
            Self::NoSpace { .. } => "no-space",
            Self::ReadOnly { .. } => "read-only",
            Self::Image { problem, .. } => problem.code(),
            Self::BuildFailed { .. } => "build-failed",
            Self::Refused { .. } => "engine-refused",
        }
    }

    /// Whether the engine itself is in doubt, rather than this one call.
    pub fn is_engine_lost(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::TimedOut { .. } | Self::StoppedWithEngine { .. })
    }

    /// Puts bollard's error into our terms.
    pub(crate) fn of(doing: &'static str, error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::of_answer(doing, status_code, message)
            }
            Bollard::DockerStreamError { error } if is_read_only(&error.to_ascii_lowercase()) => {
                Self::ReadOnly { detail: error }
            }
            Bollard::DockerStreamError { error } => Self::Refused { doing, status: 500, message: error },
            Bollard::IOError { .. }
            | Bollard::HyperResponseError { .. }
            | Bollard::HyperLegacyError { .. }
            | Bollard::RequestTimeoutError
            | Bollard::SocketNotFoundError(_) => Self::Gone { doing, detail: whole_story(&error) },
            // An answer that stops in the middle of its JSON is a broken connection too.
            Bollard::JsonSerdeError { ref err } if err.is_eof() => {
                Self::Gone { doing, detail: whole_story(&error) }
            }
            other => Self::Refused { doing, status: 0, message: whole_story(&other) },
        }
    }

    fn of_answer(doing: &'static str, status: u16, message: String) -> Self {
        let words = message.to_ascii_lowercase();
        match status {
            404 if words.contains("no such container") => Self::NoSuchContainer { detail: message },
            404 if words.contains("could not find the file") => Self::NoSuchFile { detail: message },
            404 if words.contains("no such image") => Self::Image {
                problem: ImageProblem::NotFound,
                message: format!("The image is not in the engine any more ({message})."),
            },
            _ if FULL.iter().any(|full| words.contains(full)) => Self::NoSpace { detail: message },
            _ if is_read_only(&words) => Self::ReadOnly { detail: message },
            _ => Self::Refused { doing, status, message },
        }
    }
}

/// Whether the engine's own disk may only be read, by its words in small letters.
fn is_read_only(words: &str) -> bool {
    words.contains(READ_ONLY) && !RUNTIME.iter().any(|runtime| words.contains(runtime))
}

impl ImageProblem {
    fn code(self) -> &'static str {
        match self {
            Self::BadName => "bad-image-name",
            Self::NotFound => "image-not-found",
            Self::NoAccess => "image-no-access",
            Self::WrongPlatform => "image-wrong-platform",
            Self::Unreachable => "registry-unreachable",
            Self::Untrusted => "registry-untrusted",
            Self::RateLimited => "registry-rate-limit",
            Self::NoSpace => "engine-no-space",
            Self::Other => "image-unavailable",
        }
    }
}

/// An error with all its causes, as hyper's own text says no more than "client error (Connect)".
fn whole_story(error: &Bollard) -> String {
    let mut story = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !story.contains(&words) {
            story = format!("{story}: {words}");
        }
        cause = deeper.source();
    }
    story
}

/// Puts the engine's words about a failed pull of `image` into a class and words of ours.
///
/// The engine hands on what the registry and the network said, so words are all there is to go by.
pub(crate) fn pull_failure(image: &str, said: &str) -> EngineError {
    let problem = pull_problem(&said.to_ascii_lowercase());
    let advice = match problem {
        ImageProblem::BadName => "is not a valid image name. Write it as in `docker pull`".to_owned(),
        ImageProblem::NotFound => "does not exist in its registry. Check its name and tag".to_owned(),
        ImageProblem::NoAccess => format!(
            "does not exist or may not be read by you. Check its name, or sign in with `docker login{}`",
            login_argument(image)
        ),
        ImageProblem::WrongPlatform => {
            "is not made for this kind of computer. Ask for another platform or another image".to_owned()
        }
        ImageProblem::Unreachable => {
            "could not be fetched: its registry cannot be reached. Check the network, then submit the job again"
                .to_owned()
        }
        ImageProblem::Untrusted => "could not be fetched: the engine does not trust the connection to its registry. Give \
                                    the registry a valid certificate, or name it in the engine's setting \
                                    `insecure-registries`"
            .to_owned(),
        ImageProblem::RateLimited => format!(
            "could not be fetched: its registry gives you no more images for some time. Sign in with `docker login{}`, \
             which allows more, or try again later",
            login_argument(image)
        ),
        ImageProblem::NoSpace => "does not fit on the container engine's disk. Free space there, for example with \
                                  `docker system prune`, then submit the job again"
            .to_owned(),
        ImageProblem::Other => "could not be fetched".to_owned(),
    };
    EngineError::Image { problem, message: format!("The image {image:?} {advice}. The engine said: {said}") }
}

/// What `docker login` takes for the image's registry, after a space: nothing for the default one.
fn login_argument(image: &str) -> String {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => format!(" {host}"),
        _ => String::new(),
    }
}

pub(crate) fn pull_problem(said: &str) -> ImageProblem {
    const WORDS: [(ImageProblem, &[&str]); 8] = [
        (ImageProblem::NoSpace, &FULL),
        (
            ImageProblem::BadName,
            &["invalid reference format", "invalid repository name", "invalid tag format"],
        ),
        (
            ImageProblem::WrongPlatform,
            &["no matching manifest", "no match for platform", "does not match the specified platform"],
        ),
        (ImageProblem::RateLimited, &["toomanyrequests", "too many requests"]),
        (ImageProblem::Untrusted, &["x509:", "http response to https client"]),
        (
            ImageProblem::NoAccess,
            &[
                "pull access denied",
                "unauthorized",
                "no basic auth credentials",
                "denied:",
                "forbidden",
                ": 401",
                ": 403",
            ],
        ),
        (
            ImageProblem::NotFound,
            &["manifest unknown", "not found: manifest", "name unknown", "not found", "no such image"],
        ),
        (
            ImageProblem::Unreachable,
            &[
                "no such host",
                "connection refused",
                "connection reset",
                "network is unreachable",
                "no route to host",
                "i/o timeout",
                "timeout",
                "deadline exceeded",
                "request canceled",
                "temporary failure in name resolution",
                "server misbehaving",
                "bad gateway",
                "service unavailable",
                "gateway timeout",
                "broken pipe",
                "closed idle connection",
                "closed network connection",
                ": eof",
                "unexpected eof",
            ],
        ),
    ];
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
    found.map_or(ImageProblem::Other, |(problem, _)| *problem)
}

/// Puts a refusal to start into plain words, where the cause is the command or the computer's set-up.
pub(crate) fn start_failure(error: EngineError, command: &str, image: &str) -> EngineError {
    let EngineError::Refused { doing, status, message: said } = error else { return error };
    let words = said.to_ascii_lowercase();
    let cannot = |what: &str| EngineError::CannotStart {
        message: format!("The command {command:?} {what} in the image {image:?}. The engine said: {said}"),
    };
    if words.contains("executable file not found") || words.contains("no such file or directory") {
        cannot("does not exist")
    } else if words.contains("permission denied") || words.contains("is a directory") {
        cannot("may not be executed")
    } else if words.contains("exec format error") {
        cannot("is not a program for this kind of computer")
    } else if words.contains("no command specified") {
        EngineError::CannotStart {
            message: format!("The image {image:?} has no command of its own. Give the job a command."),
        }
    } else if words.contains("could not select device driver") {
        EngineError::Refused {
            doing,
            status,
            message: format!(
                "it has no support for NVIDIA GPUs. Install the NVIDIA Container Toolkit and restart the engine, or \
                 ask for no GPU ({said})"
            ),
        }
    } else if words.contains("working directory") || words.contains("chdir to cwd") {
        EngineError::CannotStart { message: format!("The job's working folder cannot be used: {said}") }
    } else {
        EngineError::Refused { doing, status, message: said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(said: &str) -> ImageProblem {
        let EngineError::Image { problem, .. } = pull_failure("x", said) else { panic!("{said}") };
        problem
    }

    #[test]
    fn a_failed_pull_is_told_apart_by_what_the_engine_said() {
        use ImageProblem::{
            BadName, NoAccess, NoSpace, NotFound, Other, RateLimited, Unreachable, Untrusted, WrongPlatform,
        };
        for (said, wanted) in [
            (
                "pull access denied for nope, repository does not exist or may require 'docker login'",
                NoAccess,
            ),
            ("Head \"https://ghcr.io/v2/a/b/manifests/latest\": unauthorized", NoAccess),
            ("manifest for busybox:nope not found: manifest unknown: manifest unknown", NotFound),
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                Unreachable,
            ),
            ("Get \"http://localhost:1/v2/\": dial tcp [::1]:1: connect: connection refused", Unreachable),
            ("Get https://r/v2/: net/http: request canceled while waiting for connection", Unreachable),
            ("toomanyrequests: You have reached your pull rate limit", RateLimited),
            ("Get https://r/v2/: x509: certificate signed by unknown authority", Untrusted),
            ("Get \"https://r:1/v2/\": http: server gave HTTP response to HTTPS client", Untrusted),
            (
                "failed to register layer: Error processing tar file: write /x: no space left on device",
                NoSpace,
            ),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", WrongPlatform),
            ("invalid reference format: repository name must be lowercase", BadName),
            ("something new", Other),
        ] {
            assert_eq!(problem_of(said), wanted, "{said}");
        }
    }

    #[test]
    fn a_full_disk_of_the_engine_is_told_as_that_whatever_was_being_done() {
        for (status, said) in [
            (500, "mkdir /var/lib/docker/overlay2/a-init: no space left on device"),
            (500, "error creating overlay mount to /x: Disk quota exceeded"),
        ] {
            let error = EngineError::of_answer("creating a container", status, said.to_owned());
            assert_eq!(error.code(), "no-space", "{said}");
            let words = error.to_string();
            assert!(words.contains("disk is full") && words.contains("docker system prune"), "{words}");
        }
    }

    #[test]
    fn a_disk_of_the_engine_that_may_only_be_read_is_told_apart_from_what_is_read_only_in_a_container() {
        let code = |said: &str| EngineError::of_answer("calling", 500, said.to_owned()).code();
        assert_eq!(code("mkdir /var/lib/docker/overlay2/a-init: read-only file system"), "read-only");
        let in_container = "failed to create task for container: OCI runtime create failed: runc create failed: error \
                            mounting \"/a\" to rootfs at \"/b/c\": create mountpoint: read-only file system: unknown";
        assert_eq!(code(in_container), "engine-refused");
        let told =
            Bollard::DockerStreamError { error: "mkdir /var/lib/docker/a: read-only file system".to_owned() };
        assert_eq!(EngineError::of("building an image", told).code(), "read-only");
    }

    #[test]
    fn a_private_image_names_the_registry_to_sign_in_to() {
        let text = pull_failure("ghcr.io/a/b", "denied: denied").to_string();
        assert!(text.contains("docker login ghcr.io"), "{text}");
    }

    #[test]
    fn a_command_that_cannot_run_is_named_with_its_image() {
        let refused = |message: &str| EngineError::Refused {
            doing: "starting a container",
            status: 400,
            message: message.into(),
        };
        for (said, wanted) in [
            ("exec: \"foo\": executable file not found in $PATH: unknown", "does not exist"),
            ("exec: \"/nope\": stat /nope: no such file or directory", "does not exist"),
            ("exec: \"/etc/passwd\": permission denied: unknown", "may not be executed"),
            ("exec /bin/x: exec format error", "not a program for this kind"),
        ] {
            let error = start_failure(refused(said), "foo", "img");
            let text = error.to_string();
            assert_eq!(error.code(), "cannot-start");
            assert!(text.contains(wanted) && text.contains("\"foo\"") && text.contains("\"img\""), "{text}");
        }
        let text = start_failure(refused("could not select device driver \"nvidia\""), "a", "b").to_string();
        assert!(text.contains("NVIDIA Container Toolkit"), "{text}");
    }

    #[test]
    fn answers_of_the_engine_keep_their_meaning() {
        let of = |status_code, message: &str| {
            let error = Bollard::DockerResponseServerError { status_code, message: message.into() };
            EngineError::of("looking", error)
        };
        assert_eq!(of(404, "No such container: x").code(), "no-such-container");
        assert_eq!(of(404, "Could not find the file /o in container x").code(), "no-such-file");
        assert_eq!(of(404, "No such image: x").code(), "image-not-found");
        assert_eq!(of(409, "Conflict").code(), "engine-refused");
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(EngineError::of("looking", Bollard::IOError { err: broken }).is_engine_lost());
    }
}
