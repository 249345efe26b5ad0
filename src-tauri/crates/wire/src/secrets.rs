//! Hides secrets in a definition that is shown to people. What clients and the engine get stays word for word.

use serde_json::{Map, Value};

use crate::url;

/// What stands in the place of a secret. Its length tells nothing.
const MASK: &str = "••••••";
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
        && let Some((scheme, host)) = context.as_str().and_then(url::split_at_credentials)
    {
        *context = Value::from(format!("{scheme}{MASK}@{host}"));
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
    fn a_strange_definition_is_left_as_it_is() {
        for strange in [
            json!(null),
            json!([1]),
            json!({"env": "TOKEN=x", "build": 7}),
            json!({"build": {"context": "a@b"}}),
        ] {
            assert_eq!(masked(strange.clone()), strange);
        }
    }
}
