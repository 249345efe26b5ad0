//! The container engine: finding it, watching it come and go, and the calls that a job needs of it.
//!
//! This is the only crate that knows bollard and the Docker API. It knows nothing of jobs' lives, queues, the
//! layout of our disk, or HTTP towards our own clients.
//!
//! The way in is [`EngineWatch`], which hands out an [`Engine`] whenever one answers; everything else is a method
//! of [`Engine`].

mod address;
mod advice;
mod archive;
mod build;
mod census;
mod cli_config;
mod confinement;
mod container;
mod credentials;
mod delivery;
pub mod discovery;
mod disposal;
mod emulation;
mod engine;
mod error;
mod fetch;
mod folders;
mod holdings;
mod image;
mod image_news;
pub mod joint;
mod network;
mod open_files;
mod output;
mod pace;
mod probe;
mod progress;
mod published;
mod reach;
mod reference;
mod spec;
mod state;
mod surroundings;
mod usage;
mod watch;

pub use address::Address;
pub use advice::Advice;
pub use build::{BUILD_LABEL, Base, BuildOrder, BuildProgress, Builder};
pub use census::engines;
pub use confinement::Confinement;
pub use container::{ContainerId, Exit, OurContainer, Start};
pub use delivery::Delivery;
pub use discovery::{Candidate, Kind};
pub use disposal::{Certainty, Disposal, freed, freed_by};
pub use engine::{Engine, EngineInfo, Limits, Rights};
pub use error::{EngineError, ImageProblem};
pub use holdings::{EngineHoldings, HeldImage, HeldVolume, full_name};
pub use image::{Image, Pull, Sought};
pub use image_news::ImageNews;
pub use network::NETWORK;
pub use output::{Chunk, LogStream};
pub use pace::Pace;
pub use progress::{LayerProgress, PullProgress};
pub use published::Publisher;
pub use reach::Reach;
pub use spec::{Bind, ContainerSpec, Network, VolumeMount};
pub use state::{EngineState, Trouble};
pub use surroundings::{Platform, Surroundings};
pub use usage::Usage;
pub use watch::EngineWatch;

/// Label that marks every container of ours; its value is `true` (protocol section 6).
pub const LABEL: &str = "container.mtfm.io";
/// Label that holds the job's id.
pub const LABEL_ID: &str = "container.mtfm.io/id";
/// Label that holds the job's queue.
pub const LABEL_QUEUE: &str = "container.mtfm.io/queue";
/// Label that holds the worker's id; [`Engine::ours`] looks for it.
pub const LABEL_WORKER: &str = "container.mtfm.io/worker";
/// Label of the images that were built for a worker. Not that of its containers: whatever the person runs of such an
/// image has its labels too, and is none of ours.
pub const LABEL_BUILDER: &str = "deskgrid.worker";
