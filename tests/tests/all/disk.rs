//! A disk that runs full, or may not be written to: nothing is lost, and everyone is told.

mod full;
mod read_only;
mod reserve;
