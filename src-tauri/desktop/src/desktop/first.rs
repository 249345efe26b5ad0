//! One app at a time: where a Deskgrid already works in the same data folder, its window is opened and this start is
//! over.

use std::path::PathBuf;
use std::process::ExitCode;

use deskgrid_desktop::door::{Door, DoorError};
use deskgrid_desktop::text;
use deskgrid_server::LocalDoor;
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::app::Plan;
use crate::rooms::LEAVING;
use crate::window::{self, Manner};

/// The exit code for a window that was killed.
const FAILURE: u8 = 1;
/// The code for a server that no app stands around.
const NO_SHELL: &str = "no-shell";

/// How this program is over.
pub(crate) enum Over {
    /// With this exit code.
    Ended(ExitCode),
    /// But for a window onto a server in a terminal, which has no app that could open it.
    Window(Manner),
}

/// Hands over to a Deskgrid that is running already; none when nobody answers, or somebody who is just leaving.
pub(crate) async fn hand_over(plan: &Plan) -> Option<Over> {
    let path = door(plan).await?;
    let door = Door::at(&path).ok()?;
    // Who starts us at login wants the app to run, which it does.
    let asked = if plan.hidden && plan.link.is_none() {
        door.call::<IgnoredAny>(Method::GET, "/api/desk", None).await
    } else {
        door.call::<IgnoredAny>(Method::POST, "/api/desk/window", Some(&json!({"link": plan.link}))).await
    };
    match asked {
        Ok(_) => {
            println!("{}", text::RUNS_ALREADY);
            Some(Over::Ended(ExitCode::SUCCESS))
        }
        Err(DoorError::Silent(_)) => None,
        Err(error) if error.code() == LEAVING => None,
        Err(error) if error.code() == NO_SHELL => {
            let link = plan.link.clone();
            Some(Over::Window(Manner { door: path, link, keep: false, minimised: plan.hidden }))
        }
        Err(error) => {
            eprintln!("{}", text::runs_without_window(&error.to_string()));
            Some(Over::Ended(ExitCode::FAILURE))
        }
    }
}

/// Opens the window of a server in a terminal, and waits for its end.
pub(crate) async fn window_onto_server(manner: &Manner) -> ExitCode {
    println!("{}", text::RUNS_WITHOUT_ICON);
    match window::run_alone(manner).await {
        Ok(end) => ExitCode::from(end.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILURE)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the local door of these settings is; none when they cannot be read, which the start then says.
async fn door(plan: &Plan) -> Option<PathBuf> {
    let source = plan.source.clone();
    let settings = tokio::task::spawn_blocking(move || source.load()).await.ok()?.ok()?;
    Some(LocalDoor::of(&settings.data_directory).path().to_owned())
}
