//! Writes chosen values of settings into their file, checked like those that a person writes there by hand.

use std::path::Path;

use toml_edit::{Array, Decor, DocumentMut, Item, Value};

use super::error::Written;
use super::file::{folder_of, parse};
use super::write::{document, replace, set, text_of};
use super::{Key, Overrides, SettingsError};

/// A value as it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Switch(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// Writes all `values` into the file at `path`, which may be missing, or none of them.
pub(super) fn choose(path: &Path, values: &[(Key, Option<Chosen>)]) -> Result<(), SettingsError> {
    let base = folder_of(path);
    for (key, chosen) in values {
        if let Some(chosen) = chosen {
            Overrides::default().set(*key, &chosen.words(), &Written::Window, &base)?;
        }
    }
    let old = text_of(path)?;
    let new = changed(path, &old, values)?;
    if new != old {
        replace(path, &new).map_err(|source| SettingsError::Unwritable { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// What the file at `path` has for `key`, as it stands there.
pub(super) fn in_file(path: &Path, key: Key) -> Result<Option<Chosen>, SettingsError> {
    let document = document(path, &text_of(path)?)?;
    Ok(document.get(key.in_file()).and_then(Item::as_value).and_then(Chosen::of_toml))
}

fn changed(path: &Path, text: &str, values: &[(Key, Option<Chosen>)]) -> Result<String, SettingsError> {
    let mut document: DocumentMut = document(path, text)?;
    let comments = (document.is_empty() && !text.is_empty()).then(|| text.to_owned());
    for (key, chosen) in values {
        match chosen {
            Some(chosen) => set(&mut document, key.in_file(), chosen.to_toml()),
            None => remove(&mut document, key.in_file()),
        }
    }
    if let Some(comments) = comments {
        // A file of comments only keeps them at its top.
        let first = values.iter().find_map(|(key, chosen)| chosen.as_ref().map(|_| key.in_file()));
        if let Some(mut key) = first.and_then(|name| document.key_mut(name)) {
            key.leaf_decor_mut().set_prefix(comments);
            document.set_trailing("");
        }
    }
    let text = document.to_string();
    // What cannot be read again must not get there.
    parse(path, &text)?;
    Ok(text)
}

/// Takes a setting out. The lines above it are the person's own: they go to what follows, or to the end.
fn remove(document: &mut DocumentMut, key: &str) {
    let prefix = document.key(key).and_then(|key| key.leaf_decor().prefix()).and_then(|raw| raw.as_str());
    let above = prefix.unwrap_or_default().to_owned();
    let next = document.iter().map(|(name, _)| name.to_owned()).skip_while(|name| name != key).nth(1);
    document.remove(key);
    if above.trim().is_empty() {
        return;
    }
    let put = |decor: &mut Decor| {
        let own = decor.prefix().and_then(|raw| raw.as_str()).unwrap_or_default();
        decor.set_prefix(format!("{above}{own}"));
    };
    let Some(next) = next else {
        let end = document.trailing().as_str().unwrap_or_default();
        return document.set_trailing(format!("{above}{end}"));
    };
    match document.get_mut(&next) {
        Some(Item::Table(table)) => put(table.decor_mut()),
        Some(Item::ArrayOfTables(tables)) => {
            if let Some(table) = tables.get_mut(0) {
                put(table.decor_mut());
            }
        }
        _ => {
            if let Some(mut key) = document.key_mut(&next) {
                put(key.leaf_decor_mut());
            }
        }
    }
}

impl Chosen {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::Number(number) => vec![number.to_string()],
            Self::Switch(on) => vec![on.to_string()],
            Self::List(words) => words.clone(),
        }
    }

    fn to_toml(&self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far from the ends of i64")]
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => (*number as i64).into(),
            Self::Number(number) => (*number).into(),
            Self::Switch(on) => (*on).into(),
            Self::List(words) => words.iter().collect::<Array>().into(),
        }
    }

    fn of_toml(value: &Value) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Text(text.value().clone()),
            Value::Integer(number) => Self::Number(*number.value() as f64),
            Value::Float(number) => Self::Number(*number.value()),
            Value::Boolean(on) => Self::Switch(*on.value()),
            Value::Array(items) => {
                Self::List(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        "# mine\nport = 8123 # not 8000\n\n[[sites]]\norigin = \"https://a.example\"\ndecision = 'allow'\n";

    fn text(text: &str) -> Chosen {
        Chosen::Text(text.into())
    }

    fn after(old: &str, values: &[(Key, Option<Chosen>)]) -> String {
        changed(Path::new("settings.toml"), old, values).unwrap()
    }

    #[test]
    fn a_chosen_value_takes_the_place_of_the_old_one_and_leaves_the_comments() {
        let new = after(OLD, &[(Key::Port, Some(Chosen::Number(9000.0))), (Key::Memory, Some(text("8g")))]);
        assert!(new.starts_with("# mine\nport = 9000 # not 8000\nmemory = \"8g\"\n\n[[sites]]"), "{new}");
    }

    #[test]
    fn a_file_of_comments_keeps_them_at_its_top() {
        assert_eq!(after("# mine\n", &[(Key::Memory, Some(text("8g")))]), "# mine\nmemory = \"8g\"\n");
        assert_eq!(after("# mine\n", &[(Key::Memory, None)]), "# mine\n");
    }

    #[test]
    fn a_value_that_goes_leaves_the_comments_above_it() {
        let chosen = after("# mine\n", &[(Key::Memory, Some(text("8g")))]);
        assert_eq!(after(&chosen, &[(Key::Memory, None)]), "# mine\n");
        let new = after(OLD, &[(Key::Port, None)]);
        assert!(new.starts_with("# mine\n") && new.contains("[[sites]]") && !new.contains("8123"), "{new}");
        let two = after("# one\nport = 1\n# two\nmemory = '8g'\n", &[(Key::Port, None)]);
        assert_eq!(two, "# one\n# two\nmemory = '8g'\n");
    }

    #[test]
    fn every_kind_of_value_reads_back_as_it_was_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let values = [
            (Key::Cpus, Some(Chosen::Number(1.5))),
            (Key::KeepAwake, Some(Chosen::Switch(true))),
            (Key::Notifications, Some(text("all"))),
            (Key::AllowedHosts, Some(Chosen::List(vec!["lab-pc".into()]))),
        ];
        choose(&path, &values).unwrap();
        for (key, chosen) in values {
            assert_eq!(in_file(&path, key).unwrap(), chosen);
        }
        choose(&path, &[(Key::Cpus, None)]).unwrap();
        assert_eq!(in_file(&path, Key::Cpus).unwrap(), None);
    }

    #[test]
    fn with_one_wrong_value_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let error =
            choose(&path, &[(Key::Memory, Some(text("8g"))), (Key::Cpus, Some(text("many")))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The setting cpus: \"many\" is not a number. Allowed: a number such as 4 or 1.5, at least 0.001."
        );
        assert!(!path.exists());
    }
}
