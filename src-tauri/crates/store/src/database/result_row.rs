//! A run's result as the JSON of one row. This form is ours alone: clients get the one of the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use deskgrid_job::{BlobHash, Failure, FailureCode, FilePath, LogLine, OutputFile, RunResult, Time};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

#[derive(Serialize, Deserialize)]
struct Row {
    exit_code: Option<i64>,
    duration: Option<Duration>,
    /// Code and message.
    failure: Option<(String, String)>,
    timed_out: bool,
    /// Hash and size by path.
    outputs: BTreeMap<String, (String, u64)>,
    /// Text, time, and whether it is an error line.
    notes: Vec<(String, u64, bool)>,
}

pub(super) fn encode(result: &RunResult) -> Result<String, StoreError> {
    let row = Row {
        exit_code: result.exit_code,
        duration: result.duration,
        failure: result
            .failure
            .as_ref()
            .map(|failure| (failure.code.as_str().into(), failure.message.clone())),
        timed_out: result.timed_out,
        outputs: result
            .outputs
            .iter()
            .map(|(path, file)| (path.to_string(), (file.hash.to_string(), file.size)))
            .collect(),
        notes: result.notes.iter().map(|line| (line.text.clone(), line.time.0, line.is_stderr)).collect(),
    };
    serde_json::to_string(&row)
        .map_err(|error| StoreError::damaged(format!("the result to be stored ({error})")))
}

/// None when the text is none of ours.
pub(super) fn decode(json: &str) -> Option<RunResult> {
    let row: Row = serde_json::from_str(json).ok()?;
    let failure = match row.failure {
        Some((code, message)) => Some(Failure::new(FailureCode::parse(&code)?, message)),
        None => None,
    };
    let outputs = row.outputs.into_iter().map(|(path, (hash, size))| {
        Some((FilePath::new(&path).ok()?, OutputFile { hash: BlobHash::parse(&hash)?, size }))
    });
    let notes =
        row.notes.into_iter().map(|(text, time, is_stderr)| LogLine { text, time: Time(time), is_stderr });
    Some(RunResult {
        exit_code: row.exit_code,
        duration: row.duration,
        failure,
        timed_out: row.timed_out,
        outputs: outputs.collect::<Option<_>>()?,
        notes: notes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_reads_back_with_all_its_parts() {
        let line = LogLine { text: "left out: ü\n".into(), time: Time(5), is_stderr: true };
        let file = OutputFile { hash: BlobHash([7; 32]), size: u64::MAX };
        let result = RunResult {
            exit_code: Some(-1),
            duration: Some(Duration::from_micros(1_234_567)),
            failure: Some(Failure::new(FailureCode::DiskFailed, "the disk is full")),
            timed_out: true,
            outputs: [(FilePath::new("a/b ü.txt").unwrap(), file)].into(),
            notes: vec![line],
        };
        assert_eq!(decode(&encode(&result).unwrap()), Some(result));
        assert_eq!(decode(&encode(&RunResult::default()).unwrap()), Some(RunResult::default()));
    }

    #[test]
    fn a_text_that_is_no_result_is_noticed() {
        assert_eq!(decode("{}"), None);
    }
}
