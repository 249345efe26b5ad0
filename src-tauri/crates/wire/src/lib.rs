//! The JSON protocol of browsers and scripts, converted by hand to and from the terms of `deskgrid-job`.
//!
//! No other crate knows a field name of the protocol. This one knows no socket, no HTTP, no disk, no clock and no
//! engine: text goes in and domain values come out, or the other way round. Nothing that a client sends can make it
//! panic; what cannot be understood is an error that says which field, why, and what to do.

pub mod answer;
pub mod client_message;
pub mod command;
pub mod context_address;
pub mod definition;
pub mod duration;
mod ecmascript;
pub mod job_id;
mod json;
pub mod log;
pub mod record;
pub mod secrets;
pub mod server_message;
pub mod size;
pub mod sse;
pub mod submission;
pub mod url;
pub mod webhook;

pub use client_message::ClientMessage;
pub use definition::DefinitionError;
pub use record::View;
pub use server_message::{Step, WorkerDescription};
pub use submission::{Callback, CallbackEvent, Control, CopyRequest, Submission, SubmissionError};
