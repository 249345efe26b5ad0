//! Hides secrets in a definition: few in one that is kept, since it is to run once more, and more in one that is shown
//! to people.

use deskgrid_job::SecretAddress;
use serde_json::{Map, Value};

use crate::context_address::{self, MASK};

/// Words that names of secrets are made of.
const TELLING: [&str; 9] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "AUTHORIZATION",
    "PRIVATE",
    "COOKIE",
];
/// Words that are telling only when they stand alone between underscores, as in `API_KEY` but not in `KEYBOARD`.
const TELLING_ALONE: [&str; 7] = ["KEY", "KEYS", "APIKEY", "PASS", "PWD", "PAT", "AUTH"];

/// Whether a variable of this name looks as if its value were nobody's business.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    // The working folder is the one well-known name that only looks like a password.
    name != "PWD"
        && (TELLING.iter().any(|word| name.contains(word)) || words.any(|word| TELLING_ALONE.contains(&word)))
}

/// The definition with masks in the place of secret values in `env`, `build.buildArgs` and the address of the build's
/// context.
pub fn masked(mut definition: Value) -> Value {
    let members = definition.as_object_mut();
    if let Some(env) = members.and_then(|members| members.get_mut("env")).and_then(Value::as_object_mut) {
        mask_values(env);
    }
    if let Some(build) = definition.get_mut("build").and_then(Value::as_object_mut) {
        mask_build(build);
    }
    definition
}

/// The definition `text`, which reads as `definition`, as it may be kept: word for word, but without the secrets in the
/// address of its build's context. Where there are such, that address comes along, to be known until the job is over.
pub(crate) fn for_keeping(text: &str, definition: &Value) -> (String, Option<SecretAddress>) {
    let address = definition.pointer("/build/context").and_then(Value::as_str);
    let Some((address, masked)) = address.and_then(|text| Some((text, context_address::masked(text)?)))
    else {
        return (text.to_owned(), None);
    };
    let mut kept = definition.clone();
    if let Some(context) = kept.pointer_mut("/build/context") {
        *context = Value::from(masked);
    }
    (kept.to_string(), Some(SecretAddress::new(address.trim())))
}

/// The text of a definition, masked. One that is no JSON is not shown at all.
pub fn masked_text(definition: &str) -> String {
    let definition = serde_json::from_str(definition).unwrap_or_default();
    masked(definition).to_string()
}

fn mask_values(env: &mut Map<String, Value>) {
    for (_, value) in env.iter_mut().filter(|(name, _)| is_secret(name)) {
        *value = Value::from(MASK);
    }
}

fn mask_build(build: &mut Map<String, Value>) {
    for argument in build.get_mut("buildArgs").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some((name, _)) = argument.as_str().and_then(|text| text.split_once('='))
            && is_secret(name)
        {
            *argument = Value::from(format!("{name}={MASK}"));
        }
    }
    if let Some(context) = build.get_mut("context")
        && let Some(masked) = context.as_str().and_then(context_address::masked)
    {
        *context = Value::from(masked);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for secret in [
            "API_TOKEN",
            "github_token",
            "SECRET",
            "MY_SECRET_2",
            "DB_PASSWORD",
            "PGPASSWORD",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "OPENAI_API_KEY",
            "apiKey",
            "KEY",
            "SSH_KEYS",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "DB_PASS",
            "HTTP_AUTHORIZATION",
            "SESSION_COOKIE",
            "PRIVATE_PEM",
            "DB_PWD",
            "GH_PAT",
            "key-file",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in [
            "PATH",
            "HOME",
            "KEYBOARD",
            "MONKEY",
            "PWD",
            "OLDPWD",
            "PASSES",
            "N_PASSENGERS",
            "AUTHOR",
            "LANG",
            "PATTERN",
            "",
        ] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn secret_values_are_masked_whatever_they_are_and_all_else_stays() {
        let shown = masked(json!({
            "image": "x", "command": "run $TOKEN", "env": {"TOKEN": "abc", "KEY": 5, "SECRETS": {"a": "abc"}, "N": "1"},
            "build": {"context": "https://abc@github.com/o/r?x=@", "buildArgs": ["GH_TOKEN=abc=", "N=1", "SECRET", 7]},
            "inputs": {"TOKEN": {"value": "kept"}}
        }));
        let wanted = json!({
            "image": "x", "command": "run $TOKEN", "env": {"TOKEN": MASK, "KEY": MASK, "SECRETS": MASK, "N": "1"},
            "build": {"context": format!("https://{MASK}@github.com/o/r?x=@"),
                "buildArgs": [format!("GH_TOKEN={MASK}"), "N=1", "SECRET", 7]},
            "inputs": {"TOKEN": {"value": "kept"}}
        });
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_definition_is_kept_word_for_word_but_for_the_secrets_of_its_context() {
        let keep = |text: &str| for_keeping(text, &serde_json::from_str(text).unwrap());
        for text in [
            r#"{ "image":"x",  "env": {"TOKEN": "abc"}, "n": 1.0 }"#,
            r#"{"build": { "context": "https://h/x.tgz", "buildArgs": ["GH_TOKEN=abc"]}}"#,
            r#"{"build": null}"#,
            "[]",
        ] {
            assert_eq!(keep(text), (text.to_owned(), None));
        }
        let (kept, address) = keep(
            r#"{"build": {"context": " https://abc@h/x.tgz", "buildArgs": ["A=b"]}, "env": {"TOKEN": "t"}}"#,
        );
        let wanted = json!({"build": {"context": format!(" https://{MASK}@h/x.tgz"), "buildArgs": ["A=b"]},
            "env": {"TOKEN": "t"}});
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), wanted);
        assert_eq!(address, Some(SecretAddress::new("https://abc@h/x.tgz")));
        assert_eq!(format!("{address:?}"), "Some(SecretAddress(..))");
    }

    #[test]
    fn what_was_overwritten_in_a_text_is_not_kept_either() {
        let text = r#"{"build": {"context": "https://abc@h/a", "context": "https://def@h/b"}}"#;
        let (kept, _) = for_keeping(text, &serde_json::from_str(text).unwrap());
        assert!(!kept.contains("abc") && !kept.contains("def"), "{kept}");
    }

    #[test]
    fn a_strange_definition_is_left_as_it_is() {
        for strange in [
            json!(null),
            json!([1]),
            json!({"env": "TOKEN=x", "build": 7}),
            json!({"build": {"context": ["a@b"]}}),
        ] {
            assert_eq!(masked(strange.clone()), strange);
        }
    }
}
