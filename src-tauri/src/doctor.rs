//! `deskgrid doctor`: whether everything that the server needs is there, and what to do where it is not.
//!
//! It looks and changes nothing that stays.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use deskgrid_server::settings::{Overrides, SettingsSource};
use deskgrid_server::{Check, Verdict};
use serde_json::json;

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

impl Doctor {
    /// Runs every check.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let checks = deskgrid_server::check(SettingsSource::new(self.config, Overrides::default())).await;
        if self.json {
            println!("{:#}", checks.iter().map(as_json).collect::<serde_json::Value>());
        } else {
            print!("{}", table(&checks));
        }
        let is_fine = checks.iter().all(|check| check.verdict != Verdict::Problem);
        Ok(ExitCode::from(u8::from(!is_fine)))
    }
}

fn as_json(check: &Check) -> serde_json::Value {
    json!({ "name": check.name, "verdict": check.verdict.as_str(), "message": check.message })
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
}
