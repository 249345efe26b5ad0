//! End-to-end tests: each drives a really running server with a real engine, as clients do.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends by panicking")]

mod administration;
mod big_queue;
mod bounds;
mod builds;
mod callers;
mod cancel;
mod clients;
mod clock;
mod command_line;
mod crash;
mod dashboard;
mod desk;
mod desktop;
mod disk;
mod doctor;
mod engine;
mod files;
mod hardening;
mod images;
mod inputs;
mod integrity;
mod load;
mod logs;
mod main_job;
mod minute;
mod namespaces;
mod ordinary_user;
mod outputs;
mod pages;
mod peer;
mod previews;
mod restart;
mod routes;
mod runs;
mod scheduling;
mod sites;
mod socket;
mod two_copies;
mod upgrade;
