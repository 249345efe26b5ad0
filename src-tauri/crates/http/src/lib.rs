//! The server's face: HTTP and WebSocket routes over the worker and the store (protocol sections 4 and 5).
//!
//! This is the only crate that knows axum. It decides nothing about jobs and keeps nothing: it checks who asks,
//! reads names and bodies, and hands the rest to `deskgrid-worker`, `deskgrid-store` and `deskgrid-wire`.

mod access;
mod admin;
mod body;
mod bounds;
mod connection;
mod dashboard;
mod doctor;
mod error;
mod files;
mod gauges;
mod invitations;
mod job_files;
mod jobs;
mod local;
mod logs;
mod metrics;
mod moving;
mod names;
mod page;
mod peer;
mod port_holder;
mod protect;
mod serve;
mod site;
mod socket;
#[cfg(target_os = "linux")]
mod socket_table;
mod status;
mod stream;
mod submission;

pub use access::AccessRules;
pub use admin::{
    Books, Check, Complaint, DoorState, FoundEngine, JobsAtQuit, Move, News, Premises, Shell, Verdict,
};
pub use invitations::Invitations;
pub use local::{LocalDoor, OpenDoor};
pub use port_holder::{HolderProcess, PortHolder, SERVER, port_holder};
pub use serve::serve;
pub use site::{Admission, Site, SiteInfo};
