//! What a click in the tray's menu, or on a notification, asks for; and which of them are calls of the administration
//! API. It calls nobody.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What becomes of running jobs when Deskgrid stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AtStop {
    /// They run on to their end.
    Finish,
    /// They end now.
    Cancel,
}

/// What becomes of running jobs when the app is quit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AtQuit {
    /// The app waits for their end, then leaves.
    Finish,
    /// They end now.
    Cancel,
    /// Their containers go on without the app, and are taken over at the next start.
    Keep,
}

/// One thing that a person can ask for. Menus of some systems remember it as text, and so does a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Click {
    /// Open the port.
    Start,
    /// Close the port.
    Stop(AtStop),
    /// Cancel a job.
    Cancel(String),
    /// Show a place of the user interface in the window, such as `#/job/0f3a`.
    OpenPlace(String),
    /// Let a site in for good.
    Allow(String),
    /// Let a site in until Deskgrid is started again.
    AllowOnce(String),
    /// Keep a site out.
    Block(String),
    /// Show the window.
    OpenWindow,
    /// Show the dashboard in the browser.
    OpenBrowser,
    /// Put the address into the clipboard.
    CopyAddress,
    /// Whether the app starts with the session.
    StartAtLogin(bool),
    /// Leave.
    Quit(AtQuit),
    /// Do not leave after all.
    Stay,
    /// Try to start once more.
    TryAgain,
}

/// A call of the administration API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Click {
    /// Show this job in the window.
    pub(crate) fn open_job(id: &str) -> Self {
        Self::OpenPlace(format!("#/job/{id}"))
    }

    /// The call that it is; none for what the app does by itself.
    pub(crate) fn call(&self) -> Option<Call> {
        Some(match self {
            Self::Start => start(),
            Self::Stop(jobs) => stop(*jobs),
            Self::Cancel(id) => post(&format!("/api/jobs/{id}/cancel"), json!({})),
            Self::Allow(origin) => post("/api/sites/allow", json!({"origin": origin})),
            Self::AllowOnce(origin) => post("/api/sites/allow", json!({"origin": origin, "once": true})),
            Self::Block(origin) => post("/api/sites/block", json!({"origin": origin})),
            Self::StartAtLogin(on) => {
                Call { method: Method::PUT, path: "/api/desk/login".to_owned(), body: json!({"on": on}) }
            }
            Self::OpenPlace(_)
            | Self::OpenWindow
            | Self::OpenBrowser
            | Self::CopyAddress
            | Self::Quit(_)
            | Self::Stay
            | Self::TryAgain => return None,
        })
    }
}

/// Opens the port.
pub(crate) fn start() -> Call {
    post("/api/desk/start", json!({}))
}

/// Closes the port.
pub(crate) fn stop(jobs: AtStop) -> Call {
    let running = match jobs {
        AtStop::Finish => "finish",
        AtStop::Cancel => "cancel",
    };
    post("/api/desk/stop", json!({"running": running}))
}

fn post(path: &str, body: Value) -> Call {
    Call { method: Method::POST, path: path.to_owned(), body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_click_on_deskgrid_is_one_call() {
        let told =
            |click: Click| click.call().map(|call| format!("{} {} {}", call.method, call.path, call.body));
        let origin = || "https://a.org".to_owned();
        assert_eq!(told(Click::Start).as_deref(), Some("POST /api/desk/start {}"));
        assert_eq!(
            told(Click::Stop(AtStop::Finish)).as_deref(),
            Some(r#"POST /api/desk/stop {"running":"finish"}"#)
        );
        assert_eq!(
            told(Click::Stop(AtStop::Cancel)).as_deref(),
            Some(r#"POST /api/desk/stop {"running":"cancel"}"#)
        );
        assert_eq!(told(Click::Cancel("0f".into())).as_deref(), Some("POST /api/jobs/0f/cancel {}"));
        assert_eq!(
            told(Click::Allow(origin())).as_deref(),
            Some(r#"POST /api/sites/allow {"origin":"https://a.org"}"#)
        );
        assert_eq!(
            told(Click::AllowOnce(origin())).as_deref(),
            Some(r#"POST /api/sites/allow {"origin":"https://a.org","once":true}"#)
        );
        assert_eq!(
            told(Click::Block(origin())).as_deref(),
            Some(r#"POST /api/sites/block {"origin":"https://a.org"}"#)
        );
        assert_eq!(told(Click::StartAtLogin(true)).as_deref(), Some(r#"PUT /api/desk/login {"on":true}"#));
    }

    #[test]
    fn what_the_app_does_by_itself_is_no_call() {
        let quit = Click::Quit(AtQuit::Keep);
        for click in [Click::OpenWindow, Click::CopyAddress, quit, Click::Stay, Click::TryAgain] {
            assert_eq!(click.call(), None);
        }
    }
}
