//! Reads a job definition (protocol section 2). Not its id, which is a hash over the same JSON: see `job_id`.
//!
//! Unknown members are passed over and `null` is the same as missing; anything else that cannot be meant is an error
//! that names the member.

mod build;
mod data_ref;
mod field;
mod files;

use std::collections::BTreeMap;
use std::time::Duration;

use deskgrid_job::{Command, Definition, ImageSource, Needs};
use serde_json::Value;

pub use field::DefinitionError;
use field::{Field, kind, quoted};

use crate::{command, duration, ecmascript, size};

/// The least share of a CPU that the engine grants, in thousandths.
const LEAST_CPU: f64 = 10.0;
/// Longest run anyone can ask for. Adding it to a time never overflows, and nobody waits for its end.
const A_CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Reads `definition`.
///
/// # Errors
/// [`DefinitionError`] names the first member that makes the job impossible.
pub fn parse(definition: &Value) -> Result<Definition, DefinitionError> {
    let members = definition.as_object().ok_or_else(|| DefinitionError {
        field: "definition".to_owned(),
        problem: format!("is {}", kind(definition)),
        advice: "give an object with at least \"image\"",
    })?;
    let field = |name| Field::of(members, name);
    let env = environment(&field("env"))?;
    let files = files::parse(&field("inputs"), &field("configFiles"))?;
    let requirements = field("requirements");
    Ok(Definition {
        image: image(&field("image"), &field("build"))?,
        command: words(&field("command"), &env)?,
        entrypoint: words(&field("entrypoint"), &env)?,
        workdir: field("workdir").text()?.map(str::to_owned),
        shm_size: bytes(&field("shmSize"))?.filter(|size| *size > 0),
        inputs: files.inputs,
        config_files: files.config_files,
        max_duration: shorter(max_duration(&field("maxDuration"))?, needed_duration(&requirements)?),
        needs: needs(&requirements)?,
        env,
    })
}

/// A build that says anything wins over an image, as it does for the deployed workers.
fn image(image: &Field, build: &Field) -> Result<ImageSource, DefinitionError> {
    if let Some(block) = build::parse(build)? {
        return Ok(ImageSource::Build(Box::new(block)));
    }
    match image.text()?.map(str::trim) {
        Some(reference) if !reference.is_empty() => Ok(ImageSource::Reference(reference.to_owned())),
        _ => Err(DefinitionError {
            field: "definition".to_owned(),
            problem: "has neither image nor build".to_owned(),
            advice: "name an image, for example \"image\": \"python:3.12-slim\"",
        }),
    }
}

fn environment(field: &Field) -> Result<BTreeMap<String, String>, DefinitionError> {
    let mut env = BTreeMap::new();
    for (name, value) in field.object()?.into_iter().flatten() {
        let entry = field.entry(name, value);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(entry.error("is no name for a variable", "use letters, digits and '_'"));
        }
        let text = match entry.value {
            None => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Number(number)) => ecmascript::number_text(number),
            Some(other) => return Err(entry.error(format_args!("is {}", kind(other)), "give text")),
        };
        if text.contains('\0') {
            return Err(entry.error("contains a NUL character", "leave it out or use an input file"));
        }
        env.insert(name.clone(), text);
    }
    Ok(env)
}

/// A command or entry point. A list of words passes as it is: the deployed workers hand it to the engine.
fn words(field: &Field, env: &BTreeMap<String, String>) -> Result<Option<Command>, DefinitionError> {
    let command = match field.value {
        Some(Value::Array(_)) => field.texts()?.filter(|words| !words.is_empty()).map(Command::Words),
        _ => field.text()?.and_then(|text| command::split(text, env)),
    };
    let has_nul = match &command {
        Some(Command::Words(words)) => words.iter().any(|word| word.contains('\0')),
        Some(Command::Shell(text)) => text.contains('\0'),
        None => false,
    };
    if has_nul {
        return Err(field.error("contains a NUL character", "leave it out"));
    }
    Ok(command)
}

fn bytes(field: &Field) -> Result<Option<u64>, DefinitionError> {
    let size = match field.value {
        Some(Value::Number(number)) => number.as_f64().and_then(size::from_number),
        _ => match field.text()? {
            None => return Ok(None),
            Some(text) => size::parse(text),
        },
    };
    size.map(Some).ok_or_else(|| unreadable(field, "size", "give a size such as \"512m\" or \"2g\""))
}

fn max_duration(field: &Field) -> Result<Option<Duration>, DefinitionError> {
    const ADVICE: &str = "give a duration such as \"90s\", \"20m\" or \"1h30m\"";
    let millis = match field.value {
        Some(Value::Number(number)) => number.as_f64(),
        _ => match field.text()? {
            None => return Ok(None),
            Some(text) => duration::parse(text),
        },
    };
    let millis = millis.ok_or_else(|| unreadable(field, "duration", ADVICE))?;
    // Only a value too long for a duration fails here once it is positive.
    let duration = Duration::try_from_secs_f64(millis.max(0.0) / 1000.0).unwrap_or(A_CENTURY).min(A_CENTURY);
    if duration.is_zero() {
        return Err(field.error("leaves the job no time", ADVICE));
    }
    Ok(Some(duration))
}

fn unreadable(field: &Field, what: &str, advice: &'static str) -> DefinitionError {
    let shown = match field.value {
        Some(Value::String(text)) => quoted(text),
        other => other.map(ToString::to_string).unwrap_or_default(),
    };
    field.error(format_args!("cannot be read as a {what}: {shown}"), advice)
}

fn needed_duration(requirements: &Field) -> Result<Option<Duration>, DefinitionError> {
    let Some(members) = requirements.object()? else { return Ok(None) };
    max_duration(&requirements.member(members, "maxDuration"))
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn needs(requirements: &Field) -> Result<Needs, DefinitionError> {
    let mut needs = Needs::default();
    let Some(members) = requirements.object()? else { return Ok(needs) };
    if let Some(millis) = cpu_millis(&requirements.member(members, "cpus"))? {
        needs.cpu_millis = millis;
    }
    needs.gpus = gpus(&requirements.member(members, "gpus"))?;
    needs.memory = bytes(&requirements.member(members, "memory"))?.unwrap_or(0);
    Ok(needs)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn cpu_millis(field: &Field) -> Result<Option<u32>, DefinitionError> {
    match field.number()? {
        None => Ok(None),
        Some(cpus) if cpus > 0.0 => {
            Ok(Some((cpus * 1000.0).round().clamp(LEAST_CPU, f64::from(u32::MAX)) as u32))
        }
        Some(cpus) => Err(field.error(format_args!("is {cpus}"), "give a number above 0, such as 2 or 0.5")),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn gpus(field: &Field) -> Result<u32, DefinitionError> {
    match field.number()? {
        None => Ok(0),
        Some(gpus) if gpus >= 0.0 && gpus.fract() == 0.0 => Ok(gpus.min(f64::from(u32::MAX)) as u32),
        Some(gpus) => Err(field.error(format_args!("is {gpus}"), "give a whole number of GPUs, such as 1")),
    }
}

#[cfg(test)]
mod tests;
