//! One text frame of a client's socket. A client submits, cancels, deletes and asks; it never says how a job ended.
#![no_main]

use deskgrid_fuzz::{assert_stays_below, assert_submission};
use deskgrid_job::phase::Withdrawal;
use deskgrid_wire::ClientMessage;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match ClientMessage::parse(text) {
        ClientMessage::Submit(submission) => assert_submission(&submission),
        ClientMessage::Release { job, reason, .. } => {
            assert_stays_below(job.as_str());
            assert_ne!(reason, Withdrawal::Replace);
        }
        ClientMessage::QueryJob(job) => assert_stays_below(job.as_str()),
        ClientMessage::Ignored(why) => assert!(why.chars().count() < 2000, "a line of log that nobody reads"),
        ClientMessage::Ping | ClientMessage::QueryJobStates => {}
    }
});
