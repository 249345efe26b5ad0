//! The local door of the Deskgrid that has a data folder: for a second start in the same folder, and for the way back in
//! when its port is closed.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use deskgrid_server::LocalDoor;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::client::refusal;
use crate::error::CliError;

/// A Deskgrid that works answers at once; one that finds its port taken first asks who has it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The Deskgrid that runs already, as it describes itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Running {
    doors: Doors,
    address: String,
    /// There where the desktop app is around it.
    shell: Option<Shell>,
    /// Why its port is not open although it should be.
    problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Shell {
    /// The app waits for jobs to end, and leaves then.
    #[serde(default)]
    quitting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Doors {
    Open,
    Closed,
    Blocked,
}

#[derive(Debug, Deserialize)]
struct Problem {
    words: String,
}

#[derive(Deserialize)]
struct Ticket {
    address: String,
}

/// A way through the local door.
pub(crate) struct Door(Client);

impl Door {
    /// The door of whoever has `data_directory`, if anybody.
    pub(crate) fn of(data_directory: &Path) -> Option<Self> {
        // Nothing here is encrypted, so that loading the system's certificates would only cost time.
        let builder = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT);
        through(builder, LocalDoor::of(data_directory).path()).build().ok().map(Self)
    }

    /// Asks who is behind it; none when nobody answers.
    pub(crate) async fn running(&self) -> Option<Running> {
        let answer = self.0.get(url("/api/desk")).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Opens the port and has jobs start.
    pub(crate) async fn open_port(&self) -> Result<(), CliError> {
        answer("Opening the port", self.0.post(url("/api/desk/start"))).await.map(|IgnoredAny| ())
    }

    /// An address that opens the dashboard in a browser, once.
    pub(crate) async fn dashboard(&self) -> Result<String, CliError> {
        let ticket: Ticket = answer("Asking for a ticket", self.0.post(url("/api/ticket"))).await?;
        Ok(ticket.address)
    }
}

/// The door speaks HTTP, which wants a name.
fn url(path: &str) -> String {
    format!("http://localhost{path}")
}

async fn answer<T: DeserializeOwned>(what: &str, request: RequestBuilder) -> Result<T, CliError> {
    let lost = |error: reqwest::Error| CliError::Lost {
        what: what.to_owned(),
        server: "the local door".to_owned(),
        problem: error.to_string(),
    };
    let response = request.send().await.map_err(lost)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(lost);
    }
    let body = response.text().await.unwrap_or_default();
    Err(CliError::Refused { what: what.to_owned(), message: refusal(status, &body) })
}

impl Running {
    /// Whether the person has stopped it.
    pub(crate) fn is_closed(&self) -> bool {
        self.doors == Doors::Closed
    }

    /// Whether it leaves as soon as its jobs have ended.
    pub(crate) fn is_quitting(&self) -> bool {
        self.shell.as_ref().is_some_and(|shell| shell.quitting)
    }

    /// Why its port is not open although it should be: a browser would meet another program there.
    pub(crate) fn problem(self) -> Option<String> {
        self.problem.map(|problem| problem.words)
    }
}

/// Where it is, as sentences.
impl fmt::Display for Running {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match self.doors {
            Doors::Open => write!(to, "It answers at {address}. ")?,
            Doors::Closed => write!(to, "Its port is closed at present; its window opens it again. ")?,
            Doors::Blocked => write!(to, "It waits until {address} is free, which another program has. ")?,
        }
        match (&self.shell, self.doors) {
            (Some(_), _) => write!(to, "It is the desktop app: its icon in the tray opens its window."),
            (None, Doors::Closed) => {
                write!(to, "`deskgrid dashboard` opens the port and its window in a browser.")
            }
            (None, _) => write!(to, "`deskgrid dashboard` opens its window in a browser."),
        }
    }
}

#[cfg(unix)]
fn through(builder: ClientBuilder, path: &Path) -> ClientBuilder {
    builder.unix_socket(path)
}

#[cfg(windows)]
fn through(builder: ClientBuilder, path: &Path) -> ClientBuilder {
    builder.windows_named_pipe(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_deskgrid_is_described_by_what_helps_to_reach_it() {
        let words = |doors: &str, shell: &str| {
            let text =
                format!(r#"{{"doors":"{doors}","address":"http://localhost:8000","shell":{shell},"new":1}}"#);
            serde_json::from_str::<Running>(&text).unwrap().to_string()
        };
        assert!(
            words("open", "null").starts_with("It answers at http://localhost:8000. `deskgrid dashboard`")
        );
        assert!(words("open", r#"{"tray":true}"#).contains("desktop app"));
        assert!(
            words("closed", "null")
                .ends_with("`deskgrid dashboard` opens the port and its window in a browser.")
        );
        assert!(words("blocked", "null").contains("waits until http://localhost:8000 is free"));
    }

    #[test]
    fn an_app_that_is_about_to_quit_is_told_apart() {
        let running = |shell: &str| {
            let text = format!(r#"{{"doors":"closed","address":"http://localhost:8000","shell":{shell}}}"#);
            serde_json::from_str::<Running>(&text).unwrap()
        };
        assert!(running(r#"{"tray":true,"quitting":true}"#).is_quitting());
        assert!(!running(r#"{"tray":true}"#).is_quitting() && !running("null").is_quitting());
    }

    #[tokio::test]
    async fn nobody_answers_for_a_folder_that_nobody_has() {
        assert!(Door::of(tempfile::tempdir().unwrap().path()).unwrap().running().await.is_none());
    }
}
