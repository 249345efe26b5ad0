//! Settings that someone chose, from one source or from several laid over each other.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deskgrid_job::WorkerId;
use deskgrid_sites::{Entry, Origin};

use super::error::Written;
use super::{Key, Notifications, SettingsError, value};

/// Every setting that a source names; what it leaves out stays as a lower source or the default has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// See [`super::Settings::port`].
    pub port: Option<u16>,
    /// See [`super::Settings::data_directory`].
    pub data_directory: Option<PathBuf>,
    /// See [`super::Settings::cpu_millis`].
    pub cpu_millis: Option<u32>,
    /// See [`super::Settings::memory`].
    pub memory: Option<u64>,
    /// See [`super::Settings::gpus`].
    pub gpus: Option<Vec<String>>,
    /// See [`super::Settings::max_job_duration`].
    pub max_job_duration: Option<Duration>,
    /// See [`super::Settings::id`].
    pub id: Option<WorkerId>,
    /// See [`super::Settings::docker_host`].
    pub docker_host: Option<String>,
    /// See [`super::Settings::allowed_origins`].
    pub allowed_origins: Option<Vec<Origin>>,
    /// See [`super::Settings::allowed_hosts`].
    pub allowed_hosts: Option<Vec<String>>,
    /// See [`super::Settings::listen`].
    pub listen: Option<IpAddr>,
    /// See [`super::Settings::trust_unknown_programs`].
    pub trust_unknown_programs: Option<bool>,
    /// See [`super::Settings::notifications`].
    pub notifications: Option<Notifications>,
    /// See [`super::Settings::keep_awake`].
    pub keep_awake: Option<bool>,
    /// See [`super::Settings::cache_limit`].
    pub cache_limit: Option<u64>,
    /// See [`super::Settings::disk_reserve`].
    pub disk_reserve: Option<u64>,
    /// See [`super::Settings::contexts`].
    pub context_download: Option<u64>,
    /// See [`super::Settings::contexts`].
    pub context_size: Option<u64>,
    /// See [`super::Settings::contexts`].
    pub context_files: Option<u64>,
    /// See [`super::Settings::sites`]. Only the file has them.
    pub sites: Option<Vec<Entry>>,
}

impl Overrides {
    /// These settings, and those of `lower` where these say nothing.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            port: self.port.or(lower.port),
            data_directory: self.data_directory.or(lower.data_directory),
            cpu_millis: self.cpu_millis.or(lower.cpu_millis),
            memory: self.memory.or(lower.memory),
            gpus: self.gpus.or(lower.gpus),
            max_job_duration: self.max_job_duration.or(lower.max_job_duration),
            id: self.id.or(lower.id),
            docker_host: self.docker_host.or(lower.docker_host),
            allowed_origins: self.allowed_origins.or(lower.allowed_origins),
            allowed_hosts: self.allowed_hosts.or(lower.allowed_hosts),
            listen: self.listen.or(lower.listen),
            trust_unknown_programs: self.trust_unknown_programs.or(lower.trust_unknown_programs),
            notifications: self.notifications.or(lower.notifications),
            keep_awake: self.keep_awake.or(lower.keep_awake),
            cache_limit: self.cache_limit.or(lower.cache_limit),
            disk_reserve: self.disk_reserve.or(lower.disk_reserve),
            context_download: self.context_download.or(lower.context_download),
            context_size: self.context_size.or(lower.context_size),
            context_files: self.context_files.or(lower.context_files),
            sites: self.sites.or(lower.sites),
        }
    }

    /// Whether this source names the setting.
    pub fn has(&self, key: Key) -> bool {
        match key {
            Key::Port => self.port.is_some(),
            Key::DataDirectory => self.data_directory.is_some(),
            Key::Cpus => self.cpu_millis.is_some(),
            Key::Memory => self.memory.is_some(),
            Key::Gpus => self.gpus.is_some(),
            Key::MaxJobDuration => self.max_job_duration.is_some(),
            Key::Id => self.id.is_some(),
            Key::DockerHost => self.docker_host.is_some(),
            Key::AllowedOrigins => self.allowed_origins.is_some(),
            Key::AllowedHosts => self.allowed_hosts.is_some(),
            Key::Listen => self.listen.is_some(),
            Key::TrustUnknownPrograms => self.trust_unknown_programs.is_some(),
            Key::Notifications => self.notifications.is_some(),
            Key::KeepAwake => self.keep_awake.is_some(),
            Key::CacheLimit => self.cache_limit.is_some(),
            Key::DiskReserve => self.disk_reserve.is_some(),
            Key::ContextDownload => self.context_download.is_some(),
            Key::ContextSize => self.context_size.is_some(),
            Key::ContextFiles => self.context_files.is_some(),
        }
    }

    /// The settings of the `DESKGRID_*` variables that `lookup` knows; an empty one counts as not set.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] names the variable and what is allowed.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for key in Key::ALL {
            let Some(text) = lookup(key.variable()).filter(|text| !text.is_empty()) else { continue };
            let text = text.into_string().map_err(|text| {
                Written::Environment.refuse(key, &text.to_string_lossy(), "is not UTF-8 text")
            })?;
            settings.set(key, &words_of(key, &text), &Written::Environment, Path::new(""))?;
        }
        Ok(settings)
    }

    /// Settings given as flags. A key that repeats adds to the list, where the setting is one.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] names the flag and what is allowed.
    pub fn from_flags(flags: &[(Key, Vec<String>)]) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (key, texts) in flags.iter().filter(|(_, texts)| !texts.is_empty()) {
            settings.set(*key, texts, &Written::Flag, Path::new(""))?;
        }
        Ok(settings)
    }

    /// Reads the words of one setting; relative paths count from `base`. A single value is one word.
    pub(super) fn set(
        &mut self,
        key: Key,
        words: &[String],
        written: &Written,
        base: &Path,
    ) -> Result<(), SettingsError> {
        if key.is_list() {
            return self.set_list(key, words).map_err(|(bad, problem)| written.refuse(key, &bad, problem));
        }
        let [text] = words else {
            return Err(written.refuse(key, &words.join(", "), "is not exactly one value"));
        };
        self.set_single(key, text, base).map_err(|problem| written.refuse(key, text, problem))
    }

    fn set_list(&mut self, key: Key, words: &[String]) -> Result<(), (String, String)> {
        match key {
            Key::AllowedHosts => self.allowed_hosts = Some(value::list(words, value::host)?),
            _ => self.allowed_origins = Some(value::list(words, value::origin)?),
        }
        Ok(())
    }

    fn set_single(&mut self, key: Key, text: &str, base: &Path) -> Result<(), String> {
        match key {
            Key::Port => self.port = Some(value::port(text)?),
            Key::DataDirectory => self.data_directory = Some(value::folder(text, base)?),
            Key::Cpus => self.cpu_millis = Some(value::cpu_millis(text)?),
            Key::Memory => self.memory = Some(value::memory(text)?),
            Key::Gpus => self.gpus = Some(value::gpus(text)?),
            Key::MaxJobDuration => self.max_job_duration = Some(value::duration(text)?),
            Key::Id => self.id = Some(value::worker_id(text)?),
            Key::DockerHost => self.docker_host = Some(value::docker_host(text)?),
            Key::Listen => self.listen = Some(value::address(text)?),
            Key::TrustUnknownPrograms => self.trust_unknown_programs = Some(value::truth(text)?),
            Key::Notifications => self.notifications = Some(value::notifications(text)?),
            Key::KeepAwake => self.keep_awake = Some(value::truth(text)?),
            Key::CacheLimit => self.cache_limit = Some(value::cache_limit(text)?),
            Key::DiskReserve => self.disk_reserve = Some(value::disk_reserve(text)?),
            Key::ContextDownload => self.context_download = Some(value::on_disk(text)?),
            Key::ContextSize => self.context_size = Some(value::on_disk(text)?),
            Key::ContextFiles => self.context_files = Some(value::context_files(text)?),
            Key::AllowedOrigins => self.allowed_origins = Some(vec![value::origin(text)?]),
            Key::AllowedHosts => self.allowed_hosts = Some(vec![value::host(text)?]),
        }
        Ok(())
    }
}

/// A variable holds one text, so a list in it is separated by commas.
fn words_of(key: Key, text: &str) -> Vec<String> {
    if key.is_list() {
        return text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    }
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Overrides, SettingsError> {
        Overrides::from_environment(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| OsString::from(text))
        })
    }

    #[test]
    fn the_higher_source_wins_and_the_lower_fills_the_gaps() {
        let high = Overrides { port: Some(1), ..Overrides::default() };
        let low = Overrides { port: Some(2), memory: Some(3), ..Overrides::default() };
        let both = Overrides { port: Some(1), memory: Some(3), ..Overrides::default() };
        assert_eq!(high.over(low), both);
    }

    #[test]
    fn every_setting_can_come_from_the_environment() {
        let settings = environment(&[
            ("DESKGRID_PORT", "8123"),
            ("DESKGRID_DATA_DIRECTORY", "/srv/deskgrid"),
            ("DESKGRID_CPUS", "1.5"),
            ("DESKGRID_MEMORY", "2g"),
            ("DESKGRID_GPUS", "device=3"),
            ("DESKGRID_MAX_JOB_DURATION", "1h30m"),
            ("DESKGRID_ID", "lab-1"),
            ("DESKGRID_DOCKER_HOST", "tcp://engine:2375"),
            ("DESKGRID_ALLOW_ORIGIN", "https://a.org, https://b.org,"),
            ("DESKGRID_ALLOW_HOST", "lab-pc"),
            ("DESKGRID_LISTEN", "192.168.1.20"),
            ("DESKGRID_TRUST_UNKNOWN_PROGRAMS", "false"),
        ])
        .unwrap();
        assert_eq!(settings.port, Some(8123));
        assert_eq!(settings.data_directory, std::path::absolute("/srv/deskgrid").ok());
        assert_eq!(settings.cpu_millis, Some(1500));
        assert_eq!(settings.memory, Some(2 << 30));
        assert_eq!(settings.gpus, Some(vec!["3".to_owned()]));
        assert_eq!(settings.max_job_duration, Some(Duration::from_secs(5400)));
        assert_eq!(settings.id, WorkerId::new("lab-1").ok());
        assert_eq!(settings.docker_host.as_deref(), Some("tcp://engine:2375"));
        let origins: Vec<_> = settings.allowed_origins.iter().flatten().map(Origin::as_str).collect();
        assert_eq!(origins, ["https://a.org", "https://b.org"]);
        assert_eq!(settings.allowed_hosts.unwrap(), ["lab-pc"]);
        assert_eq!(settings.listen, Some([192, 168, 1, 20].into()));
        assert_eq!(settings.trust_unknown_programs, Some(false));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        assert_eq!(environment(&[("DESKGRID_PORT", "")]).unwrap(), Overrides::default());
    }

    #[test]
    fn an_error_names_the_source_the_value_and_what_is_allowed() {
        let error = environment(&[("DESKGRID_PORT", "99999")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "The environment variable DESKGRID_PORT: \"99999\" is not a port. \
             Allowed: a number from 0 to 65535, where 0 takes any free port."
        );
        let error = Overrides::from_flags(&[(Key::Cpus, vec!["many".into()])]).unwrap_err().to_string();
        assert!(error.starts_with("The flag --cpus: \"many\" is not a number."), "{error}");
    }

    #[test]
    fn a_repeated_flag_is_a_list_only_where_the_setting_is_one() {
        let twice = |key, a: &str, b: &str| Overrides::from_flags(&[(key, vec![a.to_owned(), b.to_owned()])]);
        let origins = twice(Key::AllowedOrigins, "https://a.org", "https://b.org").unwrap().allowed_origins;
        assert_eq!(origins.unwrap().len(), 2);
        assert!(twice(Key::Port, "1", "2").is_err());
    }
}
