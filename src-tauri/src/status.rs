//! `deskgrid status`: the server, its engine and its jobs on one screen.

use std::fmt::Write;
use std::process::ExitCode;

use deskgrid_job::Time;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::job_ref::QueueArgs;
use crate::records::{QueueStatus, Record};
use crate::words;

/// More rows than this do not help anyone on a terminal.
const MOST_ROWS: usize = 30;

/// Show the server, its engine and the jobs of a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  deskgrid status")]
pub(crate) struct Status {
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Status {
    /// Shows the status.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let client = Client::new(&self.server)?;
        let queue = self.queue.queue;
        let status = client.status(&queue).await?;
        let jobs = client.jobs(&queue).await?;
        println!("Deskgrid at {}, queue {queue}", client.base());
        print!("{}{}", server_lines(&status), job_lines(&jobs, Time::now()));
        Ok(ExitCode::SUCCESS)
    }
}

/// What is known of the engine and the workers.
fn server_lines(status: &QueueStatus) -> String {
    let mut text = String::new();
    if let Some(engine) = &status.engine {
        let _ = writeln!(text, "Engine   {}", engine.message.as_ref().unwrap_or(&engine.state));
    }
    for (id, worker) in &status.local_workers {
        let longest = match &worker.max_job_duration {
            serde_json::Value::String(text) => format!(", jobs of at most {text}"),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "Worker   {id}: {}, {}{longest}",
            counted(worker.cpus, "CPU"),
            counted(worker.gpus, "GPU")
        );
    }
    let _ = writeln!(text, "Pages    {} connected", status.client_count);
    text
}

fn counted(number: f64, what: &str) -> String {
    let is_one = (number - 1.0).abs() < f64::EPSILON;
    format!("{number} {what}{}", if is_one { "" } else { "s" })
}

/// How many jobs are in which state, and the unfinished ones: running first, then waiting in the server's order.
fn job_lines(jobs: &[(String, Record)], now: Time) -> String {
    let of_state = |state: &'static str| jobs.iter().filter(move |(_, job)| job.state == state);
    let counts = ["Running", "Queued", "Finished"].map(|state| of_state(state).count());
    let mut text =
        format!("Jobs     {} running, {} queued, {} just finished\n", counts[0], counts[1], counts[2]);
    let rows = of_state("Running").chain(of_state("Queued"));
    for (id, job) in rows.clone().take(MOST_ROWS) {
        let since = if job.state == "Queued" { job.queued_time } else { job.time };
        let time = words::time(now.since(Time(since)));
        let _ = writeln!(text, "  {}  {:<8} for {time}", words::short(id), job.state);
    }
    let more = rows.count().saturating_sub(MOST_ROWS);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    for (id, job) in of_state("Finished").take(MOST_ROWS) {
        let reason = job.finished_reason.as_deref().unwrap_or("Finished");
        let _ = writeln!(text, "  {}  {reason}", words::short(id));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn running_jobs_come_before_waiting_ones() {
        let jobs = [
            ("waiting".to_owned(), record(r#"{"state":"Queued","queuedTime":1000,"time":1000}"#)),
            ("working".to_owned(), record(r#"{"state":"Running","queuedTime":1000,"time":3000}"#)),
            ("done".to_owned(), record(r#"{"state":"Finished","finishedReason":"Error","time":3000}"#)),
        ];
        assert_eq!(
            job_lines(&jobs, Time(5000)),
            "Jobs     1 running, 1 queued, 1 just finished\n  working  Running  for 2.0 s\n  waiting  Queued   for 4.0 s\n  done  Error\n"
        );
    }

    #[test]
    fn a_long_queue_is_cut_and_says_so() {
        let jobs: Vec<_> = (0..40).map(|n| (format!("j{n}"), record(r#"{"state":"Queued"}"#))).collect();
        let text = job_lines(&jobs, Time(0));
        assert!(text.ends_with("  and 10 more\n"), "{text}");
    }

    #[test]
    fn engine_and_workers_are_shown_as_the_server_tells_them() {
        let json = r#"{"localWorkers":{"lab-1":{"cpus":3,"gpus":1,"maxJobDuration":"1h"}},"clientCount":2,
            "engine":{"state":"ready","message":"Docker 28"}}"#;
        let status: QueueStatus = serde_json::from_str(json).unwrap();
        assert_eq!(
            server_lines(&status),
            "Engine   Docker 28\nWorker   lab-1: 3 CPUs, 1 GPU, jobs of at most 1h\nPages    2 connected\n"
        );
    }
}
