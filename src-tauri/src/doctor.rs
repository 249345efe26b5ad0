//! `deskgrid doctor`: whether everything that the server needs is there, and what to do where it is not.
//!
//! It looks and changes nothing that stays.

mod checks;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use deskgrid_server::settings::{Overrides, SettingsSource};
use serde::Serialize;

use crate::error::CliError;

/// Check engine, port, disk and settings, and say what to do where something is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is 0 when everything that is needed is there, 1 otherwise.

Examples:
  deskgrid doctor
  deskgrid doctor --json")]
pub(crate) struct Doctor {
    /// Settings file to read instead of the usual one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Fine,
    Warning,
    Problem,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    /// What was found, and what to do about it.
    message: String,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name, verdict, message: message.into() }
    }
}

impl Doctor {
    /// Runs every check.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let checks = check_all(self.config).await;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&checks).unwrap_or_default());
        } else {
            print!("{}", table(&checks));
        }
        let is_fine = checks.iter().all(|check| check.verdict != Verdict::Problem);
        Ok(ExitCode::from(u8::from(!is_fine)))
    }
}

async fn check_all(config: Option<PathBuf>) -> Vec<Check> {
    let source = SettingsSource::new(config, Overrides::default());
    let loaded = source.and_then(|source| source.load().map(|settings| (source, settings)));
    let mut checks = vec![Check::new("version", Verdict::Fine, version())];
    match loaded {
        Ok((source, settings)) => {
            checks.push(checks::settings(&source));
            let (engine, port) =
                tokio::join!(checks::engine(settings.docker_host.clone()), checks::port(settings.port));
            checks.extend(engine);
            checks.push(port);
            checks.extend(checks::data_folder(&settings.data_directory));
        }
        Err(error) => {
            checks.push(Check::new("settings", Verdict::Problem, error.to_string()));
            checks.extend(checks::engine(None).await);
        }
    }
    checks
}

fn version() -> String {
    format!("Deskgrid {} for {} {}.", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let sign = match check.verdict {
            Verdict::Fine => "✓",
            Verdict::Warning => "!",
            Verdict::Problem => "✗",
        };
        let _ = writeln!(text, "{sign} {:<12} {}", check.name, check.message);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_each_verdict_with_its_sign() {
        let checks = [
            Check::new("version", Verdict::Fine, "Good."),
            Check::new("space", Verdict::Warning, "Little."),
            Check::new("engine", Verdict::Problem, "None."),
        ];
        assert_eq!(table(&checks), "✓ version      Good.\n! space        Little.\n✗ engine       None.\n");
    }

    #[tokio::test]
    async fn broken_settings_are_a_problem_and_do_not_stop_the_other_checks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "prot = 1").unwrap();
        let checks = check_all(Some(file.path().to_owned())).await;
        let of = |name| checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(of("settings").verdict, Verdict::Problem);
        assert!(of("settings").message.contains("Did you mean port?"));
        of("engine");
    }
}
