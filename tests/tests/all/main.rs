//! End-to-end tests: each drives a really running server with a real engine, as clients do.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends by panicking")]

mod bounds;
mod doctor;
mod hardening;
mod peer;
mod routes;
mod runs;
mod sites;
