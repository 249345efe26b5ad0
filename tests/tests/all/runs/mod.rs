//! What a run is: its command, its container, its end, and when it is not repeated.

mod again;
mod commands;
mod container;
mod endings;
mod failures;
