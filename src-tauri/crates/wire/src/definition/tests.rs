//! Tests of the definition as a whole; those of its files stand beside their code.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refused(definition: &Value) -> String {
    let error = parse(definition).unwrap_err();
    assert_eq!(error.code(), "bad-definition");
    error.to_string()
}

/// A definition with one more member.
fn with(name: &str, value: Value) -> Value {
    let mut definition = json!({"image": "a"});
    definition[name] = value;
    definition
}

#[test]
fn a_full_definition_is_read_in_our_terms() {
    let definition = parse(&json!({
        "image": "python:3.12-slim", "command": "python $S", "entrypoint": "", "workdir": "/w", "shmSize": "2g",
        "env": {"S": "/inputs/a.py", "N": 1.0, "B": true, "gone": null},
        "inputs": {"a.py": {"value": "print()"}},
        "maxDuration": "20m", "requirements": {"cpus": 0.5, "gpus": 1, "memory": "4g", "maxDuration": "10m"},
        "tags": ["x"], "v": 1, "unknown": [1]
    }))
    .unwrap();
    assert_eq!(definition.image, ImageSource::Reference("python:3.12-slim".into()));
    assert_eq!(definition.command, Some(Command::Words(vec!["python".into(), "/inputs/a.py".into()])));
    assert_eq!(definition.entrypoint, None);
    assert_eq!(definition.shm_size, Some(2 << 30));
    assert_eq!(definition.env["N"], "1");
    assert_eq!(definition.env["B"], "true");
    assert_eq!(definition.env.len(), 3);
    assert_eq!(definition.max_duration, Some(Duration::from_secs(600)));
    assert_eq!(definition.needs, Needs { cpu_millis: 500, memory: 4 << 30, gpus: 1 });
}

#[test]
fn the_smallest_definition_has_the_defaults() {
    let definition = parse(&json!({"image": " alpine ", "env": null, "requirements": {}})).unwrap();
    assert_eq!(definition.image, ImageSource::Reference("alpine".into()));
    assert_eq!((definition.needs, definition.max_duration), (Needs::default(), None));
}

#[test]
fn a_job_without_image_and_build_is_refused() {
    for definition in [json!({}), json!({"image": ""}), json!({"build": {}}), json!({"build": {"extra": 1}})]
    {
        assert!(refused(&definition).contains("neither image nor build"), "{definition}");
    }
    assert!(refused(&json!([1])).starts_with("definition is a list"));
}

#[test]
fn a_build_that_says_anything_wins() {
    let definition = parse(&json!({"image": "a", "build": {"dockerfile": "FROM a"}})).unwrap();
    assert!(matches!(definition.image, ImageSource::Build(_)));
    assert_eq!(parse(&json!({"image": "a", "build": {}})).unwrap().image, ImageSource::Reference("a".into()));
}

#[test]
fn a_list_of_words_is_a_command_too() {
    let definition = parse(&with("command", json!(["sh", "-c", "a && b"]))).unwrap();
    assert_eq!(definition.command, Some(Command::Words(vec!["sh".into(), "-c".into(), "a && b".into()])));
    assert_eq!(parse(&with("command", json!([]))).unwrap().command, None);
    refused(&with("command", json!(["sh", 1])));
}

#[test]
fn an_error_names_the_member_at_fault() {
    for (name, value, wanted) in [
        ("command", json!(5), "command is the number 5"),
        ("command", json!("a\u{0}"), "command contains a NUL"),
        ("workdir", json!({}), "workdir is an object"),
        ("shmSize", json!("lots"), "shmSize cannot be read as a size: \"lots\""),
        ("shmSize", json!(-1), "shmSize cannot be read as a size: -1"),
        ("env", json!([]), "env is a list"),
        ("env", json!({"A=B": "x"}), "env[\"A=B\"]"),
        ("env", json!({"": "x"}), "env[\"\"]"),
        ("env", json!({"A": {}}), "env[\"A\"] is an object"),
        ("env", json!({"A": "x\u{0}"}), "env[\"A\"] contains a NUL"),
        ("maxDuration", json!("abc"), "maxDuration cannot be read as a duration: \"abc\""),
        ("maxDuration", json!("0s"), "maxDuration leaves the job no time"),
        ("maxDuration", json!("-5s"), "maxDuration leaves the job no time"),
        ("requirements", json!({"maxDuration": "x"}), "requirements.maxDuration"),
        ("requirements", json!({"cpus": 0}), "requirements.cpus is 0"),
        ("requirements", json!({"cpus": "2"}), "requirements.cpus is the text \"2\""),
        ("requirements", json!({"gpus": 0.5}), "requirements.gpus is 0.5"),
        ("requirements", json!({"memory": "4q"}), "requirements.memory"),
        ("requirements", json!("big"), "requirements is the text"),
        ("inputs", json!([]), "inputs is a list"),
    ] {
        let error = refused(&with(name, value));
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn odd_amounts_are_brought_into_range() {
    let parsed = |value| parse(&with("requirements", value)).unwrap();
    assert_eq!(parsed(json!({"cpus": 0.0001})).needs.cpu_millis, 10);
    assert_eq!(parsed(json!({"cpus": 1e300})).needs.cpu_millis, u32::MAX);
    assert_eq!(parsed(json!({"maxDuration": "1e300y"})).max_duration, Some(A_CENTURY));
    assert_eq!(parsed(json!({"maxDuration": ""})).max_duration, None);
    assert_eq!(parsed(json!({"memory": 1000})).needs.memory, 1000);
}

/// Any JSON a few levels deep, with the protocol's own names among its members.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        3 => proptest::sample::select(vec![
            "image", "build", "command", "entrypoint", "env", "workdir", "shmSize", "inputs", "configFiles",
            "maxDuration", "requirements", "value", "type", "cpus", "gpus", "memory", "buildArgs", "hash",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(vec!["utf8", "json", "base64", "url", "key", "1h", "2g"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_definition_makes_the_reader_panic(definition in any_json()) {
        let _ = parse(&definition);
        crate::job_id::of(&definition);
    }

    #[test]
    fn no_member_makes_the_reader_panic(name in any::<String>(), value in any_json()) {
        let _ = parse(&json!({"image": "a", "inputs": {name.clone(): value.clone()}, "env": {name.clone(): value}}));
        let _ = parse(&json!({"image": "a", "configFiles": {name: {"value": "x"}}}));
    }
}
