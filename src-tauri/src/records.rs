//! The parts of the server's answers that commands read (protocol sections 3 and 5). Members that no command needs
//! are left out, and unknown ones are no error, so that a newer server can be talked to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The envelope of most answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Data<T> {
    pub(crate) data: T,
}

/// The answer to a submission.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submitted {
    pub(crate) job_id: String,
}

/// A job in lists and results.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) state: String,
    pub(crate) finished_reason: Option<String>,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub(crate) queued_time: u64,
    /// When the state last changed, in milliseconds since the epoch.
    #[serde(default)]
    pub(crate) time: u64,
    pub(crate) finished: Option<Finished>,
}

/// How a job ended.
#[derive(Debug, Deserialize)]
pub(crate) struct Finished {
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) result: Option<JobResult>,
}

/// What a run came to.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct JobResult {
    #[serde(rename = "StatusCode")]
    pub(crate) status_code: Option<i64>,
    /// Milliseconds.
    pub(crate) duration: Option<f64>,
    /// A text, or an object with a `message`.
    #[serde(default)]
    pub(crate) error: serde_json::Value,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, Output>,
    /// Our own addition: remarks about the run that are not the container's words.
    #[serde(default)]
    pub(crate) notes: Vec<Line>,
}

/// A stored output.
#[derive(Debug, Deserialize)]
pub(crate) struct Output {
    /// The SHA-256 of its bytes.
    pub(crate) hash: Option<String>,
}

/// A slice of a job's log.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogSlice {
    pub(crate) data: Vec<Line>,
    /// The number of lines before the next one.
    pub(crate) next_cursor: usize,
}

/// Lines as the stream sends them.
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    /// The number of lines up to and with the last of these.
    pub(crate) cursor: Option<usize>,
}

/// A change of state as the stream sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct StateChange {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
}

/// How far the download of an image is.
#[derive(Debug, Deserialize)]
pub(crate) struct Progress {
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) layers: Vec<Layer>,
    /// Bytes.
    #[serde(default)]
    pub(crate) done: u64,
    /// Bytes; 0 while unknown.
    #[serde(default)]
    pub(crate) total: u64,
}

/// One layer of an image on its way here.
#[derive(Debug, Deserialize)]
pub(crate) struct Layer {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) status: String,
    /// Bytes.
    #[serde(default)]
    pub(crate) done: u64,
    /// Bytes; 0 while unknown.
    #[serde(default)]
    pub(crate) total: u64,
}

/// The answer of `/q/<queue>/status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueStatus {
    #[serde(default)]
    pub(crate) local_workers: BTreeMap<String, Worker>,
    #[serde(default)]
    pub(crate) client_count: usize,
    /// Our own addition: what the engine is like just now.
    pub(crate) engine: Option<Engine>,
}

/// A worker as the status shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Worker {
    #[serde(default)]
    pub(crate) cpus: f64,
    #[serde(default)]
    pub(crate) gpus: f64,
    #[serde(default)]
    pub(crate) max_job_duration: serde_json::Value,
}

/// The engine as the status shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Engine {
    pub(crate) state: String,
    pub(crate) message: Option<String>,
}

/// One line of a log: `[text, time]` or `[text, time, isStderr]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// As the container wrote it, with its newline.
    pub(crate) text: String,
    pub(crate) is_stderr: bool,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log line: [text, time, isStderr?]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Line, A::Error> {
        let text = parts.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
        parts.next_element::<IgnoredAny>()?;
        let is_stderr = parts.next_element::<Option<bool>>()?.flatten().unwrap_or(false);
        while parts.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Line { text, is_stderr })
    }
}

impl JobResult {
    /// Why there is no container result, in words.
    pub(crate) fn error_text(&self) -> Option<String> {
        match &self.error {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(
                other
                    .get("message")
                    .and_then(|text| text.as_str())
                    .map_or_else(|| other.to_string(), str::to_owned),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_leave_out_its_stream() {
        let lines: Vec<Line> = serde_json::from_str(r#"[["a\n",1],["b",2,true],["c",3,null]]"#).unwrap();
        assert_eq!(lines.iter().map(|line| line.is_stderr).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(lines[0].text, "a\n");
        assert!(serde_json::from_str::<Line>("[]").is_err());
    }

    #[test]
    fn a_result_is_read_from_its_record() {
        let text = r#"{"data":{"state":"Finished","queuedTime":1,"time":2,"worker":"w","namespaces":["_"],
            "finished":{"type":"Finished","reason":"Success","time":3,
              "result":{"StatusCode":3,"logs":[],"duration":12.5,
                "outputs":{"a/b":{"type":"url","value":"http://localhost:8000/f/x","hash":"x"}}}}}}"#;
        let record: Data<Option<Record>> = serde_json::from_str(text).unwrap();
        let result = record.data.unwrap().finished.unwrap().result.unwrap();
        assert_eq!((result.status_code, result.outputs.len()), (Some(3), 1));
        assert_eq!(result.error_text(), None);
    }

    #[test]
    fn an_error_may_be_a_text_or_an_object() {
        let error = |text| serde_json::from_str::<JobResult>(text).unwrap().error_text();
        assert_eq!(error(r#"{"error":"no such image"}"#).unwrap(), "no such image");
        assert_eq!(error(r#"{"error":{"message":"no"}}"#).unwrap(), "no");
        assert_eq!(error(r#"{"error":{"code":1}}"#).unwrap(), r#"{"code":1}"#);
    }
}
