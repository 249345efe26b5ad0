//! What the page may ask of the window: calls of the administration API, bytes of files and the stream of events, all
//! through the local door, and pages for the browser. It forwards and decides nothing.

use std::sync::{Mutex, PoisonError};

use deskgrid_desktop::door::{Answer, Door};
use deskgrid_desktop::text;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use tauri::State;
use tauri::ipc::{Channel, Response};
use tokio::task::JoinHandle;
use url::Url;

/// A preview never needs more, and the page would choke on it.
pub(crate) const MOST_READ: usize = 64 << 20;

/// What belongs to the page.
pub(crate) struct Page {
    pub(crate) door: Door,
    first: Mutex<First>,
    /// The task that follows events for the page. A page that is loaded again has a new one.
    following: Mutex<Option<JoinHandle<()>>>,
}

/// Where the page goes first.
enum First {
    /// The page has not asked yet.
    Kept(Option<String>),
    /// From now on it hears of links.
    Asked,
}

impl Page {
    pub(crate) fn new(door: Door, link: Option<String>) -> Self {
        Self { door, first: Mutex::new(First::Kept(link)), following: Mutex::new(None) }
    }

    /// Keeps a link for a page that is only coming, and hears of nothing before it has asked where to go first. Gives
    /// the link back for a page that is there.
    pub(crate) fn keep(&self, link: String) -> Option<String> {
        match &mut *self.first.lock().unwrap_or_else(PoisonError::into_inner) {
            First::Kept(first) => {
                *first = Some(link);
                None
            }
            First::Asked => Some(link),
        }
    }

    fn take_first(&self) -> Option<String> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *first, First::Asked) {
            First::Kept(link) => link,
            First::Asked => None,
        }
    }
}

/// What the page hears.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Message {
    Event { event: String, data: String },
    Lost { event: &'static str },
}

#[tauri::command]
pub(crate) async fn api(
    page: State<'_, Page>,
    method: String,
    path: String,
    body: Option<Value>,
) -> Result<Answer, String> {
    let method = match method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        other => return Err(text::no_method(other)),
    };
    page.door.ask(method, &path, body.as_ref()).await.map_err(|error| error.to_string())
}

#[tauri::command]
pub(crate) async fn read(page: State<'_, Page>, path: String, most: usize) -> Result<Response, String> {
    let mut file = page.door.file(&path).await.map_err(|error| error.to_string())?;
    let most = most.min(MOST_READ);
    let mut bytes = Vec::new();
    while bytes.len() < most {
        match file.chunk().await.map_err(|error| error.to_string())? {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => break,
        }
    }
    bytes.truncate(most);
    Ok(Response::new(bytes))
}

#[tauri::command]
pub(crate) async fn listen(page: State<'_, Page>, channel: Channel<Message>) -> Result<(), String> {
    let mut events = page.door.events().await.map_err(|error| error.to_string())?;
    let follow = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if channel.send(Message::Event { event: event.name, data: event.data }).is_err() {
                return;
            }
        }
        let _ = channel.send(Message::Lost { event: "lost" });
    });
    let earlier = page.following.lock().unwrap_or_else(PoisonError::into_inner).replace(follow);
    if let Some(earlier) = earlier {
        earlier.abort();
    }
    Ok(())
}

#[tauri::command]
pub(crate) fn open_external(url: &str) -> Result<(), String> {
    let url = browsable(url)?;
    open::that_detached(url.as_str())
        .map_err(|error| text::no_browser_for(&sayable(url.as_str()), &error.to_string()))
}

#[tauri::command]
#[allow(clippy::needless_pass_by_value, reason = "the page's calls bring it so")]
pub(crate) fn initial_link(page: State<'_, Page>) -> Option<String> {
    page.take_first()
}

/// Without what stands behind `#`: that may be a key.
fn sayable(url: &str) -> String {
    url.split('#').next().unwrap_or_default().chars().take(200).collect()
}

/// The system opens files and programs as well as pages, if one lets it.
fn browsable(url: &str) -> Result<Url, String> {
    let bad = || text::no_web_page(&sayable(url));
    let url = Url::parse(url).map_err(|_| bad())?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_an_address_is_not_said() {
        assert_eq!(sayable("http://localhost:8000/#ticket=secret"), "http://localhost:8000/");
        assert!(!browsable("file:///a#secret").unwrap_err().contains("secret"));
    }

    #[test]
    fn only_web_pages_are_opened() {
        assert!(browsable("https://docs.docker.com/engine/install/").is_ok());
        for bad in ["file:///etc/passwd", "javascript:alert(1)", "deskgrid://job/1", "/bin/sh", ""] {
            assert!(browsable(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_link_that_comes_before_the_page_asks_is_where_it_goes_first() {
        let page = Page::new(Door::at(std::path::Path::new("door")).unwrap(), Some("#/queue".to_owned()));
        assert_eq!(page.keep("#/job/0f".to_owned()), None);
        assert_eq!(page.take_first().as_deref(), Some("#/job/0f"));
        assert_eq!(page.keep("#/cache".to_owned()).as_deref(), Some("#/cache"), "it is told from now on");
        assert_eq!(page.take_first(), None);
    }

    #[test]
    fn the_page_hears_events_and_their_end() {
        let event = Message::Event { event: "desk".into(), data: "{}".into() };
        assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"event":"desk","data":"{}"}"#);
        assert_eq!(serde_json::to_string(&Message::Lost { event: "lost" }).unwrap(), r#"{"event":"lost"}"#);
    }
}
