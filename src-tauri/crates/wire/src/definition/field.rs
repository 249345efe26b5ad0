//! One member of a definition with the name a person knows it by, and the error that names it.
//! Not the rules of any one member: those are its callers'.

use std::fmt;

use deskgrid_job::FailureCode;
use serde_json::{Map, Value};

/// Most characters of a client's own text that a message repeats.
const SHOWN: usize = 80;

/// What is wrong with a definition: where, what, and what to do. The same definition fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}; {advice}")]
pub struct DefinitionError {
    /// The member, for example `inputs["../x"]`.
    pub field: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: String,
    /// What to do instead.
    pub advice: &'static str,
}

impl DefinitionError {
    /// The stable text of this kind of failure.
    pub fn code(&self) -> &'static str {
        FailureCode::BadDefinition.as_str()
    }
}

/// A member that may be missing; `null` counts as missing.
pub(super) struct Field<'a> {
    name: String,
    pub(super) value: Option<&'a Value>,
}

impl<'a> Field<'a> {
    /// The member `key` of the definition itself.
    pub(super) fn of(members: &'a Map<String, Value>, key: &str) -> Self {
        Self { name: key.to_owned(), value: present(members, key) }
    }

    /// The member `key` of the object that this member is.
    pub(super) fn member(&self, members: &'a Map<String, Value>, key: &str) -> Self {
        Self { name: format!("{}.{key}", self.name), value: present(members, key) }
    }

    /// The entry that a client named `key` in the object that this member is.
    pub(super) fn entry(&self, key: &str, value: &'a Value) -> Self {
        let name = format!("{}[{}]", self.name, quoted(key));
        Self { name, value: Some(value).filter(|value| !value.is_null()) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn error(&self, problem: impl fmt::Display, advice: &'static str) -> DefinitionError {
        DefinitionError { field: self.name.clone(), problem: problem.to_string(), advice }
    }

    /// The text; an empty one counts as missing, as it does to the clients.
    pub(super) fn text(&self) -> Result<Option<&'a str>, DefinitionError> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.error(format_args!("is {}", kind(other)), "give text")),
        }
    }

    pub(super) fn number(&self) -> Result<Option<f64>, DefinitionError> {
        match self.value {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => {
                Err(self.error(format_args!("is {}", kind(other)), "give a number without quotes"))
            }
        }
    }

    pub(super) fn object(&self) -> Result<Option<&'a Map<String, Value>>, DefinitionError> {
        match self.value {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(other) => Err(self.error(format_args!("is {}", kind(other)), "give an object, { ... }")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Result<Option<Vec<String>>, DefinitionError> {
        let Some(value) = self.value else { return Ok(None) };
        let items = value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        match items.flatten() {
            Some(texts) => Ok(Some(texts)),
            None => Err(self.error("is no list of texts", "give a list such as [\"A=1\", \"B=2\"]")),
        }
    }
}

/// `text` in quotes, cut to a length that fits a message.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    format!("{shown:?}")
}

fn present<'a>(members: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    members.get(key).filter(|value| !value.is_null())
}

/// What a JSON value is, in a sentence.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the truth value {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
