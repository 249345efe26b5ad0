//! The names under which each setting is known: in the file, in the environment and as a flag.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The port to listen on.
    Port,
    /// The folder that everything is kept in.
    DataDirectory,
    /// How many CPUs jobs may take in all.
    Cpus,
    /// How much memory jobs may take in all.
    Memory,
    /// Which GPUs jobs may use.
    Gpus,
    /// How long any job may run.
    MaxJobDuration,
    /// The name on the containers of this worker.
    Id,
    /// Where the engine is.
    DockerHost,
    /// Web pages that may use this server besides the usual ones.
    AllowedOrigins,
    /// Further names under which this server may be called.
    AllowedHosts,
    /// A further address to listen on.
    Listen,
    /// Whether programs may be let in when nobody can tell whose they are.
    TrustUnknownPrograms,
    /// What the desktop app notifies of.
    Notifications,
    /// Whether the computer stays awake while jobs run.
    KeepAwake,
    /// How much disk results and files may take.
    CacheLimit,
    /// How much of the disk stays free.
    DiskReserve,
    /// How large the download of a build's files may be.
    ContextDownload,
    /// How large the files of a build may be in all.
    ContextSize,
    /// How many files a build may have.
    ContextFiles,
}

impl Key {
    /// Every setting, in the order in which lists show them.
    pub const ALL: [Key; 19] = [
        Self::Port,
        Self::DataDirectory,
        Self::Cpus,
        Self::Memory,
        Self::Gpus,
        Self::MaxJobDuration,
        Self::Id,
        Self::DockerHost,
        Self::AllowedOrigins,
        Self::AllowedHosts,
        Self::Listen,
        Self::TrustUnknownPrograms,
        Self::Notifications,
        Self::KeepAwake,
        Self::CacheLimit,
        Self::DiskReserve,
        Self::ContextDownload,
        Self::ContextSize,
        Self::ContextFiles,
    ];

    /// Whether it is true or false.
    pub(super) fn is_switch(self) -> bool {
        matches!(self, Self::TrustUnknownPrograms | Self::KeepAwake)
    }

    /// Whether it holds any number of values.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::AllowedOrigins | Self::AllowedHosts)
    }

    /// Its name in the settings file.
    pub fn in_file(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::DataDirectory => "data_directory",
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Gpus => "gpus",
            Self::MaxJobDuration => "max_job_duration",
            Self::Id => "id",
            Self::DockerHost => "docker_host",
            Self::AllowedOrigins => "allowed_origins",
            Self::AllowedHosts => "allowed_hosts",
            Self::Listen => "listen",
            Self::TrustUnknownPrograms => "trust_unknown_programs",
            Self::Notifications => "notifications",
            Self::KeepAwake => "keep_awake",
            Self::CacheLimit => "cache_limit",
            Self::DiskReserve => "disk_reserve",
            Self::ContextDownload => "context_download",
            Self::ContextSize => "context_size",
            Self::ContextFiles => "context_files",
        }
    }

    /// The environment variable that sets it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Port => "DESKGRID_PORT",
            Self::DataDirectory => "DESKGRID_DATA_DIRECTORY",
            Self::Cpus => "DESKGRID_CPUS",
            Self::Memory => "DESKGRID_MEMORY",
            Self::Gpus => "DESKGRID_GPUS",
            Self::MaxJobDuration => "DESKGRID_MAX_JOB_DURATION",
            Self::Id => "DESKGRID_ID",
            Self::DockerHost => "DESKGRID_DOCKER_HOST",
            Self::AllowedOrigins => "DESKGRID_ALLOW_ORIGIN",
            Self::AllowedHosts => "DESKGRID_ALLOW_HOST",
            Self::Listen => "DESKGRID_LISTEN",
            Self::TrustUnknownPrograms => "DESKGRID_TRUST_UNKNOWN_PROGRAMS",
            Self::Notifications => "DESKGRID_NOTIFICATIONS",
            Self::KeepAwake => "DESKGRID_KEEP_AWAKE",
            Self::CacheLimit => "DESKGRID_CACHE_LIMIT",
            Self::DiskReserve => "DESKGRID_DISK_RESERVE",
            Self::ContextDownload => "DESKGRID_CONTEXT_DOWNLOAD",
            Self::ContextSize => "DESKGRID_CONTEXT_SIZE",
            Self::ContextFiles => "DESKGRID_CONTEXT_FILES",
        }
    }

    /// The flag that sets it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Port => "--port",
            Self::DataDirectory => "--data-directory",
            Self::Cpus => "--cpus",
            Self::Memory => "--memory",
            Self::Gpus => "--gpus",
            Self::MaxJobDuration => "--max-job-duration",
            Self::Id => "--id",
            Self::DockerHost => "--docker-host",
            Self::AllowedOrigins => "--allow-origin",
            Self::AllowedHosts => "--allow-host",
            Self::Listen => "--listen",
            Self::TrustUnknownPrograms => "--trust-unknown-programs",
            Self::Notifications => "--notifications",
            Self::KeepAwake => "--keep-awake",
            Self::CacheLimit => "--cache-limit",
            Self::DiskReserve => "--disk-reserve",
            Self::ContextDownload => "--context-download",
            Self::ContextSize => "--context-size",
            Self::ContextFiles => "--context-files",
        }
    }

    /// What it may be set to, as the end of a sentence.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Port => "a number from 0 to 65535, where 0 takes any free port",
            Self::DataDirectory => "the path of a folder",
            Self::Cpus => "a number such as 4 or 1.5, at least 0.001",
            Self::Memory => "a size with its unit, such as \"8g\" or \"512m\", at least 6m",
            Self::Gpus => "how many GPUs, such as 2, or their ids, such as \"device=1,3\"",
            Self::MaxJobDuration => "a time with its unit, such as \"20m\" or \"1h30m\", at least 1s",
            Self::Id => "letters, digits, '.', '_' and '-', not starting with a dot",
            Self::DockerHost => {
                "the address of an engine, such as \"unix:///var/run/docker.sock\" or \"tcp://host:2375\""
            }
            Self::AllowedOrigins => "origins such as \"https://example.org\" or \"http://localhost:3000\"",
            Self::AllowedHosts => "names such as \"lab-pc\" or \"lab-pc.example.org:8000\"",
            Self::Listen => {
                "an address of this computer, such as \"192.168.1.20\", or \"0.0.0.0\" for all of them"
            }
            Self::TrustUnknownPrograms | Self::KeepAwake => "true or false",
            Self::Notifications => "\"off\", \"long\" for jobs of more than a minute, or \"all\"",
            Self::CacheLimit => "a size with its unit, such as \"20g\", at least 100m",
            Self::DiskReserve => "a size with its unit, such as \"2g\", at least 6m, or 0 for none",
            Self::ContextDownload | Self::ContextSize => "a size with its unit, such as \"4g\", at least 6m",
            Self::ContextFiles => "a whole number such as 500000, at least 1",
        }
    }

    /// The setting of a name in the file.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.in_file() == name)
    }
}

/// What a person who wrote the unknown `name` may have meant, as a sentence.
pub(super) fn suggestion(name: &str) -> String {
    let spelled = name.to_lowercase().replace('-', "_");
    let nearest = Key::ALL.into_iter().map(Key::in_file).min_by_key(|known| distance(&spelled, known));
    match nearest {
        // With more than half of the letters wrong it is another word, not a slip.
        Some(known) if distance(&spelled, known) * 2 <= known.len() => format!("Did you mean {known}?"),
        _ => format!("The known settings are {}.", Key::ALL.map(Key::in_file).join(", ")),
    }
}

/// The number of letters to add, drop or change until `a` is `b` (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_the_nearest_setting() {
        assert_eq!(suggestion("prot"), "Did you mean port?");
        assert_eq!(suggestion("memmory"), "Did you mean memory?");
        assert_eq!(suggestion("Data-Directory"), "Did you mean data_directory?");
        assert_eq!(suggestion("allow_origins"), "Did you mean allowed_origins?");
    }

    #[test]
    fn a_word_that_is_like_no_setting_is_answered_with_all_of_them() {
        assert!(suggestion("colour_of_the_tray").contains("port, data_directory, cpus"));
    }

    #[test]
    fn distance_counts_additions_losses_and_changes() {
        for (a, b, steps) in [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("port", "port", 0)] {
            assert_eq!(distance(a, b), steps, "{a} {b}");
        }
    }
}
