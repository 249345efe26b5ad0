//! What a run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{BlobHash, FilePath, LogLine};

/// The outcome of one run, kept with the job (protocol section 3, `result`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunResult {
    /// The container's exit code; none when no container ended by itself.
    pub exit_code: Option<i64>,
    /// From the container's start to its end.
    pub duration: Option<Duration>,
    /// Why there is no container result.
    pub failure: Option<Failure>,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// Files below `/outputs` at exit.
    pub outputs: BTreeMap<FilePath, OutputFile>,
    /// Our own remarks, shown after the container's log: links left out, out of memory.
    pub notes: Vec<LogLine>,
}

impl RunResult {
    /// The result of a run that never came to a container result.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// One stored output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// What it holds.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub size: u64,
}

/// Why a job ended without a container result: what happened, to what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable across versions.
    pub code: FailureCode,
    /// A sentence or two for a person.
    pub message: String,
}

impl Failure {
    /// A failure of kind `code`, told by `message`.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The definition asks for something impossible; the same definition fails again.
    BadDefinition,
    /// The command is not in the image, or may not be executed.
    CannotStart,
    /// The image could not be brought here.
    ImageUnavailable,
    /// There is no such image.
    ImageNotFound,
    /// The registry wants to know who asks, or refuses the image to who asks.
    ImageNoAccess,
    /// The image is not made for this kind of computer.
    ImageWrongPlatform,
    /// The image's registry cannot be reached.
    RegistryUnreachable,
    /// The engine's disk has no room for the image.
    EngineNoSpace,
    /// The image could not be built; the same build fails again.
    BuildFailed,
    /// The files that the image is built from could not be had.
    ContextUnavailable,
    /// They need the token or password that the context's address had, which is not known any more.
    ContextTokenMissing,
    /// An input could not be fetched.
    InputUnavailable,
    /// More CPUs, memory or GPUs than this computer offers.
    TooLarge,
    /// The engine stopped answering, or lost the container more often than we try.
    EngineLost,
    /// The engine refused a call for a reason of its own.
    EngineRefused,
    /// Our own disk refused.
    DiskFailed,
    /// Our own disk, or the engine's, may only be read at the moment. A job that may have left something waits.
    DiskReadOnly,
    /// No room is left on the disk, or less than is held in reserve.
    DiskFull,
    /// A stored input is not the file any more that was put there.
    InputDamaged,
}

impl FailureCode {
    /// Every code.
    pub const ALL: [FailureCode; 19] = [
        Self::BadDefinition,
        Self::CannotStart,
        Self::ImageUnavailable,
        Self::ImageNotFound,
        Self::ImageNoAccess,
        Self::ImageWrongPlatform,
        Self::RegistryUnreachable,
        Self::EngineNoSpace,
        Self::BuildFailed,
        Self::ContextUnavailable,
        Self::ContextTokenMissing,
        Self::InputUnavailable,
        Self::TooLarge,
        Self::EngineLost,
        Self::EngineRefused,
        Self::DiskFailed,
        Self::DiskReadOnly,
        Self::DiskFull,
        Self::InputDamaged,
    ];

    /// The stable text of the code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadDefinition => "bad-definition",
            Self::CannotStart => "cannot-start",
            Self::ImageUnavailable => "image-unavailable",
            Self::ImageNotFound => "image-not-found",
            Self::ImageNoAccess => "image-no-access",
            Self::ImageWrongPlatform => "image-wrong-platform",
            Self::RegistryUnreachable => "registry-unreachable",
            Self::EngineNoSpace => "engine-no-space",
            Self::BuildFailed => "build-failed",
            Self::ContextUnavailable => "build-context-unavailable",
            Self::ContextTokenMissing => "build-context-token-missing",
            Self::InputUnavailable => "input-unavailable",
            Self::TooLarge => "too-large",
            Self::EngineLost => "engine-lost",
            Self::EngineRefused => "engine-refused",
            Self::DiskFailed => "disk-failed",
            Self::DiskReadOnly => "disk-read-only",
            Self::DiskFull => "disk-full",
            Self::InputDamaged => "input-damaged",
        }
    }

    /// The code of a stable text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// Whether this computer was the cause, so that the same job is run again when submitted again
    /// (protocol section 3, **Better**).
    pub fn is_this_computer(self) -> bool {
        !matches!(self, Self::BadDefinition | Self::CannotStart | Self::BuildFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_text() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::parse(code.as_str()), Some(code));
        }
    }
}
