//! The id that a definition gives its job when the client sends none (protocol section 2, *jobId*).
//! Not a check of the definition: anything that is JSON has an id.

use deskgrid_job::JobId;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::context_address;

const KEPT: [&str; 7] = ["v", "image", "command", "entrypoint", "workdir", "shmSize", "maxDuration"];
const KEPT_OF_BUILD: [&str; 7] =
    ["context", "buildContext", "filename", "target", "dockerfile", "buildArgs", "platform"];
const KEPT_OF_REQUIREMENTS: [&str; 4] = ["cpus", "gpus", "maxDuration", "memory"];
/// Variables that the page sets for itself, besides those that start with `mp-` or `mp_`.
const PLUMBING: [&str; 6] = ["channel", "CHANNEL", "readonly", "edit", "parent-metapage-id", "fs-path"];
/// The bucket whose links carry a signature that changes from day to day.
const SIGNED_BUCKET: &str = "https://metaframe-asman-test.s3.us-west-1.amazonaws.com";

/// The job id of `definition`: the hash of its canonical JSON, reduced to what makes a difference to the job.
pub fn of(definition: &Value) -> JobId {
    let hash = hex::encode(Sha256::digest(canonical(&reduced(definition))));
    named(&hash)
}

#[expect(clippy::expect_used, reason = "64 hexadecimal digits are letters and digits of an allowed length")]
fn named(hash: &str) -> JobId {
    JobId::new(hash).expect("a hash is a job id")
}

/// RFC 8785 text. Values that came from JSON have text keys and finite numbers, the only things it can refuse.
fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

/// The hash of the members of a `build` block that make a difference, without the credentials of its context; none
/// when nothing is left (protocol section 7).
pub(crate) fn build_hash(build: &Map<String, Value>) -> Option<String> {
    let mut kept = picked(build, &KEPT_OF_BUILD);
    if let Some(named) = kept.get("context").and_then(Value::as_str).map(context_address::for_name) {
        kept.insert("context".to_owned(), Value::from(named));
    }
    (!kept.is_empty()).then(|| hex::encode(Sha256::digest(canonical(&Value::Object(kept)))))
}

fn reduced(definition: &Value) -> Value {
    let nothing = Map::new();
    let members = definition.as_object().unwrap_or(&nothing);
    let mut kept = picked(members, &KEPT);
    kept.extend(picked(members, &["tags"]));
    let part = |name: &str| members.get(name).and_then(Value::as_object).unwrap_or(&nothing);
    for (name, reduced) in [
        ("build", picked(part("build"), &KEPT_OF_BUILD)),
        ("requirements", picked(part("requirements"), &KEPT_OF_REQUIREMENTS)),
        ("env", without_plumbing(part("env"))),
        ("inputs", refs(part("inputs"))),
        ("configFiles", refs(part("configFiles"))),
    ] {
        if !reduced.is_empty() {
            kept.insert(name.to_owned(), Value::Object(reduced));
        }
    }
    Value::Object(kept)
}

fn picked(members: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let present = names.iter().filter_map(|name| members.get_key_value(*name));
    present.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn without_plumbing(env: &Map<String, Value>) -> Map<String, Value> {
    let is_plumbing =
        |name: &str| name.starts_with("mp-") || name.starts_with("mp_") || PLUMBING.contains(&name);
    env.iter()
        .filter(|(name, _)| !is_plumbing(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn refs(files: &Map<String, Value>) -> Map<String, Value> {
    let refs = files.iter().filter_map(|(path, data)| Some((path, data.as_object()?)));
    refs.map(|(path, data)| (path.clone(), Value::Object(reduced_ref(data)))).collect()
}

fn reduced_ref(data: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = picked(data, &["type"]);
    let is_url = kept.get("type").and_then(Value::as_str) == Some("url");
    if let Some(value) = data.get("value") {
        let value = match value {
            Value::String(url) if is_url => Value::String(unsigned(url).to_owned()),
            other => other.clone(),
        };
        kept.insert("value".to_owned(), value);
    }
    kept
}

/// `url` without the parts that differ each time the same file is linked.
fn unsigned(url: &str) -> &str {
    let url = url.split_once("/presignedurl/").map_or(url, |(before, _)| before);
    if url.starts_with(SIGNED_BUCKET) { url.split(['?', '#']).next().unwrap_or(url) } else { url }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(serde::Deserialize)]
    struct Vector {
        definition: Value,
        #[serde(rename = "jobId")]
        job_id: String,
    }

    #[test]
    fn every_definition_of_the_vectors_has_its_id() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/job-ids.json")).unwrap();
        assert!(vectors.len() > 15);
        for Vector { definition, job_id } in vectors {
            assert_eq!(of(&definition).as_str(), job_id, "{definition}");
        }
    }

    #[test]
    fn null_members_count_as_missing() {
        let plain = of(&json!({"image": "a"}));
        assert_eq!(of(&json!({"image": "a", "command": null, "requirements": {"cpus": null}})), plain);
        assert_eq!(of(&json!({"image": "a", "tags": null, "inputs": null, "build": null})), plain);
    }

    #[test]
    fn anything_that_is_json_has_an_id() {
        for odd in [json!(null), json!([1]), json!({"inputs": {"a": "text"}}), json!({"env": 5})] {
            assert_eq!(of(&odd).as_str().len(), 64, "{odd}");
        }
    }
}
