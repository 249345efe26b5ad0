//! What the server's face asks of the settings: to show them, and to write decisions about sites into their file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deskgrid_http::Complaint;
use deskgrid_job::Caller;
use deskgrid_sites::{Change, Entry, Network};
use deskgrid_worker::{SiteNetwork, SiteRules, SiteRulesByCaller};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::settings::{Chosen, Key, Settings, SettingsError, SettingsSource};

/// The settings and their file.
pub(crate) struct Books {
    /// One change at a time: each reads the file, and writes all of it.
    source: Mutex<SettingsSource>,
    settings: watch::Receiver<Arc<Settings>>,
    site_rules: watch::Sender<SiteRulesByCaller>,
    /// Told after settings changed.
    changed: watch::Sender<()>,
}

/// The settings that a running server cannot take on.
const TAKE_RESTART: [Key; 2] = [Key::DataDirectory, Key::Id];

impl Books {
    pub(crate) fn new(
        source: SettingsSource,
        settings: watch::Receiver<Arc<Settings>>,
        site_rules: watch::Sender<SiteRulesByCaller>,
    ) -> Self {
        Self { source: Mutex::new(source), settings, site_rules, changed: watch::Sender::new(()) }
    }

    fn source(&self) -> MutexGuard<'_, SettingsSource> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone that other settings are in force.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }
}

impl deskgrid_http::Books for Books {
    fn settings(&self) -> Value {
        shown(&self.settings.borrow())
    }

    fn sheet(&self) -> Value {
        let source = self.source();
        let values = shown(&self.settings.borrow());
        let settings = Key::ALL.map(|key| {
            let name = key.in_file();
            let chosen = source.chosen_in_file(key).ok().flatten();
            json!({
                "key": name,
                "value": values[name],
                "source": match () {
                    () if source.holds(key) => "variable",
                    () if chosen.is_some() => "file",
                    () => "default",
                },
                "chosen": chosen.as_ref().map(chosen_json),
                "isFixed": source.holds(key),
                "takesRestart": TAKE_RESTART.contains(&key),
            })
        });
        json!({ "file": source.file(), "settings": settings })
    }

    fn choose(&self, values: &Map<String, Value>) -> Result<Value, (Option<&'static str>, Complaint)> {
        let source = self.source();
        let refuse =
            |error: SettingsError| (error.key().map(Key::in_file), (error.code(), error.to_string()));
        let mut choices = Vec::new();
        let mut before = Map::new();
        for (name, value) in values {
            let key = writable(&source, name)?;
            choices.push((key, chosen(key, value)?));
            let old = source.chosen_in_file(key).map_err(refuse)?;
            before.insert(name.clone(), old.as_ref().map_or(Value::Null, chosen_json));
        }
        source.choose(&choices).map_err(refuse)?;
        Ok(before.into())
    }

    fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn write(&self, change: &Change) -> Result<Vec<Entry>, Complaint> {
        let entries = self.source().write(change).map_err(|error| (error.code(), error.to_string()))?;
        self.site_rules.send_replace(site_rules(&entries));
        Ok(entries)
    }
}

/// The setting called `name`, when the file decides about it.
fn writable(source: &SettingsSource, name: &str) -> Result<Key, (Option<&'static str>, Complaint)> {
    let Some(key) = Key::ALL.into_iter().find(|key| key.in_file() == name) else {
        return Err((None, ("settings-unknown-key", format!("There is no setting called {name:?}."))));
    };
    if !source.holds(key) {
        return Ok(key);
    }
    let words = format!(
        "The variable {} or the flag {} decides about this setting. Start Deskgrid without it to choose here.",
        key.variable(),
        key.flag()
    );
    Err((Some(key.in_file()), ("settings-held", words)))
}

/// A chosen value from its JSON; none for null.
fn chosen(key: Key, value: &Value) -> Result<Option<Chosen>, (Option<&'static str>, Complaint)> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) => Chosen::Text(text.clone()),
        // A number of bytes is a size without a unit, which the file does not take.
        Value::Number(bytes)
            if matches!(
                key,
                Key::Memory | Key::CacheLimit | Key::DiskReserve | Key::ContextDownload | Key::ContextSize
            ) =>
        {
            Chosen::Text(format!("{bytes}b"))
        }
        Value::Number(number) => Chosen::Number(number.as_f64().unwrap_or_default()),
        Value::Bool(on) => Chosen::Switch(*on),
        // GPUs are a list of ids here, and one word in the file.
        Value::Array(ids) if key == Key::Gpus => gpus(&ids.iter().filter_map(text).collect::<Vec<_>>()),
        Value::Array(items) => Chosen::List(items.iter().filter_map(text).collect()),
        Value::Object(_) => {
            let words = format!("The setting {} is no object. Allowed: {}.", key.in_file(), key.allowed());
            return Err((Some(key.in_file()), ("settings-bad-value", words)));
        }
    }))
}

fn gpus(ids: &[String]) -> Chosen {
    if ids.is_empty() { Chosen::Number(0.0) } else { Chosen::Text(format!("device={}", ids.join(","))) }
}

fn chosen_json(chosen: &Chosen) -> Value {
    match chosen {
        Chosen::Text(text) => json!(text),
        Chosen::Number(number) if number.fract() == 0.0 => {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and came from the file as such")]
            let whole = *number as i64;
            json!(whole)
        }
        Chosen::Number(number) => json!(number),
        Chosen::Switch(on) => json!(on),
        Chosen::List(words) => json!(words),
    }
}

/// What the jobs of each site may do.
pub(crate) fn site_rules(entries: &[Entry]) -> SiteRulesByCaller {
    let rules = |entry: &Entry| SiteRules {
        compatible: entry.terms.compatible,
        network: match entry.terms.network {
            Network::Internet => SiteNetwork::Internet,
            Network::None => SiteNetwork::None,
        },
    };
    entries.iter().map(|entry| (Caller::parse(entry.origin.as_str()), rules(entry))).collect()
}

/// The settings as their file would have them; what is null is found by itself.
fn shown(settings: &Settings) -> Value {
    json!({
        "port": settings.port,
        "data_directory": settings.data_directory,
        "cpus": settings.cpu_millis.map(|millis| f64::from(millis) / 1000.0),
        "memory": settings.memory,
        "gpus": settings.gpus,
        "max_job_duration": time(settings.max_job_duration),
        "id": settings.id.as_ref().map(ToString::to_string),
        "docker_host": settings.docker_host,
        "allowed_origins": settings.allowed_origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "allowed_hosts": settings.allowed_hosts,
        "listen": settings.listen,
        "trust_unknown_programs": settings.trust_unknown_programs,
        "notifications": settings.notifications.as_str(),
        "keep_awake": settings.keep_awake,
        "cache_limit": settings.cache_limit,
        "disk_reserve": settings.disk_reserve,
        "context_download": settings.contexts.download,
        "context_size": settings.contexts.unpacked,
        "context_files": settings.contexts.entries,
    })
}

/// A time as a person writes it into the file: `1h`, `90m`, `45s`.
fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_sites::{Date, Decision, Origin};

    use super::*;
    use crate::settings::Overrides;

    #[test]
    fn a_change_reaches_the_file_and_the_jobs_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, "# mine\n").unwrap();
        let chosen = Overrides { data_directory: Some("/data".into()), ..Overrides::default() };
        let source = SettingsSource::of_file(file.clone(), chosen);
        let settings = watch::channel(Arc::new(source.load().unwrap())).1;
        let (rules, seen) = watch::channel(SiteRulesByCaller::default());
        let books = Books::new(source, settings, rules);
        let origin = Origin::of_browser("https://a.example").unwrap();
        let on = Date::parse("2026-11-22").unwrap();
        let decide = Change::Decide { origin: origin.clone(), decision: Decision::Allow, on };
        deskgrid_http::Books::write(&books, &decide).unwrap();
        let configure = Change::Configure { origin, network: Some(Network::None), compatible: None, on };
        deskgrid_http::Books::write(&books, &configure).unwrap();
        let rules = seen.borrow()[&Caller::parse("https://a.example")];
        assert_eq!((rules.network, rules.compatible), (SiteNetwork::None, false));
        assert!(std::fs::read_to_string(file).unwrap().starts_with("# mine\n"));
        assert_eq!(deskgrid_http::Books::settings(&books)["port"], 8000);
    }

    #[test]
    fn times_are_shown_as_they_are_written() {
        assert_eq!([3600, 5400, 45].map(|seconds| time(Duration::from_secs(seconds))), ["1h", "90m", "45s"]);
    }
}
