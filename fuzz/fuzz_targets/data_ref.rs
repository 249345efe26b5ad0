//! One reference to the bytes of an input file.
#![no_main]

use deskgrid_fuzz::assert_definition;
use deskgrid_job::DataRef;
use deskgrid_wire::definition;
use serde_json::{Value, json};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(entry) = serde_json::from_str::<Value>(text) else { return };
    let Some(bytes) = inline(&entry) else { return };
    assert!(bytes.len() <= text.len() * 8, "{} bytes of {}", bytes.len(), text.len());
    if entry["type"] == "json" {
        let value: Value = serde_json::from_slice(&bytes).expect("a JSON file is JSON");
        let again = inline(&json!({"type": "json", "value": value}));
        assert_eq!(again, Some(bytes), "the text of a JSON file reads back as itself");
    }
});

/// The bytes that stand in the reference itself.
fn inline(entry: &Value) -> Option<Vec<u8>> {
    let definition = definition::parse(&json!({"image": "a", "inputs": {"file": entry}})).ok()?;
    assert_definition(&definition);
    match definition.inputs.into_values().next()? {
        DataRef::Inline(bytes) => Some(bytes),
        DataRef::Url { .. } | DataRef::Key(_) => None,
    }
}
