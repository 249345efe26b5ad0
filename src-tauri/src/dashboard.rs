//! `deskgrid dashboard`: the address that opens the running server's window in a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use deskgrid_server::settings::{Key, Overrides, Settings, SettingsSource};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, ServerArgs};
use crate::door::{Door, Running};
use crate::error::CliError;

/// Print an address that opens queue, cache and settings in a browser
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The address is good once and for 15 minutes. The browser stays signed in afterwards.
Where Deskgrid was stopped, its port is opened again first.

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
        let settings = SettingsSource::new(self.config.clone(), flags)?.load()?;
        println!("{}", self.address(&settings).await?);
        Ok(ExitCode::SUCCESS)
    }

    /// The address, from the one whose data folder this is, or from whoever answers at the port.
    async fn address(&self, settings: &Settings) -> Result<String, CliError> {
        if !self.server.is_named()
            && let Some(door) = Door::of(&settings.data_directory)
            && let Some(running) = door.running().await
        {
            return through(&door, running).await;
        }
        let token = deskgrid_server::token(&settings.data_directory)
            .map_err(|error| CliError::Usage(format!("The token cannot be read: {error}.")))?;
        let client = Client::new_with(&self.server, settings.port)?.with_token(token);
        let ticket: Ticket = client.admin_post("Asking for a ticket", &["api", "ticket"], &json!({})).await?;
        Ok(ticket.address)
    }
}

/// The address, from a Deskgrid that may have been stopped: its window is the only way to start it again.
async fn through(door: &Door, running: Running) -> Result<String, CliError> {
    if running.is_quitting() {
        let message = "Deskgrid quits when its jobs have ended. Call that off in the menu of its icon or in its window, then \
                       try again.";
        return Err(CliError::Refused { what: "The dashboard".to_owned(), message: message.to_owned() });
    }
    let is_closed = running.is_closed();
    if let Some(problem) = running.problem() {
        return Err(CliError::Refused { what: "The dashboard".to_owned(), message: problem });
    }
    if is_closed {
        door.open_port().await?;
        // Scripts read the address from the output.
        eprintln!("Deskgrid was stopped. Its port is open again, and jobs start.");
    }
    door.dashboard().await
}
