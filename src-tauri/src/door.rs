//! Asks the Deskgrid that has a data folder where it is, through its local door: for a second start in the same folder.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use deskgrid_server::LocalDoor;
use reqwest::{Client, ClientBuilder};
use serde::Deserialize;

/// A Deskgrid that works answers at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The Deskgrid that runs already, as it describes itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Running {
    doors: Doors,
    address: String,
    /// There where the desktop app is around it.
    shell: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Doors {
    Open,
    Closed,
    Blocked,
}

/// Asks whoever has `data_directory`; none when nobody answers.
pub(crate) async fn running(data_directory: &Path) -> Option<Running> {
    // Nothing here is encrypted, so that loading the system's certificates would only cost time.
    let builder = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT);
    let client = through(builder, LocalDoor::of(data_directory).path()).build().ok()?;
    let answer = client.get("http://localhost/api/desk").send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// Where it is, as sentences.
impl fmt::Display for Running {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match self.doors {
            Doors::Open => write!(to, "It answers at {address}. ")?,
            Doors::Closed => write!(to, "Its port is closed at present; its window opens it. ")?,
            Doors::Blocked => write!(to, "It waits until {address} is free, which another program has. ")?,
        }
        match self.shell {
            Some(_) => write!(to, "It is the desktop app: its icon in the tray opens its window."),
            None => write!(to, "`deskgrid dashboard` opens its window in a browser."),
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
        assert!(words("closed", "null").contains("closed"));
        assert!(words("blocked", "null").contains("waits until http://localhost:8000 is free"));
    }

    #[tokio::test]
    async fn nobody_answers_for_a_folder_that_nobody_has() {
        assert!(running(tempfile::tempdir().unwrap().path()).await.is_none());
    }
}
