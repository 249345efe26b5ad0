//! One text frame of a client's socket (protocol section 4, *client -> server*).
//!
//! Reading never fails: clients really send things that mean nothing, and those are [`ClientMessage::Ignored`].
//! Clients may submit, cancel, delete and ask. Whatever would declare a state or a result is ignored here, so that
//! no later code has to remember it.

use std::borrow::Cow;

use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{JobId, NameError, Namespace};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::submission::{Submission, object};

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// To hear `PONG`.
    Ping,
    /// A job to be run.
    Submit(Box<Submission>),
    /// To let go of a job.
    Release {
        /// The job.
        job: JobId,
        /// Cancel or delete; never the third kind.
        reason: Withdrawal,
        /// Which namespaces let go; none when the client named none (then those of its own submissions).
        namespace: Option<Released>,
        /// The client's words about it.
        message: Option<String>,
    },
    /// The record of one job.
    QueryJob(JobId),
    /// The whole queue.
    QueryJobStates,
    /// Nothing that we act upon, and why; for the log.
    Ignored(String),
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StateChange<'a> {
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    job: Option<Value>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Queued<'a> {
    #[serde(borrow)]
    enqueued: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Finished {
    reason: Option<String>,
    namespace: Option<Value>,
    message: Option<Value>,
}

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "jobId")]
    job: Option<Value>,
}

impl ClientMessage {
    /// Reads one text frame.
    pub fn parse(text: &str) -> Self {
        if text == "PING" { Self::Ping } else { frame(text).unwrap_or_else(Self::Ignored) }
    }
}

/// The namespaces that a client's word stands for: `*` is all of them, and the empty text the shared one.
///
/// # Errors
/// [`NameError`] when it is no namespace.
pub fn released(text: &str) -> Result<Released, NameError> {
    Ok(match text {
        "*" => Released::All,
        "" => Released::Only(vec![Namespace::shared()]),
        name => Released::Only(vec![Namespace::new(name)?]),
    })
}

fn part<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    object(text).map_err(|error| error.to_string())
}

fn raw(part: Option<&RawValue>) -> &str {
    part.map_or("null", RawValue::get)
}

fn frame(text: &str) -> Result<ClientMessage, String> {
    let frame: Frame = part(text)?;
    match frame.kind.as_deref() {
        Some("StateChange") => state_change(raw(frame.payload)),
        Some("QueryJob") => {
            let query: Query = part(raw(frame.payload))?;
            Ok(ClientMessage::QueryJob(job_of(query.job.as_ref())?))
        }
        Some("QueryJobStates") => Ok(ClientMessage::QueryJobStates),
        Some(other) => Err(format!("messages of type {:?} are not known", shortened(other))),
        None => Err("the message has no type".to_owned()),
    }
}

fn state_change(payload: &str) -> Result<ClientMessage, String> {
    let change: StateChange = part(payload)?;
    match change.state.as_deref() {
        Some("Queued") => {
            let queued: Queued = part(raw(change.value))?;
            let submission = Submission::parse_with(raw(queued.enqueued), change.job.as_ref());
            submission
                .map(|submission| ClientMessage::Submit(Box::new(submission)))
                .map_err(|e| e.to_string())
        }
        Some("Finished") => release(change.job.as_ref(), raw(change.value)),
        other => Err(format!("a client may not set a job to {:?}", shortened(other.unwrap_or("")))),
    }
}

fn release(job: Option<&Value>, value: &str) -> Result<ClientMessage, String> {
    let finished: Finished = part(value)?;
    let reason = match finished.reason.as_deref() {
        Some("Cancelled") => Withdrawal::Cancel,
        Some("Deleted") => Withdrawal::Delete,
        other => {
            return Err(format!("a client may not finish a job with {:?}", shortened(other.unwrap_or(""))));
        }
    };
    let namespace = match finished.namespace {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(released(&text).map_err(|error| error.to_string())?),
        Some(_) => return Err("the namespace is no text".to_owned()),
    };
    let message = finished.message.as_ref().and_then(Value::as_str).map(str::to_owned);
    Ok(ClientMessage::Release { job: job_of(job)?, reason, namespace, message })
}

fn job_of(job: Option<&Value>) -> Result<JobId, String> {
    let text = job.and_then(Value::as_str).ok_or("the job id is missing or no text")?;
    JobId::new(text).map_err(|error| error.to_string())
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn submitted(value: &Value) -> Box<Submission> {
        match ClientMessage::parse(&value.to_string()) {
            ClientMessage::Submit(submission) => submission,
            other => panic!("{other:?}"),
        }
    }

    fn change(state: &str, job: &Value, value: &Value) -> Value {
        json!({"type": "StateChange", "payload": {"tag": "", "state": state, "job": job, "value": value}})
    }

    #[test]
    fn a_queued_state_submits_its_job() {
        let enqueued = json!({"id": "inner", "definition": {"image": "a"}, "control": {"namespace": "n"}});
        let value = json!({"type": "Queued", "time": 1, "enqueued": enqueued});
        let submission = submitted(&change("Queued", &json!("outer"), &value));
        assert_eq!((submission.id.as_str(), submission.namespace.as_str()), ("inner", "n"));
        assert_eq!(submission.definition_text, r#"{"image":"a"}"#);
    }

    #[test]
    fn the_id_of_the_frame_counts_only_where_the_submission_has_none() {
        let value = json!({"enqueued": {"definition": {"image": "a"}}});
        assert_eq!(submitted(&change("Queued", &json!("outer"), &value)).id.as_str(), "outer");
        assert_eq!(submitted(&change("Queued", &json!(null), &value)).id.as_str().len(), 64);
        assert_eq!(submitted(&change("Queued", &json!(""), &value)).id.as_str().len(), 64);
    }

    #[test]
    fn cancelling_and_deleting_let_go_of_a_job() {
        let read = |value: Value| ClientMessage::parse(&change("Finished", &json!("j"), &value).to_string());
        let release = |reason, namespace, message: Option<&str>| ClientMessage::Release {
            job: JobId::new("j").unwrap(),
            reason,
            namespace,
            message: message.map(str::to_owned),
        };
        let one = |name: &str| Some(Released::Only(vec![Namespace::new(name).unwrap()]));
        assert_eq!(read(json!({"reason": "Cancelled", "time": 1})), release(Withdrawal::Cancel, None, None));
        assert_eq!(
            read(json!({"type": "Finished", "reason": "Deleted", "namespace": "n", "message": "m"})),
            release(Withdrawal::Delete, one("n"), Some("m"))
        );
        assert_eq!(
            read(json!({"reason": "Cancelled", "namespace": "*"})),
            release(Withdrawal::Cancel, Some(Released::All), None)
        );
        assert_eq!(
            read(json!({"reason": "Cancelled", "namespace": ""})),
            release(Withdrawal::Cancel, one("_"), None)
        );
    }

    #[test]
    fn a_client_cannot_declare_a_state_or_a_result() {
        for (state, value) in [
            ("Finished", json!({"reason": "Success", "result": {"StatusCode": 0}})),
            ("Finished", json!({"reason": "WorkerLost"})),
            ("Finished", json!({})),
            ("Running", json!({"worker": "w"})),
            ("Removed", json!({})),
        ] {
            let message = ClientMessage::parse(&change(state, &json!("j"), &value).to_string());
            assert!(matches!(message, ClientMessage::Ignored(_)), "{message:?}");
        }
    }

    #[test]
    fn questions_are_understood_with_and_without_payload() {
        let query = r#"{"type":"QueryJob","payload":{"jobId":"j"}}"#;
        assert_eq!(ClientMessage::parse(query), ClientMessage::QueryJob(JobId::new("j").unwrap()));
        for text in [r#"{"type":"QueryJobStates"}"#, r#" {"type":"QueryJobStates","payload":{"a":1}}"#] {
            assert_eq!(ClientMessage::parse(text), ClientMessage::QueryJobStates);
        }
        assert_eq!(ClientMessage::parse("PING"), ClientMessage::Ping);
    }

    #[test]
    fn what_means_nothing_is_ignored() {
        for text in [
            "",
            "undefined",
            "null",
            "PONG",
            "ping",
            "[]",
            "[\"QueryJobStates\",null]",
            "{}",
            "{\"type\":5}",
            "{\"type\":\"Workers\",\"payload\":{}}",
            "{\"type\":\"StateChange\"}",
            "{\"type\":\"StateChange\",\"payload\":[]}",
            "{\"type\":\"StateChange\",\"payload\":{\"state\":\"Queued\"}}",
            "{\"type\":\"StateChange\",\"payload\":{\"state\":\"Queued\",\"value\":{\"enqueued\":{}}}}",
            "{\"type\":\"QueryJob\"}",
            "{\"type\":\"QueryJob\",\"payload\":{\"jobId\":\"../x\"}}",
        ] {
            let message = ClientMessage::parse(text);
            assert!(matches!(message, ClientMessage::Ignored(_)), "{text}: {message:?}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_makes_the_reader_panic(text in any::<String>(), inner in any::<String>()) {
            ClientMessage::parse(&text);
            ClientMessage::parse(&format!(r#"{{"type":"StateChange","payload":{inner}}}"#));
            let value = json!({"reason": "Cancelled", "namespace": inner, "message": text});
            ClientMessage::parse(&change("Finished", &json!(inner), &value).to_string());
        }
    }
}
