//! `deskgrid dashboard`: the address that opens the running server's window in a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use deskgrid_server::settings::{Key, Overrides, SettingsSource};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;

/// Print an address that opens queue, cache and settings in a browser
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The address is good once and for 15 minutes. The browser stays signed in afterwards.

Examples:
  deskgrid dashboard
  xdg-open \"$(deskgrid dashboard)\"")]
pub(crate) struct Dashboard {
    #[command(flatten)]
    server: ServerArgs,
    /// Settings file to use instead of the usual one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder of the server, when the settings do not name it
    #[arg(long, value_name = "DIR")]
    data_directory: Option<String>,
}

#[derive(Deserialize)]
struct Ticket {
    address: String,
}

impl Dashboard {
    /// Gets a ticket and prints the address with it.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let folder = self.data_directory.iter().cloned().collect();
        let flags = Overrides::from_flags(&[(Key::DataDirectory, folder)])?;
        let settings = SettingsSource::new(self.config, flags)?.load()?;
        let token = deskgrid_server::token(&settings.data_directory)
            .map_err(|error| CliError::Usage(format!("The token cannot be read: {error}.")))?;
        let client = Client::new_with(&self.server, settings.port)?.with_token(token);
        let ticket: Ticket = client.admin_post("Asking for a ticket", &["api", "ticket"], &json!({})).await?;
        println!("{}", ticket.address);
        Ok(ExitCode::SUCCESS)
    }
}
