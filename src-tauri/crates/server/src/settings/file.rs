//! Reads the settings file. It is small and written by hand, so every error says in which line it is.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Written;
use super::key::suggestion;
use super::{Key, Overrides, SettingsError, sites};

/// The settings of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Overrides, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// The settings in `text`, which stands in the file at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Overrides, SettingsError> {
    let table = DeTable::parse(text).map_err(|error| SettingsError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        problem: error.message().trim().replace('\n', ", "),
    })?;
    let mut settings = Overrides::default();
    for (name, value) in table.get_ref() {
        let line = line_of(text, name.span().start);
        if name.get_ref() == sites::KEY {
            settings.sites = Some(sites::read(path, text, value)?);
            continue;
        }
        let Some(key) = Key::of_file(name.get_ref()) else {
            return Err(unknown(path, line, name.get_ref()));
        };
        let written = Written::File { path: path.to_owned(), line: line_of(text, value.span().start) };
        let words = words_of(key, value, &written)?;
        settings.set(key, &words, &written, &folder_of(path))?;
    }
    Ok(settings)
}

/// The folder that `path` lies in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn unknown(path: &Path, line: usize, name: &str) -> SettingsError {
    SettingsError::UnknownKey {
        path: path.to_owned(),
        line,
        name: name.to_owned(),
        suggestion: suggestion(name),
    }
}

/// The texts of a value: one for a text or number, any number for a list.
fn words_of(key: Key, value: &Spanned<DeValue<'_>>, written: &Written) -> Result<Vec<String>, SettingsError> {
    match value.get_ref() {
        DeValue::Array(items) if key.is_list() => {
            items.iter().map(|item| word_of(key, item.get_ref(), written)).collect()
        }
        single => Ok(vec![word_of(key, single, written)?]),
    }
}

fn word_of(key: Key, value: &DeValue<'_>, written: &Written) -> Result<String, SettingsError> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(truth) if key.is_switch() => Ok(truth.to_string()),
        other => Err(written.refuse(key, other.type_str(), "is the wrong kind of value")),
    }
}

/// The line of the byte at `offset`, counted from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Overrides, String> {
        parse(Path::new("/etc/deskgrid/settings.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_may_stand_with_or_without_quotes() {
        let plain = read_text("port = 8123\ncpus = 1.5\ngpus = 2").unwrap();
        let quoted = read_text("port = '8123'\ncpus = '1.5'\ngpus = '2'").unwrap();
        assert_eq!(plain, quoted);
        assert_eq!((plain.port, plain.cpu_millis), (Some(8123), Some(1500)));
    }

    #[test]
    fn a_relative_data_folder_counts_from_the_file() {
        let settings = read_text("data_directory = 'data'").unwrap();
        assert_eq!(settings.data_directory, std::path::absolute("/etc/deskgrid/data").ok());
    }

    #[test]
    fn origins_are_a_list() {
        let settings = read_text("allowed_origins = ['https://a.org', 'https://b.org']").unwrap();
        let origins = settings.allowed_origins.unwrap();
        assert_eq!(
            origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["https://a.org", "https://b.org"]
        );
        assert_eq!(read_text("allowed_hosts = ['lab-pc']").unwrap().allowed_hosts.unwrap(), ["lab-pc"]);
    }

    #[test]
    fn a_bad_value_is_told_with_file_line_key_and_what_is_allowed() {
        let error = read_text("# mine\nport = 8000\nmemory = \"lots\"\n").unwrap_err();
        assert!(
            error.starts_with(
                "The settings file /etc/deskgrid/settings.toml, line 3, memory: \"lots\" is not"
            ),
            "{error}"
        );
        assert!(error.contains("\"8g\""), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_told_with_its_line_and_the_nearest_known_one() {
        let error = read_text("\nmemmory = '8g'").unwrap_err();
        assert!(
            error.contains("line 2, sets \"memmory\"") && error.contains("Did you mean memory?"),
            "{error}"
        );
        assert!(read_text("[server]\nport = 1").unwrap_err().contains("\"server\""));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        let error = read_text("port = true").unwrap_err();
        assert_eq!(read_text("trust_unknown_programs = false").unwrap().trust_unknown_programs, Some(false));
        assert!(error.contains("\"boolean\" is the wrong kind of value"), "{error}");
        assert!(read_text("cpus = [1, 2]").unwrap_err().contains("array"));
    }

    #[test]
    fn broken_toml_is_told_with_its_line() {
        let error = read_text("port = 8000\ncpus = = 2\n").unwrap_err();
        assert!(error.contains("line 2, is not valid TOML"), "{error}");
    }
}
