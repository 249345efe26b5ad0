//! `deskgrid run`: one job from local files to local files, as if the container ran in this terminal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use deskgrid_job::{BlobHash, FilePath};
use serde_json::{Map, Value, json};

use crate::client::{Client, ServerArgs};
use crate::console::Console;
use crate::error::CliError;
use crate::follow::follow;
use crate::job_ref::{JobRef, QueueArgs};
use crate::signals::Signals;
use crate::{inputs, quote, result, upload, words};

/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;
/// A server that takes longer than this to cancel a job is not waited for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Run a job on the server and wait for it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is the container's own; 124 when the time was up, 125 when no container ran, 130 when cancelled.
The same job with the same inputs is answered at once with its kept result.

Examples:
  deskgrid run busybox -- echo hello
  deskgrid run python:3.13 --input script.py --input data/ --output-dir out -- python /inputs/script.py
  deskgrid run r-base --input table.csv:t.csv --cpus 2 --memory 4g --max-duration 20m -- Rscript -e 'q()'
  deskgrid run alpine -- sh -c 'ls /inputs | wc -l'")]
pub(crate) struct Run {
    /// Image to run, such as python:3.13
    image: String,
    /// File or folder to bring to /inputs, under NAME if given; the name `.` brings a folder's files without the folder
    #[arg(long = "input", short = 'i', value_name = "PATH[:NAME]")]
    inputs: Vec<String>,
    /// Variable for the container
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// Folder to save the outputs in [default: they are only listed]
    #[arg(long, short = 'o', value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Longest time that the job may run, such as 20m
    #[arg(long, value_name = "TIME")]
    max_duration: Option<String>,
    /// CPUs that the job needs [default: 1]
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<f64>,
    /// Memory that the job needs, such as 4g
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// GPUs that the job needs
    #[arg(long, value_name = "NUMBER")]
    gpus: Option<u32>,
    /// Working folder in the container
    #[arg(long, short = 'w', value_name = "DIR")]
    workdir: Option<String>,
    /// Entry point instead of the image's own
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Command to run instead of the image's own
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Run {
    /// Runs the job to its end.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let client = Client::new(&self.server)?;
        let mut signals = Signals::listen().map_err(CliError::Runtime)?;
        let hashes = tokio::select! {
            hashes = self.upload(&client) => hashes?,
            _ = signals.next() => return Ok(ExitCode::from(INTERRUPTED)),
        };
        let definition = self.definition(client.base(), &hashes);
        let job = client.submit(&self.queue.queue, &definition).await?;
        let mut console = Console::of_process();
        let reason = tokio::select! {
            reason = follow(&client, &job, &mut console) => Some(reason),
            _ = signals.next() => None,
        };
        console.end_progress();
        match reason {
            None => Ok(cancel(&client, &job, &mut signals).await),
            Some(Ok(reason)) => self.finish(&client, &job, &reason).await,
            Some(Err(CliError::NobodyReads)) => {
                cancel(&client, &job, &mut signals).await;
                Err(CliError::NobodyReads)
            }
            Some(Err(error)) => {
                eprintln!(
                    "deskgrid: The job goes on without us; `deskgrid logs {} --follow` returns to it.",
                    job.id
                );
                Err(error)
            }
        }
    }

    async fn upload(&self, client: &Client) -> Result<BTreeMap<FilePath, BlobHash>, CliError> {
        let texts = self.inputs.clone();
        let files = tokio::task::spawn_blocking(move || inputs::collect(&texts))
            .await
            .map_err(|error| CliError::Runtime(error.into()))??;
        upload::send_all(client, files).await
    }

    /// The job as the protocol defines it (section 2).
    fn definition(&self, base: &str, hashes: &BTreeMap<FilePath, BlobHash>) -> Value {
        let input = |(name, hash): (&FilePath, &BlobHash)| {
            let file = json!({"type": "url", "value": format!("{base}/f/{hash}"), "hash": hash.to_string()});
            (name.to_string(), file)
        };
        let command = (!self.command.is_empty()).then(|| quote::join(&self.command));
        let env: Map<_, _> = self.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let members = json!({
            "image": self.image,
            "command": command,
            "entrypoint": self.entrypoint,
            "workdir": self.workdir,
            "maxDuration": self.max_duration,
            "env": env,
            "inputs": hashes.iter().map(input).collect::<Map<_, _>>(),
            "requirements": without_gaps(json!({
                "cpus": self.cpus,
                "memory": self.memory,
                "gpus": self.gpus,
            })),
        });
        without_gaps(members)
    }

    async fn finish(&self, client: &Client, job: &JobRef, reason: &str) -> Result<ExitCode, CliError> {
        let record = client.result(job).await?;
        let result = record.and_then(|record| record.finished).and_then(|finished| finished.result);
        let result = result.unwrap_or_default();
        result::summarize(job, reason, &result);
        result::deliver(client, job, &result, self.output_dir.as_deref()).await?;
        Ok(ExitCode::from(exit_code(reason, result.status_code)))
    }
}

/// Cancels the job; a second request to stop does not wait for the server.
async fn cancel(client: &Client, job: &JobRef, signals: &mut Signals) -> ExitCode {
    let asked = tokio::time::timeout(CANCEL_TIMEOUT, client.cancel(job, None, Some("Cancelled by Ctrl-C")));
    tokio::select! {
        answer = asked => match answer {
            Ok(Ok(_)) => eprintln!("deskgrid: Job {} is cancelled.", words::short(&job.id)),
            Ok(Err(error)) => eprintln!("deskgrid: {error}"),
            Err(_) => eprintln!("deskgrid: The server did not answer; job {} may go on.", words::short(&job.id)),
        },
        _ = signals.next() => {}
    }
    ExitCode::from(INTERRUPTED)
}

/// The exit code of this program for a finished job.
fn exit_code(reason: &str, status: Option<i64>) -> u8 {
    match (reason, status) {
        ("Success", Some(status)) => u8::try_from(status).unwrap_or(1),
        ("TimedOut", _) => 124,
        ("Cancelled" | "JobReplacedByClient" | "Deleted", _) => INTERRUPTED,
        _ => 125,
    }
}

/// The object without members that say nothing.
fn without_gaps(value: Value) -> Value {
    let says_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !says_nothing(value)).collect(),
        other => other,
    }
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn parse(words: &[&str]) -> Result<Run, clap::Error> {
        Line::try_parse_from(["run"].iter().chain(words)).map(|line| line.run)
    }

    #[test]
    fn what_follows_two_dashes_is_the_command_whatever_it_looks_like() {
        let run = parse(&["busybox", "--cpus", "2", "--", "ls", "--cpus", "3", "-i"]).unwrap();
        assert_eq!(
            (run.cpus, run.command.as_slice()),
            (Some(2.0), &["ls", "--cpus", "3", "-i"].map(String::from)[..])
        );
        assert!(parse(&["busybox", "ls"]).is_err());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn variables_need_a_name_and_may_contain_equals_signs() {
        let run = parse(&["x", "-e", "A=b=c", "--env", "EMPTY="]).unwrap();
        assert_eq!(run.env, [("A".into(), "b=c".into()), ("EMPTY".into(), String::new())]);
        assert!(parse(&["x", "-e", "A"]).is_err());
        assert!(parse(&["x", "-e", "=b"]).is_err());
    }

    #[test]
    fn a_definition_says_only_what_was_asked_for() {
        let run = parse(&["busybox"]).unwrap();
        assert_eq!(run.definition("http://h", &BTreeMap::new()), json!({"image": "busybox"}));
    }

    #[test]
    fn a_definition_has_every_part_in_the_protocols_form() {
        let words = [
            "--max-duration",
            "20m",
            "--cpus",
            "1.5",
            "--memory",
            "4g",
            "--gpus",
            "1",
            "--workdir",
            "/w",
            "-e",
            "A=b",
            "--entrypoint",
            "sh -c",
            "image",
            "--",
            "echo 'x'",
        ];
        let run = parse(&words).unwrap();
        let hash = BlobHash([0xab; 32]);
        let inputs = BTreeMap::from([(FilePath::new("a/b").unwrap(), hash)]);
        let wanted = json!({
            "image": "image", "command": r"'echo '\''x'\'''", "entrypoint": "sh -c", "workdir": "/w",
            "maxDuration": "20m", "env": {"A": "b"},
            "inputs": {"a/b": {"type": "url", "value": format!("http://h/f/{hash}"), "hash": hash.to_string()}},
            "requirements": {"cpus": 1.5, "memory": "4g", "gpus": 1},
        });
        assert_eq!(run.definition("http://h", &inputs), wanted);
    }

    #[test]
    fn the_exit_code_is_the_containers_or_tells_why_there_is_none() {
        assert_eq!(exit_code("Success", Some(0)), 0);
        assert_eq!(exit_code("Success", Some(42)), 42);
        assert_eq!(exit_code("Success", Some(-1)), 1);
        assert_eq!(exit_code("TimedOut", Some(137)), 124);
        assert_eq!(exit_code("Error", None), 125);
        assert_eq!(exit_code("Cancelled", None), 130);
    }
}
