//! `deskgrid verify`: whether every stored file is still the file that was put there.
//!
//! A running server is asked to look, so that nobody else touches its folder; without one we look ourselves.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_server::settings::{Key, Overrides, SettingsSource};
use deskgrid_server::{FolderError, VerifyProgress};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::signals::Signals;
use crate::words;

/// Between looks at how far it is.
const EVERY: Duration = Duration::from_millis(200);

/// Hash every stored file, and set damaged ones aside
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Damaged files are moved to the folder `damaged` in the data folder. Jobs that need one say so when they run; bring the
file again, or run the job again that made it. Damaged job records are rebuilt from their second copies. Ctrl-C stops it
at any time.

The exit code is 0 when everything is sound, 1 when something is not, 130 when it was stopped.

Examples:
  deskgrid verify
  deskgrid verify --json")]
pub(crate) struct Verify {
    #[command(flatten)]
    server: ServerArgs,
    /// Settings file to use instead of the usual one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder, when the settings do not name it
    #[arg(long, value_name = "DIR")]
    data_directory: Option<String>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// How a verification stands.
#[derive(Debug, Deserialize)]
struct State {
    running: bool,
    cancelled: bool,
    files: Count,
    bytes: Count,
    findings: Option<Findings>,
    problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Count {
    done: u64,
    total: u64,
}

#[derive(Debug, Deserialize)]
struct Problem {
    words: String,
}

/// What was found.
#[derive(Debug, Default, Deserialize)]
struct Findings {
    faults: Vec<Fault>,
    records: Vec<String>,
    /// What was done about damaged records, in words. Servers of before do not tell.
    #[serde(default)]
    rebuilt: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    hash: String,
    wrong: String,
    jobs: Vec<String>,
    names: Vec<String>,
}

impl Findings {
    fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.records.is_empty() && self.rebuilt.is_none()
    }
}

impl Verify {
    /// Verifies and shows what was found.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let folder = self.data_directory.iter().cloned().collect();
        let flags = Overrides::from_flags(&[(Key::DataDirectory, folder)])?;
        let settings = SettingsSource::new(self.config.clone(), flags)?.load()?;
        let mut signals = Signals::listen().map_err(CliError::Runtime)?;
        let token = deskgrid_server::token(&settings.data_directory)
            .map_err(|error| CliError::Usage(format!("The token cannot be read: {error}.")))?;
        let state = if token.is_some() || self.server.is_named() {
            let client = Client::new_with(&self.server, settings.port)?.with_token(token);
            by_server(&client, &mut signals).await?
        } else {
            by_us(settings.data_directory, &mut signals).await?
        };
        self.show(&state)
    }

    fn show(&self, state: &State) -> Result<ExitCode, CliError> {
        if let Some(problem) = &state.problem {
            return Err(CliError::Start(problem.words.clone()));
        }
        let findings = state.findings.as_ref();
        let nothing = Findings::default();
        let found = findings.unwrap_or(&nothing);
        if self.json {
            println!("{:#}", as_json(state, found));
        } else {
            print!("{}", report(state, found));
        }
        Ok(match () {
            () if !found.is_sound() => ExitCode::from(1),
            () if state.cancelled => ExitCode::from(130),
            () => ExitCode::SUCCESS,
        })
    }
}

/// Has the running server look.
async fn by_server(client: &Client, signals: &mut Signals) -> Result<State, CliError> {
    const PATH: [&str; 2] = ["api", "verify"];
    const WHAT: &str = "Verifying";
    let mut state: State = client.admin_post(WHAT, &PATH, &json!({})).await?;
    let bar = bar();
    while state.running {
        show_progress(&bar, state.bytes);
        state = tokio::select! {
            _ = signals.next() => client.admin_delete(WHAT, &PATH).await?,
            () = tokio::time::sleep(EVERY) => client.admin_get(WHAT, &PATH).await?,
        };
    }
    bar.finish_and_clear();
    Ok(state)
}

/// Looks into the data folder, which nobody else has.
async fn by_us(folder: PathBuf, signals: &mut Signals) -> Result<State, CliError> {
    if !folder.is_dir() {
        let words = format!("There is no data folder at {} yet, and nothing to verify.", folder.display());
        return Err(CliError::Usage(words));
    }
    let progress = Arc::new(VerifyProgress::default());
    let mut work = tokio::spawn(deskgrid_server::verify(folder, progress.clone()));
    let bar = bar();
    let found = loop {
        tokio::select! {
            found = &mut work => break found,
            _ = signals.next() => progress.cancel(),
            () = tokio::time::sleep(EVERY) => {
                let count = progress.count();
                show_progress(&bar, Count { done: count.bytes, total: count.all_bytes });
            }
        }
    };
    bar.finish_and_clear();
    let found = found.unwrap_or(Err(FolderError::Stopped));
    let found = found.map_err(|error| CliError::Start(format!("{error}.")))?;
    let count = progress.count();
    let faults = found.faults.iter().map(|fault| Fault {
        hash: fault.hash.to_string(),
        wrong: fault.wrong.as_str().to_owned(),
        jobs: fault.jobs.iter().map(ToString::to_string).collect(),
        names: fault.names.clone(),
    });
    Ok(State {
        running: false,
        cancelled: progress.is_cancelled(),
        files: Count { done: count.files, total: count.all_files },
        bytes: Count { done: count.bytes, total: count.all_bytes },
        findings: Some(Findings {
            faults: faults.collect(),
            records: found.records,
            rebuilt: found.rebuilt.map(|rebuilt| rebuilt.to_string()),
        }),
        problem: None,
    })
}

/// A bar for a person who looks on.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("Verifying {bar:30} {bytes}/{total_bytes} ({eta} left)");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show_progress(bar: &ProgressBar, bytes: Count) {
    bar.set_length(bytes.total);
    bar.set_position(bytes.done);
}

fn as_json(state: &State, found: &Findings) -> serde_json::Value {
    let fault = |fault: &Fault| json!({ "hash": fault.hash, "wrong": fault.wrong, "jobs": fault.jobs, "names": fault.names });
    json!({
        "files": state.files.done,
        "bytes": state.bytes.done,
        "cancelled": state.cancelled,
        "faults": found.faults.iter().map(fault).collect::<Vec<_>>(),
        "records": found.records,
        "rebuilt": found.rebuilt,
    })
}

fn report(state: &State, found: &Findings) -> String {
    let mut lines: Vec<String> = found.faults.iter().map(fault_line).collect();
    if !found.records.is_empty() {
        lines.push("The job records were found damaged:".to_owned());
        lines.extend(found.records.iter().map(|record| format!("  {record}")));
    }
    lines.extend(found.rebuilt.clone());
    let files = words::count(usize::try_from(state.files.done).unwrap_or(usize::MAX), "file");
    let stopped =
        if state.cancelled { format!(" of {}; stopped early", state.files.total) } else { String::new() };
    let verdict = match found.faults.len() {
        0 => "all are sound".to_owned(),
        wrong => format!("something is wrong with {wrong}"),
    };
    lines.push(format!("{files}{stopped}, {}: {verdict}.", words::size(state.bytes.done)));
    lines.join("\n") + "\n"
}

fn fault_line(fault: &Fault) -> String {
    let what = match fault.wrong.as_str() {
        "damaged" => "was damaged and has been set aside",
        "missing" => "is missing",
        _ => "cannot be read",
    };
    let name = fault.names.first().map_or(String::new(), |name| format!(" ({name})"));
    let jobs = match fault.jobs.as_slice() {
        [] => String::new(),
        jobs => {
            format!("; needed by {}", jobs.iter().map(|job| words::short(job)).collect::<Vec<_>>().join(", "))
        }
    };
    format!("{}{name} {what}{jobs}", fault.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cancelled: bool) -> State {
        let count = |done, total| Count { done, total };
        State {
            running: false,
            cancelled,
            files: count(2, 3),
            bytes: count(2048, 4096),
            findings: None,
            problem: None,
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_name_and_jobs() {
        let fault = Fault {
            hash: "ab".into(),
            wrong: "damaged".into(),
            jobs: vec!["0123456789abcdef".into()],
            names: vec!["data.csv".into()],
        };
        let text = report(&state(false), &Findings { faults: vec![fault], ..Findings::default() });
        assert!(
            text.starts_with("ab (data.csv) was damaged and has been set aside; needed by 0123456789ab\n"),
            "{text}"
        );
        assert!(text.ends_with("2 files, 2.0 KB: something is wrong with 1.\n"), "{text}");
    }

    #[test]
    fn rebuilt_records_are_told_and_are_not_called_sound() {
        let found = Findings { rebuilt: Some("They were rebuilt.".into()), ..Findings::default() };
        assert!(report(&state(false), &found).starts_with("They were rebuilt.\n2 files, "));
        assert!(!found.is_sound());
    }

    #[test]
    fn a_stopped_verification_says_how_far_it_came() {
        let nothing = Findings::default();
        assert_eq!(report(&state(true), &nothing), "2 files of 3; stopped early, 2.0 KB: all are sound.\n");
    }
}
