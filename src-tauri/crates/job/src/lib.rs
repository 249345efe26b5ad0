//! What a job is and how its life goes: names, definitions, states, the queue's rules.
//!
//! Everything here is a pure value or a pure function: no clock, no disk, no network, no engine, no wire format.
//! Whoever needs one of those hands its result in. This is what lets every rule be tested without a container.

pub mod blob;
pub mod caller;
pub mod course;
pub mod definition;
pub mod job;
pub mod log;
pub mod name;
pub mod path;
pub mod phase;
pub mod queue;
pub mod result;
pub mod shell;
pub mod time;

pub use blob::{BlobHash, BlobKey};
pub use caller::{Caller, Outlook, SHIPPED_ORIGINS};
pub use course::{Course, Stage, StageName, Trace};
pub use definition::{
    BUILT_IMAGES, BuildBlock, Command, DataRef, Definition, ImageSource, Needs, SecretAddress,
};
pub use job::{Carried, Hold, Job};
pub use log::LogLine;
pub use name::{JobId, NameError, Namespace, QueueName, WorkerId};
pub use path::{ConfigPath, FilePath, PathError};
pub use phase::{Phase, Reason};
pub use result::{Failure, FailureCode, OutputFile, RunResult};
pub use time::Time;
