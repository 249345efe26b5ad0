//! `deskgrid cancel`: ends a job that waits or runs.

use std::process::ExitCode;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::job_ref::JobArgs;
use crate::words;

/// Cancel a job that waits or runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A job that several namespaces asked for goes on until the last of them cancels it.

Examples:
  deskgrid cancel 3f2a91
  deskgrid cancel 3f2a91 --namespace '*'")]
pub(crate) struct Cancel {
    #[command(flatten)]
    job: JobArgs,
    /// Namespace that no longer wants the job, or * for all of them [default: _]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Reason to keep with the job
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Cancel {
    /// Cancels the job.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let client = Client::new(&self.server)?;
        let job = self.job.resolve(&client).await?;
        let answer = client.cancel(&job, self.namespace.as_deref(), self.message.as_deref()).await?;
        match answer {
            Some(text) => eprintln!("Job {}: {text}", words::short(&job.id)),
            None => eprintln!("Job {} is cancelled, or was over already.", words::short(&job.id)),
        }
        Ok(ExitCode::SUCCESS)
    }
}
