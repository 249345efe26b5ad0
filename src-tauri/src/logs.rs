//! `deskgrid logs`: what a job wrote.

use std::process::ExitCode;

use crate::client::{Client, ServerArgs};
use crate::console::{Console, Log};
use crate::error::CliError;
use crate::follow::follow;
use crate::job_ref::{JobArgs, JobRef};

/// Show what a job wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The container's output goes to the output, its errors and what was said about the image to the errors.

Examples:
  deskgrid logs 3f2a91
  deskgrid logs 3f2a91 --follow > output.txt")]
pub(crate) struct Logs {
    #[command(flatten)]
    job: JobArgs,
    /// Go on until the job is over
    #[arg(long, short = 'f')]
    follow: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Logs {
    /// Shows the lines.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let client = Client::new(&self.server)?;
        let job = self.job.resolve(&client).await?;
        let mut console = Console::of_process();
        if self.follow {
            let followed = follow(&client, &job, &mut console).await;
            console.end_progress();
            followed?;
        } else {
            show(&client, &job, &mut console, Log::Build, "build-logs.json").await?;
            show(&client, &job, &mut console, Log::Run, "run-logs.json").await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows one log as far as it goes now. A long one comes in several parts.
async fn show(
    client: &Client,
    job: &JobRef,
    console: &mut Console,
    log: Log,
    file: &str,
) -> Result<(), CliError> {
    let mut shown = 0;
    loop {
        let slice = client.log(job, file, shown).await?;
        if slice.data.is_empty() {
            return Ok(());
        }
        console.lines(log, &slice.data).await?;
        // A server that gives lines but no progress would keep us here for ever.
        if slice.next_cursor <= shown {
            return Ok(());
        }
        shown = slice.next_cursor;
    }
}
