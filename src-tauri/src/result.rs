//! `deskgrid result`: what a finished job came to. Also tells `run`'s results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::job_ref::{JobArgs, JobRef};
use crate::records::JobResult;
use crate::{outputs, words};

/// More names than this do not help anyone on a terminal.
const MOST_NAMES: usize = 20;

/// Show the result of a finished job, or save its outputs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  deskgrid result 3f2a91                      how it ended, and its outputs
  deskgrid result 3f2a91 --output-dir out     save the outputs
  deskgrid result 3f2a91 --json               everything, for programs")]
pub(crate) struct ShowResult {
    #[command(flatten)]
    job: JobArgs,
    /// Print the record and its result as JSON
    #[arg(long)]
    json: bool,
    /// Folder to save the outputs in [default: they are only listed]
    #[arg(long, short = 'o', value_name = "DIR")]
    output_dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

impl ShowResult {
    /// Shows the result.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let client = Client::new(&self.server)?;
        let job = self.job.resolve(&client).await?;
        let Some(record) = client.result(&job).await? else { return Err(unfinished(&job)) };
        let Some(finished) = record.finished else { return Err(unfinished(&job)) };
        let result = finished.result.unwrap_or_default();
        if self.json {
            let raw = client.raw_result(&job).await?;
            println!("{:#}", raw.unwrap_or_default());
        } else {
            summarize(&job, &finished.reason, &result);
            if let Some(message) = finished.message {
                eprintln!("{message}");
            }
        }
        if !self.json || self.output_dir.is_some() {
            deliver(&client, &job, &result, self.output_dir.as_deref()).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn unfinished(job: &JobRef) -> CliError {
    CliError::Usage(format!(
        "Job {0} has not finished. `deskgrid logs {0} --follow` waits for it.",
        words::short(&job.id)
    ))
}

/// Tells on the error stream how a job ended.
pub(crate) fn summarize(job: &JobRef, reason: &str, result: &JobResult) {
    for note in &result.notes {
        eprintln!("{}", note.text.trim_end());
    }
    eprintln!("{}", summary(job, reason, result));
}

fn summary(job: &JobRef, reason: &str, result: &JobResult) -> String {
    let id = words::short(&job.id);
    let after = result
        .duration
        .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1000.0).ok())
        .map(|time| format!(" after {}", words::time(time)))
        .unwrap_or_default();
    match (reason, result.status_code) {
        ("Success", Some(0)) => format!("Job {id} succeeded{after}."),
        ("Success", Some(code)) => format!("Job {id} ended with exit code {code}{after}."),
        ("TimedOut", _) => {
            format!("Job {id} ran out of time{after}. Raise --max-duration, or give it less to do.")
        }
        ("Cancelled", _) => format!("Job {id} was cancelled."),
        ("Deleted", _) => format!("Job {id} was deleted."),
        ("JobReplacedByClient", _) => format!("Job {id} was replaced by a newer one of its namespace."),
        _ => {
            let why = result.error_text().unwrap_or_else(|| "The server does not say why.".to_owned());
            format!("Job {id} failed before it had a result. {why}")
        }
    }
}

/// Saves the outputs in `folder`, or lists them.
pub(crate) async fn deliver(
    client: &Client,
    job: &JobRef,
    result: &JobResult,
    folder: Option<&Path>,
) -> Result<(), CliError> {
    let number = result.outputs.len();
    match folder {
        Some(folder) => {
            outputs::save_all(client, job, &result.outputs, folder).await?;
            eprintln!("Saved {} in {}.", words::count(number, "output"), folder.display());
        }
        None if number > 0 => eprintln!("{}", listing(job, result)),
        None => {}
    }
    Ok(())
}

fn listing(job: &JobRef, result: &JobResult) -> String {
    let number = result.outputs.len();
    let mut names: Vec<_> = result.outputs.keys().take(MOST_NAMES).map(|name| format!("  {name}")).collect();
    if number > MOST_NAMES {
        names.push(format!("  and {} more", number - MOST_NAMES));
    }
    format!(
        "{}:\n{}\nSave with: deskgrid result {} --output-dir DIR",
        words::count(number, "output"),
        names.join("\n"),
        job.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobRef {
        JobRef { queue: "local".into(), id: "0123456789abcdef".into() }
    }

    fn result(json: &str) -> JobResult {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_summary_says_how_it_ended() {
        let told = |reason, json| summary(&job(), reason, &result(json));
        assert_eq!(
            told("Success", r#"{"StatusCode":0,"duration":1500}"#),
            "Job 0123456789ab succeeded after 1.5 s."
        );
        assert_eq!(told("Success", r#"{"StatusCode":3}"#), "Job 0123456789ab ended with exit code 3.");
        assert!(told("Error", r#"{"error":"No such image."}"#).ends_with("No such image."));
        assert!(told("TimedOut", "{}").contains("--max-duration"));
    }

    #[test]
    fn a_long_list_of_outputs_is_cut_and_says_so() {
        let outputs: Vec<_> = (0..25).map(|n| format!("\"o{n:02}\":{{}}")).collect();
        let text = listing(&job(), &result(&format!("{{\"outputs\":{{{}}}}}", outputs.join(","))));
        assert!(text.starts_with("25 outputs:\n  o00\n") && text.contains("  and 5 more\n"), "{text}");
    }
}
