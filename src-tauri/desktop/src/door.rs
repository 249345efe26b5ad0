//! The client of Deskgrid's local door: the administration API over a Unix socket or a named pipe, which only this
//! person's programs can open. It forwards; what an answer means is for whoever asked.

use std::path::Path;
use std::time::Duration;

use deskgrid_wire::sse::{Event, Parser};
use reqwest::{Client, Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

/// Every answer but a stream is there by then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// What may be asked for at the door; no page or program has any business elsewhere.
const AREAS: [&str; 3] = ["/api/", "/j/", "/f/"];
/// The door speaks HTTP, which wants a name.
const BASE: &str = "http://localhost/";

/// Why there is no answer, or not the one wanted.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A path outside the areas of the door.
    #[error("\"{0}\" is not a part of Deskgrid that the app may ask for. Please report this.")]
    BadPath(String),
    /// Nobody is behind the door.
    #[error(
        "Deskgrid does not answer: {0}. It may have been quit; start it again from the menu of programs."
    )]
    Silent(#[source] reqwest::Error),
    /// The answer broke off or is not what it should be.
    #[error("Deskgrid's answer could not be read: {0}. Please report this.")]
    Broken(String),
    /// Deskgrid refused, with its own words.
    #[error("{words}")]
    Refused {
        /// Stable across versions.
        code: String,
        /// The words of the answer.
        words: String,
    },
}

impl DoorError {
    /// Stable across versions.
    pub fn code(&self) -> &str {
        match self {
            Self::BadPath(_) => "bad-path",
            Self::Silent(_) => "not-running",
            Self::Broken(_) => "broken-answer",
            Self::Refused { code, .. } => code,
        }
    }
}

/// An answer, whatever it says.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON nearly always.
    pub body: String,
}

/// A way through the door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    client: Client,
}

impl Door {
    /// A client of the door at `path`. Connects when first used.
    ///
    /// # Errors
    /// [`DoorError::Broken`] when the system offers no such sockets.
    pub fn at(path: &Path) -> Result<Self, DoorError> {
        // Nothing here is encrypted, so that loading the system's certificates would only cost time and memory.
        let builder = Client::builder().no_proxy().tls_certs_only([]);
        let client = through(builder, path).build();
        Ok(Self { client: client.map_err(|error| DoorError::Broken(error.to_string()))? })
    }

    /// Asks and gives the answer as it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, DoorError> {
        let mut request = self.client.request(method, address(path)?).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(DoorError::Silent)?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|error| DoorError::Broken(error.to_string()))?;
        Ok(Answer { status, body })
    }

    /// Asks and reads the answer.
    ///
    /// # Errors
    /// When there is no answer, it is a refusal, or not what is expected.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, DoorError> {
        let answer = self.ask(method, path, body).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refusal(&answer));
        }
        serde_json::from_str(&answer.body).map_err(|error| DoorError::Broken(error.to_string()))
    }

    /// The bytes of a file, to be read piece by piece, without a time limit.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn file(&self, path: &str) -> Result<Response, DoorError> {
        answered(self.client.get(address(path)?)).await
    }

    /// A page that a job wrote, as a frame of ours may show it. What keeps it harmless there is in its header
    /// `Content-Security-Policy`.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or something that is not to be shown.
    pub async fn preview(&self, path: &str) -> Result<Response, DoorError> {
        let frame = [("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")];
        let request = self.client.get(address(path)?);
        let request = frame.into_iter().fold(request, |request, (name, word)| request.header(name, word));
        let response = answered(request).await?;
        let policy = response.headers().get("content-security-policy");
        if policy.is_some_and(|policy| policy.as_bytes().starts_with(b"sandbox allow-scripts;")) {
            return Ok(response);
        }
        Err(DoorError::Broken("this file is no page".to_owned()))
    }

    /// The events from now on.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn events(&self) -> Result<Events, DoorError> {
        Ok(Events { response: self.file("/api/events").await?, parser: Parser::default(), ready: Vec::new() })
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    response: Response,
    parser: Parser,
    /// Events that arrived together, the last one first.
    ready: Vec<Event>,
}

impl Events {
    /// The next event; none when the stream has ended, however it did.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            let bytes = self.response.chunk().await.ok().flatten()?;
            self.ready = self.parser.push(&bytes);
            self.ready.reverse();
        }
    }
}

#[cfg(unix)]
fn through(builder: reqwest::ClientBuilder, path: &Path) -> reqwest::ClientBuilder {
    builder.unix_socket(path)
}

#[cfg(windows)]
fn through(builder: reqwest::ClientBuilder, path: &Path) -> reqwest::ClientBuilder {
    builder.windows_named_pipe(path)
}

/// The path is checked as it will be sent: `/api/../x` leaves the area it begins in.
fn address(path: &str) -> Result<Url, DoorError> {
    let bad = || DoorError::BadPath(path.chars().take(200).collect());
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(bad());
    }
    let url = Url::parse(BASE).and_then(|base| base.join(path)).map_err(|_| bad())?;
    let is_ours = url.origin().ascii_serialization() == BASE.trim_end_matches('/');
    let is_open = AREAS.iter().any(|area| url.path().starts_with(area));
    if is_ours && is_open { Ok(url) } else { Err(bad()) }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Response, DoorError> {
    let response = request.send().await.map_err(DoorError::Silent)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = response.text().await.unwrap_or_default();
    Err(refusal(&Answer { status, body }))
}

fn refusal(answer: &Answer) -> DoorError {
    let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    DoorError::Refused {
        code: text("code").unwrap_or_else(|| "refused".to_owned()),
        words: text("error").unwrap_or_else(|| format!("Deskgrid answered {}.", answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_areas_of_the_door_can_be_asked_for() {
        for good in ["/api/desk", "/j/0f/outputs/a%20b.csv", "/api/jobs/0f/log?kind=run&since=0"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in
            ["api/desk", "//evil.example/api/", "/dashboard/", "/api/../token", "/api/%2e%2e/token", "/", ""]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
        for odd in ["/\\evil.example/api/x", "/api/\\..\\..\\token"] {
            assert!(address(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_words_and_code() {
        let answer = Answer { status: 409, body: r#"{"error":"No.","code":"no-shell"}"#.into() };
        let error = refusal(&answer);
        assert_eq!((error.code(), error.to_string().as_str()), ("no-shell", "No."));
        assert!(refusal(&Answer { status: 502, body: String::new() }).to_string().contains("502"));
    }

    #[tokio::test]
    async fn nobody_behind_the_door_is_told_in_words() {
        let nowhere = std::env::temp_dir().join("deskgrid-no-such-door");
        let error = Door::at(&nowhere).unwrap().ask(Method::GET, "/api/desk", None).await.unwrap_err();
        assert_eq!(error.code(), "not-running");
    }
}
