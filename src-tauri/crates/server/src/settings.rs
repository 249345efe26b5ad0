//! What a person can choose about the server: defaults, a TOML file, `DESKGRID_*` variables and flags, each over
//! the one before. Settings are plain checked values; what they do is up to whoever reads them.

mod choose;
mod error;
mod file;
mod key;
mod overrides;
mod sites;
mod value;
mod watch;
mod write;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use deskgrid_contexts::Limits as ContextLimits;
use deskgrid_job::WorkerId;
use deskgrid_sites::{Change, Entry, Origin};
use directories::ProjectDirs;

pub use choose::Chosen;
pub use error::SettingsError;
pub use key::Key;
pub use overrides::Overrides;
pub use watch::SettingsWatch;

/// The environment variable that names another settings file.
pub const CONFIG_VARIABLE: &str = "DESKGRID_CONFIG";
/// The port that the container metaframe expects (protocol section 1).
pub const DEFAULT_PORT: u16 = 8000;
/// How long a job may run when nobody chose anything.
pub const DEFAULT_MAX_JOB_DURATION: Duration = Duration::from_secs(60 * 60);

/// Every setting, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// The absolute path of the folder that everything is kept in.
    pub data_directory: PathBuf,
    /// Thousandths of a CPU that jobs may take in all; all of the engine's but one when none.
    pub cpu_millis: Option<u32>,
    /// Bytes of memory that jobs may take in all; 80 % of the engine's when none.
    pub memory: Option<u64>,
    /// The ids of the GPUs that jobs may use.
    pub gpus: Vec<String>,
    /// The longest time that any job may run.
    pub max_job_duration: Duration,
    /// The name on the containers of this worker; one that the data folder remembers when none.
    pub id: Option<WorkerId>,
    /// Where the engine is, as a URL; looked for in the usual places when none.
    pub docker_host: Option<String>,
    /// Web origins, as browsers send them, that may use this server besides the usual ones.
    pub allowed_origins: Vec<Origin>,
    /// Further names, with or without a port, under which clients may call this server.
    pub allowed_hosts: Vec<String>,
    /// A further address to listen on; with one that is not this computer's own, every request needs the token.
    pub listen: Option<IpAddr>,
    /// Whether programs are let in without the token when nobody can tell whose they are.
    pub trust_unknown_programs: bool,
    /// What the desktop app notifies of.
    pub notifications: Notifications,
    /// Whether the computer stays awake while jobs run.
    pub keep_awake: bool,
    /// Bytes on this disk that results and files may take; 20 GB or a tenth of the disk, whichever is less, when
    /// none.
    pub cache_limit: Option<u64>,
    /// Bytes of this disk that stay free; 2 GB or a twentieth of the disk, whichever is less, when none.
    pub disk_reserve: Option<u64>,
    /// What the files that an image is built from may cost.
    pub contexts: ContextLimits,
    /// What the person decided about web sites.
    pub sites: Vec<Entry>,
}

/// What the desktop app notifies of, beside what needs the person's attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notifications {
    /// Nothing.
    Off,
    /// Ends of long jobs.
    #[default]
    Long,
    /// Ends of all jobs.
    All,
}

impl Notifications {
    /// Its name in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Long => "long",
            Self::All => "all",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Off, Self::Long, Self::All].into_iter().find(|choice| choice.as_str() == text)
    }
}

impl Settings {
    /// The chosen settings over the defaults.
    ///
    /// # Errors
    /// [`SettingsError::NoHome`] when no data folder is chosen and the account has no home.
    pub fn from_overrides(chosen: Overrides) -> Result<Self, SettingsError> {
        let data_directory = match chosen.data_directory {
            Some(folder) => folder,
            None => ProjectDirs::from("", "", "deskgrid")
                .map(|dirs| dirs.data_local_dir().to_owned())
                .ok_or(SettingsError::NoHome)?,
        };
        let usual = ContextLimits::default();
        Ok(Self {
            port: chosen.port.unwrap_or(DEFAULT_PORT),
            data_directory,
            cpu_millis: chosen.cpu_millis,
            memory: chosen.memory,
            gpus: chosen.gpus.unwrap_or_default(),
            max_job_duration: chosen.max_job_duration.unwrap_or(DEFAULT_MAX_JOB_DURATION),
            id: chosen.id,
            docker_host: chosen.docker_host,
            allowed_origins: chosen.allowed_origins.unwrap_or_default(),
            allowed_hosts: chosen.allowed_hosts.unwrap_or_default(),
            listen: chosen.listen,
            trust_unknown_programs: chosen.trust_unknown_programs.unwrap_or(true),
            notifications: chosen.notifications.unwrap_or_default(),
            keep_awake: chosen.keep_awake.unwrap_or(false),
            cache_limit: chosen.cache_limit,
            disk_reserve: chosen.disk_reserve,
            contexts: ContextLimits {
                download: chosen.context_download.unwrap_or(usual.download),
                unpacked: chosen.context_size.unwrap_or(usual.unpacked),
                entries: chosen.context_files.unwrap_or(usual.entries),
            },
            sites: chosen.sites.unwrap_or_default(),
        })
    }

    /// The settings that differ from `old` and that a running server cannot take on.
    pub fn changes_needing_restart(&self, old: &Settings) -> Vec<Key> {
        let changed =
            [(Key::DataDirectory, self.data_directory != old.data_directory), (Key::Id, self.id != old.id)];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}

/// Where settings come from, so that they can be read again when the file changes.
#[derive(Clone, Debug)]
pub struct SettingsSource {
    file: Option<PathBuf>,
    /// Whether someone named the file, so that its absence is an error.
    named: bool,
    chosen: Overrides,
}

impl SettingsSource {
    /// The settings file (`config`, else `DESKGRID_CONFIG`, else the one in the config folder) under the `DESKGRID_*`
    /// variables of this process, under `flags`.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] for a variable that does not fit its setting.
    pub fn new(config: Option<PathBuf>, flags: Overrides) -> Result<Self, SettingsError> {
        let chosen = flags.over(Overrides::from_environment(|name| std::env::var_os(name))?);
        let variable =
            || std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(match config.or_else(variable) {
            Some(path) => Self::of_file(path, chosen),
            None => Self { file: default_file(), named: false, chosen },
        })
    }

    /// The file at `path`, which must exist, under `chosen`. The environment is not looked at.
    pub fn of_file(path: PathBuf, chosen: Overrides) -> Self {
        Self { file: Some(path), named: true, chosen }
    }

    /// Only `chosen`: no file, no environment. This is for tests and for programs that embed the server.
    pub fn fixed(chosen: Overrides) -> Self {
        Self { file: None, named: false, chosen }
    }

    /// The settings file, which need not exist.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// Reads the settings. This blocks on the disk.
    ///
    /// # Errors
    /// [`SettingsError`] says which source is wrong, where, and what is allowed.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        Settings::from_overrides(self.chosen.clone().over(self.in_file()?))
    }

    /// What the settings file says, over nothing. This blocks on the disk.
    ///
    /// # Errors
    /// [`SettingsError`] says what is wrong with the file.
    pub fn in_file(&self) -> Result<Overrides, SettingsError> {
        match &self.file {
            Some(path) if self.named || path.exists() => file::read(path),
            _ => Ok(Overrides::default()),
        }
    }

    /// What the file has for one setting, as it stands there. This blocks on the disk.
    ///
    /// # Errors
    /// [`SettingsError`] says what is wrong with the file.
    pub fn chosen_in_file(&self, key: Key) -> Result<Option<Chosen>, SettingsError> {
        self.file.as_deref().map_or(Ok(None), |path| choose::in_file(path, key))
    }

    /// Whether a variable or a flag has this setting, so that the file cannot change it.
    pub fn holds(&self, key: Key) -> bool {
        self.chosen.has(key)
    }

    /// Writes chosen values into the settings file, all of them or none, and leaves everything else in it as it is;
    /// `None` goes back to the default. This blocks on the disk.
    ///
    /// # Errors
    /// [`SettingsError::NoFile`] without a file; others say why the file stayed as it was.
    pub fn choose(&self, values: &[(Key, Option<Chosen>)]) -> Result<(), SettingsError> {
        choose::choose(self.file.as_deref().ok_or(SettingsError::NoFile)?, values)
    }

    /// Writes a change of the sites into the settings file, which is created when missing, and leaves everything else
    /// in it as it is. Returns the sites that it has then. This blocks on the disk.
    ///
    /// # Errors
    /// [`SettingsError::NoFile`] without a file; others say why the file stayed as it was.
    pub fn write(&self, change: &Change) -> Result<Vec<Entry>, SettingsError> {
        write::write(self.file.as_deref().ok_or(SettingsError::NoFile)?, change)
    }
}

fn default_file() -> Option<PathBuf> {
    ProjectDirs::from("", "", "deskgrid").map(|dirs| dirs.config_dir().join("settings.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(chosen: Overrides) -> Settings {
        let data_directory = Some(PathBuf::from("/data"));
        Settings::from_overrides(chosen.over(Overrides { data_directory, ..Overrides::default() })).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let settings = settings(Overrides::default());
        assert_eq!((settings.port, settings.max_job_duration.as_secs()), (8000, 3600));
        assert_eq!((settings.gpus.len(), settings.allowed_origins.len()), (0, 0));
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "port = 1\nmemory = '1g'\ndata_directory = 'here'").unwrap();
        let flags = Overrides { port: Some(2), ..Overrides::default() };
        let settings = SettingsSource::of_file(path, flags).load().unwrap();
        assert_eq!((settings.port, settings.memory), (2, Some(1 << 30)));
        assert_eq!(settings.data_directory, folder.path().join("here"));
        assert_eq!(settings.max_job_duration, DEFAULT_MAX_JOB_DURATION);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let missing = std::env::temp_dir().join("deskgrid-no-such-folder/settings.toml");
        let error = SettingsSource::of_file(missing, Overrides::default()).load().unwrap_err();
        assert_eq!(error.code(), "settings-unreadable");
    }

    #[test]
    fn only_what_a_running_server_cannot_take_on_needs_a_restart() {
        let old = settings(Overrides::default());
        let memory = settings(Overrides { memory: Some(1 << 30), ..Overrides::default() });
        assert!(memory.changes_needing_restart(&old).is_empty());
        let id = settings(Overrides { id: WorkerId::new("w").ok(), ..Overrides::default() });
        assert_eq!(id.changes_needing_restart(&old), [Key::Id]);
    }
}
