//! What a client sends to have a job run: the body of a POST, and `enqueued` on the socket (protocol sections 2 to 5).
//! Not the definition's own rules: a bad definition is still a submission, whose job ends with an error.

use std::sync::Arc;

use deskgrid_job::{Carried, Definition, JobId, NameError, Namespace, QueueName, SecretAddress};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::definition::{self, DefinitionError};
use crate::{job_id, secrets, url};

/// A job as a client handed it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The client's own id, or the one that the definition gives.
    pub id: JobId,
    /// The definition's JSON exactly as it came, but for the secrets in the address of its build's context.
    pub definition_text: String,
    /// That address, where the text leaves out something of it.
    pub secret_context: Option<SecretAddress>,
    /// The definition in our terms, or why it can never run.
    pub definition: Result<Definition, DefinitionError>,
    /// The slot it was submitted under.
    pub namespace: Namespace,
    /// Whom to tell.
    pub callbacks: Vec<Callback>,
    /// What goes back in the job's record unread; none when there is nothing.
    pub carried: Option<Arc<Carried>>,
}

/// `control`: how a job is to be held and whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The slot; the shared one when none is named.
    pub namespace: Namespace,
    /// Whom to tell.
    pub callbacks: Vec<Callback>,
}

/// A web hook that a client asked for (protocol section 5, *submission webhook*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// When it is called.
    pub event: CallbackEvent,
    /// An absolute http or https address.
    pub url: String,
    /// JSON that is handed back as `config`.
    pub payload: String,
}

/// What a web hook waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallbackEvent {
    /// The job was put into the queue.
    Queued,
    /// The job is over.
    Finished,
}

impl CallbackEvent {
    /// Every event.
    pub const ALL: [CallbackEvent; 2] = [Self::Queued, Self::Finished];

    /// The protocol's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Finished => "finished",
        }
    }
}

/// Why something handed in is no job at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// The JSON around the definition cannot be read.
    #[error(
        "the submission cannot be read: {0}; send a JSON object such as {{\"definition\": {{\"image\": \"alpine\"}}}}"
    )]
    Unreadable(String),
    /// There is no definition, or it is no object of a sensible depth.
    #[error("the definition cannot be read: {0}; send an object with at least \"image\"")]
    Definition(String),
    /// The id, the namespace or the queue is no name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// `control` makes no sense.
    #[error("control.{field} {problem}")]
    Control {
        /// The member of `control`.
        field: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

impl SubmissionError {
    /// The stable text of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable-submission",
            Self::Definition(_) => "unreadable-definition",
            Self::Name(_) => "bad-name",
            Self::Control { .. } => "bad-control",
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<Value>,
    // Kept as text, since clients get it back exactly as they sent it.
    #[serde(borrow)]
    definition: Option<&'a RawValue>,
    control: Option<Value>,
    debug: Option<Value>,
}

impl Submission {
    /// Reads `{id?, definition, control?, debug?}`.
    ///
    /// # Errors
    /// [`SubmissionError`] when there is nothing that could be kept as a job. A definition that is an object but
    /// asks for something impossible is no error here: see [`Submission::definition`].
    pub fn parse(text: &str) -> Result<Self, SubmissionError> {
        Self::parse_with(text, None)
    }

    /// Reads the same as [`Submission::parse`], with `other_id` for a submission that carries no id itself.
    pub(crate) fn parse_with(text: &str, other_id: Option<&Value>) -> Result<Self, SubmissionError> {
        let body: Body = object(text)?;
        let definition_text = body.definition.map_or("null", RawValue::get);
        let definition: Value = serde_json::from_str(definition_text)
            .map_err(|error| SubmissionError::Definition(error.to_string()))?;
        if !definition.is_object() {
            return Err(SubmissionError::Definition("it is missing or no object".to_owned()));
        }
        let id = match given_id(body.id.as_ref())? {
            Some(id) => Some(id),
            None => given_id(other_id)?,
        };
        let control = control(body.control.as_ref())?;
        let (definition_text, secret_context) = secrets::for_keeping(definition_text, &definition);
        Ok(Self {
            id: id.unwrap_or_else(|| job_id::of(&definition)),
            definition_text,
            secret_context,
            namespace: control.namespace,
            callbacks: control.callbacks,
            carried: carried(&definition, body.debug.as_ref()),
            definition: definition::parse(&definition),
        })
    }
}

/// The body of `POST /j/:id/copy`: the job under another queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRequest {
    /// Where it shall be queued.
    pub queue: QueueName,
    /// How it is to be held there.
    pub control: Control,
}

impl CopyRequest {
    /// Reads `{queue, control?}`.
    ///
    /// # Errors
    /// [`SubmissionError`] when the queue is missing or a member makes no sense.
    pub fn parse(text: &str) -> Result<Self, SubmissionError> {
        #[derive(Deserialize)]
        struct Body {
            queue: Option<String>,
            control: Option<Value>,
        }
        let body: Body = object(text)?;
        Ok(Self {
            queue: QueueName::new(&body.queue.unwrap_or_default())?,
            control: control(body.control.as_ref())?,
        })
    }
}

/// Reads a JSON object. The reader itself would take a list of the members' values too.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, SubmissionError> {
    if !text.trim_start().starts_with('{') {
        return Err(SubmissionError::Unreadable("it is no JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| SubmissionError::Unreadable(error.to_string()))
}

/// The id when one was given; `null` and the empty text are none.
fn given_id(id: Option<&Value>) -> Result<Option<JobId>, SubmissionError> {
    match id {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(JobId::new(text)?)),
        Some(_) => Err(SubmissionError::Unreadable("the id is no text".to_owned())),
    }
}

fn wrong(field: impl Into<String>, problem: &'static str) -> SubmissionError {
    SubmissionError::Control { field: field.into(), problem }
}

fn control(control: Option<&Value>) -> Result<Control, SubmissionError> {
    let members = match control {
        None | Some(Value::Null) => {
            return Ok(Control { namespace: Namespace::shared(), callbacks: Vec::new() });
        }
        Some(Value::Object(members)) => members,
        Some(_) => return Err(SubmissionError::Unreadable("control is no object".to_owned())),
    };
    let namespace = match members.get("namespace") {
        None | Some(Value::Null) => Namespace::shared(),
        Some(Value::String(text)) if text.is_empty() => Namespace::shared(),
        Some(Value::String(text)) => Namespace::new(text)?,
        Some(_) => return Err(wrong("namespace", "is no text; give a name in quotes")),
    };
    Ok(Control { namespace, callbacks: callbacks(members.get("callbacks"))? })
}

fn callbacks(callbacks: Option<&Value>) -> Result<Vec<Callback>, SubmissionError> {
    let members = match callbacks {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong("callbacks", "is no object; give {\"queued\": {\"url\": ...}}")),
    };
    let asked = CallbackEvent::ALL.into_iter().filter_map(|event| {
        members.get(event.as_str()).filter(|value| !value.is_null()).map(|value| callback(event, value))
    });
    asked.collect()
}

fn callback(event: CallbackEvent, value: &Value) -> Result<Callback, SubmissionError> {
    let url = value.get("url").and_then(Value::as_str).and_then(url::http).ok_or_else(|| {
        let field = format!("callbacks.{}.url", event.as_str());
        wrong(field, "is no web address; give one that starts with http:// or https://")
    })?;
    let payload = value.get("payload").unwrap_or(&Value::Null).to_string();
    Ok(Callback { event, url: url.to_owned(), payload })
}

fn carried(definition: &Value, debug: Option<&Value>) -> Option<Arc<Carried>> {
    let text = |value: &Value| Some(value).filter(|value| !value.is_null()).map(Value::to_string);
    let carried = Carried {
        requirements: definition.get("requirements").and_then(text),
        tags: definition.get("tags").and_then(text),
        debug: debug.and_then(text),
    };
    (carried != Carried::default()).then(|| Arc::new(carried))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "c192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55";

    fn refused(text: &str) -> SubmissionError {
        Submission::parse(text).unwrap_err()
    }

    #[test]
    fn the_definition_is_kept_exactly_as_it_came() {
        let text = r#"{"definition": { "image" : "alpine:3.18.5",  "command":"echo hello", "x": 1.0 } }"#;
        let submission = Submission::parse(text).unwrap();
        assert_eq!(
            submission.definition_text,
            r#"{ "image" : "alpine:3.18.5",  "command":"echo hello", "x": 1.0 }"#
        );
        assert_eq!(submission.id.as_str(), HELLO);
        assert!(submission.namespace.is_shared() && submission.callbacks.is_empty());
        assert_eq!(submission.carried, None);
    }

    #[test]
    fn a_token_counts_for_the_id_and_is_not_in_the_text() {
        let text = r#"{"definition":{"build":{"context":"https://abc@github.com/o/r"}}}"#;
        let submission = Submission::parse(text).unwrap();
        let definition: Value = serde_json::from_str(text).unwrap();
        assert_eq!(submission.id, job_id::of(&definition["definition"]));
        assert!(!submission.definition_text.contains("abc") && submission.secret_context.is_some());
        assert!(!format!("{submission:?}").contains("abc"), "{submission:?}");
    }

    #[test]
    fn a_client_may_name_its_job() {
        let id = |id: &str| Submission::parse(&format!(r#"{{"id": {id}, "definition": {{"image": "a"}}}}"#));
        assert_eq!(id(r#""mine""#).unwrap().id.as_str(), "mine");
        assert_eq!(id("null").unwrap().id.as_str().len(), 64);
        assert_eq!(id(r#""""#).unwrap().id.as_str().len(), 64);
        assert_eq!(id(r#""../x""#).unwrap_err().code(), "bad-name");
        assert_eq!(id("5").unwrap_err().code(), "unreadable-submission");
    }

    #[test]
    fn control_names_the_slot_and_whom_to_tell() {
        let text = r#"{"definition": {"image": "a"}, "control": {"namespace": "n", "callbacks": {
            "queued": {"url": "http://h/q", "payload": {"a": [1]}}, "finished": {"url": "https://h/f"}, "x": 1}}}"#;
        let submission = Submission::parse(text).unwrap();
        assert_eq!(submission.namespace.as_str(), "n");
        let [queued, finished] = &submission.callbacks[..] else { panic!("{submission:?}") };
        assert_eq!((queued.event, queued.payload.as_str()), (CallbackEvent::Queued, r#"{"a":[1]}"#));
        assert_eq!((finished.event, finished.payload.as_str()), (CallbackEvent::Finished, "null"));
    }

    #[test]
    fn a_control_that_makes_no_sense_is_refused_by_name() {
        for (control, wanted) in [
            (
                r#"{"callbacks": {"queued": {"url": "file:///x"}}}"#,
                "control.callbacks.queued.url is no web address",
            ),
            (r#"{"callbacks": 1}"#, "control.callbacks is no object"),
            (r#"{"namespace": 1}"#, "control.namespace is no text"),
            (r#"{"namespace": "a\nb"}"#, "the namespace"),
            ("5", "control is no object"),
        ] {
            let error = refused(&format!(r#"{{"definition": {{"image": "a"}}, "control": {control}}}"#));
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_goes_back_unread_is_compact_json() {
        let text = "{\"definition\": {\"tags\": [ \"a\",\n\"b\" ], \"requirements\": {\"cpus\": 1.0}}, \"debug\": true}";
        let carried = Submission::parse(text).unwrap().carried.unwrap();
        assert_eq!(carried.tags.as_deref(), Some(r#"["a","b"]"#));
        assert_eq!(carried.requirements.as_deref(), Some(r#"{"cpus":1.0}"#));
        assert_eq!(carried.debug.as_deref(), Some("true"));
    }

    #[test]
    fn an_impossible_definition_is_still_a_submission() {
        let submission = Submission::parse(r#"{"definition": {"command": "x"}}"#).unwrap();
        assert!(submission.definition.unwrap_err().to_string().contains("neither image nor build"));
    }

    #[test]
    fn what_is_no_submission_is_refused() {
        for text in
            ["", "[]", "null", "undefined", "{", "{\"definition\":}", "[null,{\"image\":\"a\"}]", "{}x"]
        {
            assert_eq!(refused(text).code(), "unreadable-submission", "{text}");
        }
        for text in ["{}", r#"{"definition": null}"#, r#"{"definition": [1]}"#, r#"{"definition": "x"}"#] {
            assert_eq!(refused(text).code(), "unreadable-definition", "{text}");
        }
    }

    #[test]
    fn a_definition_nested_too_deeply_is_refused() {
        let nested = |depth: usize| {
            let inner = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            Submission::parse(&format!(r#"{{"definition": {{"image": "a", "x": {inner}}}}}"#))
        };
        assert!(nested(100).is_ok());
        for depth in [128, 1000, 1_000_000] {
            assert_eq!(nested(depth).unwrap_err().code(), "unreadable-definition", "{depth}");
        }
        let control = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        refused(&format!(r#"{{"definition": {{"image": "a"}}, "control": {control}}}"#));
    }

    #[test]
    fn a_copy_names_its_queue() {
        let copy = CopyRequest::parse(r#"{"queue": "other", "control": {"namespace": "n"}}"#).unwrap();
        assert_eq!((copy.queue.as_str(), copy.control.namespace.as_str()), ("other", "n"));
        assert!(CopyRequest::parse("{}").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>(), inner in any::<String>()) {
            let _ = Submission::parse(&text);
            let _ = Submission::parse(&format!(r#"{{"definition": {inner}}}"#));
            let _ = CopyRequest::parse(&format!(r#"{{"queue": {inner:?}}}"#));
        }
    }
}
