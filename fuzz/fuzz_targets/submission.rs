//! The body of a POST: a submission with its definition, or the wish to copy a job.
#![no_main]

use deskgrid_fuzz::assert_submission;
use deskgrid_wire::{CopyRequest, Submission, job_id};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(submission) = Submission::parse(text) {
        assert_submission(&submission);
    }
    if let Ok(copy) = CopyRequest::parse(text) {
        assert!(!copy.queue.as_str().chars().any(char::is_control));
    }
    if let Ok(value) = serde_json::from_str(text) {
        assert_eq!(job_id::of(&value).as_str().len(), 64, "anything that is JSON has an id");
    }
});
