//! Where the bytes of one file come from (protocol section 2, *`DataRef`*). Nothing is fetched here.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use deskgrid_job::{BlobHash, BlobKey, DataRef};
use serde_json::Value;

use super::field::{DefinitionError, Field, kind, quoted};
use crate::{ecmascript, url};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a reference; none where the entry is `null`.
pub(super) fn parse(entry: &Field) -> Result<Option<DataRef>, DefinitionError> {
    let Some(members) = entry.object()? else { return Ok(None) };
    let value = members.get("value");
    let data = match entry.member(members, "type").text()?.unwrap_or("utf8") {
        "utf8" => DataRef::Inline(plain(entry, value)?),
        "json" => DataRef::Inline(ecmascript::stringify(value.ok_or_else(|| missing(entry))?).into_bytes()),
        "base64" => DataRef::Inline(base64(entry, text(entry, value)?)?),
        "url" => DataRef::Url {
            url: web_address(entry, text(entry, value)?)?.to_owned(),
            hash: members.get("hash").and_then(Value::as_str).and_then(BlobHash::parse),
            key: crate::url::own_file_key(text(entry, value)?),
        },
        "key" => DataRef::Key(key(entry, text(entry, value)?)?),
        other => {
            let problem = format!("has the unknown type {}", quoted(other));
            return Err(entry.error(problem, "use one of utf8, json, base64, url, key"));
        }
    };
    Ok(Some(data))
}

fn missing(entry: &Field) -> DefinitionError {
    entry.error("has no value", "give the content as \"value\"")
}

/// Text as it is; anything else as its compact JSON, which is what clients that forget the type mean.
fn plain(entry: &Field, value: Option<&Value>) -> Result<Vec<u8>, DefinitionError> {
    match value {
        None | Some(Value::Null) => Err(missing(entry)),
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(other) => Ok(ecmascript::stringify(other).into_bytes()),
    }
}

fn text<'a>(entry: &Field, value: Option<&'a Value>) -> Result<&'a str, DefinitionError> {
    match value {
        None | Some(Value::Null) => Err(missing(entry)),
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let problem = format!("has as value {}", kind(other));
            Err(entry.error(problem, "give text, or use the type json"))
        }
    }
}

/// Decodes either alphabet, with or without padding and white space: encoders differ, the bytes are never in doubt.
fn base64(entry: &Field, text: &str) -> Result<Vec<u8>, DefinitionError> {
    let standard = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    BASE64.decode(digits).map_err(|_| {
        entry.error("is no valid base64", "encode the bytes again, or use the type utf8 for plain text")
    })
}

fn web_address<'a>(entry: &Field, text: &'a str) -> Result<&'a str, DefinitionError> {
    url::http(text).ok_or_else(|| {
        let problem = format!("has {} as url", quoted(text));
        entry.error(problem, "give a whole address that starts with http:// or https://")
    })
}

fn key(entry: &Field, text: &str) -> Result<BlobKey, DefinitionError> {
    BlobKey::new(text).map_err(|error| {
        entry.error(format_args!("names no stored file: {error}"), "give the key the file was stored under")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Option<DataRef>, DefinitionError> {
        let members = serde_json::Map::new();
        parse(&Field::of(&members, "inputs").entry("a", value))
    }

    fn bytes(value: &Value) -> Vec<u8> {
        match read(value) {
            Ok(Some(DataRef::Inline(bytes))) => bytes,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn inline_values_become_the_bytes_of_the_file() {
        assert_eq!(bytes(&json!({"value": "héé\n"})), "héé\n".as_bytes());
        assert_eq!(bytes(&json!({"value": "", "type": "utf8"})), b"");
        assert_eq!(bytes(&json!({"value": {"b": 1.0, "a": [1e21, null]}})), br#"{"b":1,"a":[1e+21,null]}"#);
        assert_eq!(bytes(&json!({"value": "x", "type": "json"})), b"\"x\"");
        assert_eq!(bytes(&json!({"value": null, "type": "json"})), b"null");
    }

    #[test]
    fn base64_is_read_in_every_usual_spelling() {
        let wanted = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "-__-AQ==", "+//+AQ", "-__-AQ", "+//\n +AQ=="] {
            assert_eq!(bytes(&json!({"value": text, "type": "base64"})), wanted, "{text}");
        }
        for text in ["+//+A", "a*b=", "="] {
            assert!(read(&json!({"value": text, "type": "base64"})).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_keeps_the_hash_that_is_one() {
        let hash = "c192d3bb13c568ba5a947ec82ae913dcbe69d9eed2efb804340298d8d5d14d55";
        let url = "http://localhost:8000/f/abc";
        let key = Some(BlobKey::Name("abc".into()));
        let read = |hash: &str| read(&json!({"value": url, "type": "url", "hash": hash})).unwrap().unwrap();
        assert_eq!(
            read(hash),
            DataRef::Url { url: url.into(), hash: BlobHash::parse(hash), key: key.clone() }
        );
        assert_eq!(read("abc"), DataRef::Url { url: url.into(), hash: None, key });
    }

    #[test]
    fn what_names_no_bytes_is_an_error_that_names_the_entry() {
        for (value, wanted) in [
            (json!({"type": "utf8"}), "inputs[\"a\"] has no value"),
            (json!({"value": null}), "has no value"),
            (json!({"type": "json"}), "has no value"),
            (json!({"value": "x", "type": "gzip"}), "unknown type \"gzip\""),
            (json!({"value": "x", "type": 5}), "inputs[\"a\"].type is the number 5"),
            (json!({"value": "file:///etc/passwd", "type": "url"}), "starts with http"),
            (json!({"value": 5, "type": "url"}), "the number 5"),
            (json!({"value": "../x", "type": "key"}), "names no stored file"),
            (json!("text"), "is the text \"text\""),
        ] {
            let error = read(&value).unwrap_err().to_string();
            assert!(error.contains(wanted), "{value}: {error}");
        }
        assert_eq!(read(&json!(null)), Ok(None));
    }
}
