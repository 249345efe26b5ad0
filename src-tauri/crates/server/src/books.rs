//! What the server's face asks of the settings: to show them, and to write decisions about sites into their file.

use std::sync::{Arc, Mutex, PoisonError};

use deskgrid_job::Caller;
use deskgrid_sites::{Change, Entry, Network};
use deskgrid_worker::{SiteNetwork, SiteRules, SiteRulesByCaller};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::settings::{Settings, SettingsSource};

/// The settings and their file.
pub(crate) struct Books {
    /// One change at a time: each reads the file, and writes all of it.
    source: Mutex<SettingsSource>,
    settings: watch::Receiver<Arc<Settings>>,
    site_rules: watch::Sender<SiteRulesByCaller>,
}

impl Books {
    pub(crate) fn new(
        source: SettingsSource,
        settings: watch::Receiver<Arc<Settings>>,
        site_rules: watch::Sender<SiteRulesByCaller>,
    ) -> Self {
        Self { source: Mutex::new(source), settings, site_rules }
    }
}

impl deskgrid_http::Books for Books {
    fn settings(&self) -> Value {
        shown(&self.settings.borrow())
    }

    fn write(&self, change: &Change) -> Result<Vec<Entry>, (&'static str, String)> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = source.write(change).map_err(|error| (error.code(), error.to_string()))?;
        self.site_rules.send_replace(site_rules(&entries));
        Ok(entries)
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
        "max_job_duration": format!("{}s", settings.max_job_duration.as_secs()),
        "id": settings.id.as_ref().map(ToString::to_string),
        "docker_host": settings.docker_host,
        "allowed_origins": settings.allowed_origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "allowed_hosts": settings.allowed_hosts,
        "listen": settings.listen,
        "trust_unknown_programs": settings.trust_unknown_programs,
    })
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
}
