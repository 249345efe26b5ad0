//! From a tray to a running [`App`]: opens the engine rooms, and where that fails says why and tries again when asked.

use std::process::ExitCode;
use std::time::Duration;

use deskgrid_desktop::display;
use deskgrid_desktop::door::Door;
use deskgrid_server::{Relocation, StartError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::app::{App, Ears, Ending, Moving, Plan};
use crate::click::Click;
use crate::first::{self, Over};
use crate::known::Known;
use crate::leave::LeaveSignals;
use crate::notices;
use crate::notify::Notifier;
use crate::rooms::{AppShell, Rooms};
use crate::tray::TrayPort;
use crate::view::{Standing, view};
use crate::window;
use deskgrid_desktop::text;

/// The system has said by then whether it shows icons.
const TRAY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a data folder that somebody else has is waited for: whoever is just starting opens a door by then, and
/// whoever is leaving lets go of it.
const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// Between looks whether that happened.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs the app in a tray until the person leaves, or somebody else turns out to be the first.
pub(crate) async fn run(mut tray: TrayPort, mut plan: Plan) -> Over {
    let mut signals = match LeaveSignals::listen() {
        Ok(signals) => signals,
        Err(error) => return Over::Ended(failure(&error)),
    };
    let mut moved = None;
    loop {
        tray.show(view(&Standing::Starting, &Known::default(), 0));
        let (orders, taken) = mpsc::unbounded_channel();
        let quitting = watch::Sender::new(false);
        let shell = AppShell { orders, has_tray: tray.is_shown.clone(), quitting: quitting.clone() };
        let opened = match open(&mut tray, &mut signals, &plan, shell).await {
            Ok(Opened::Over(over)) => return over,
            Ok(Opened::Rooms(rooms)) => Ok(rooms),
            Err(error) => Err(error),
        };
        let words = match opened {
            Ok(rooms) => match Door::at(&rooms.door) {
                Ok(door) => {
                    settle(moved.take(), &rooms).await;
                    let app = App::new(rooms, door, tray, Ears { orders: taken, quitting, signals }).await;
                    match app.run(plan.clone()).await {
                        Ending::Left => return Over::Ended(ExitCode::SUCCESS),
                        Ending::Unseen => {
                            eprintln!("{}", display::no_answer());
                            return Over::Ended(ExitCode::from(display::NO_DISPLAY_CODE));
                        }
                        Ending::Moves(moving) => {
                            (tray, signals, moved) = carry(*moving, &mut plan).await;
                            continue;
                        }
                    }
                }
                Err(error) => error.to_string(),
            },
            Err(error) if error.is_of_the_folder() => {
                let words = error.to_string();
                match returned(moved.take(), &plan, words.clone()).await {
                    Ok(back) => {
                        moved = Some(back);
                        continue;
                    }
                    Err(settled) => moved = settled,
                }
                words
            }
            Err(error) => error.to_string(),
        };
        if !wants_another(&mut tray, &mut signals, &words).await {
            return Over::Ended(ExitCode::FAILURE);
        }
    }
}

/// What came of an attempt to open the rooms.
enum Opened {
    Rooms(Rooms),
    /// Somebody else has them, or the person does not want them any more.
    Over(Over),
}

/// Opens the rooms, once the system has said whether it shows the icon. Where somebody else has the data folder, it is
/// handed over to them as soon as they answer, or taken as soon as they let go.
async fn open(
    tray: &mut TrayPort,
    signals: &mut LeaveSignals,
    plan: &Plan,
    shell: AppShell,
) -> Result<Opened, StartError> {
    let (deadline, mut is_said) = (Instant::now() + TURN_TIMEOUT, false);
    let mut opened = tokio::join!(Rooms::open(plan.source.clone(), shell.clone()), settled(tray)).0;
    loop {
        let error = match opened {
            Ok(rooms) => return Ok(Opened::Rooms(rooms)),
            Err(error) if error.is_in_use() => error,
            Err(error) => return Err(error),
        };
        if let Some(over) = first::hand_over(plan).await {
            return Ok(Opened::Over(over));
        }
        if Instant::now() >= deadline {
            return Err(error);
        }
        if !std::mem::replace(&mut is_said, true) {
            tracing::info!("{error}; it does not answer, and is looked for again");
        }
        if is_called_off(tray, signals, LOOK_AGAIN).await {
            return Ok(Opened::Over(Over::Ended(ExitCode::SUCCESS)));
        }
        opened = Rooms::open(plan.source.clone(), shell.clone()).await;
    }
}

/// Waits that long, and gives whether the person wants to leave meanwhile.
async fn is_called_off(tray: &mut TrayPort, signals: &mut LeaveSignals, time: Duration) -> bool {
    let wants_to_leave = async {
        loop {
            tokio::select! {
                click = tray.clicks.recv() => match click {
                    Some(Click::Quit(_)) | None => return,
                    Some(_) => {}
                },
                () = signals.next() => return,
            }
        }
    };
    tokio::time::timeout(time, wants_to_leave).await.is_ok()
}

/// A move that is over, and why it failed, if it did.
struct Moved {
    way: Relocation,
    problem: Option<String>,
}

/// Carries the data folder to its new place, with the window showing how far that is, and gives what is to be settled
/// when the rooms are open again.
async fn carry(moving: Moving, plan: &mut Plan) -> (TrayPort, LeaveSignals, Option<Moved>) {
    let Moving { rooms, way, tray, signals, mut window } = moving;
    let problem = rooms.carry(plan.source.clone(), way.clone()).await.err();
    plan.opens = way.opens();
    plan.hidden = !window.is_open();
    plan.link = window.is_open().then(|| "#/settings".to_owned());
    // It goes through a door that is not there any more.
    window.close().await;
    if let Some(words) = &problem {
        tell_failed(words).await;
    }
    (tray, signals, Some(Moved { way, problem }))
}

/// Goes back from a new place where the data folder cannot be used. Gives what there was to settle where there was no
/// move, or no way back.
async fn returned(moved: Option<Moved>, plan: &Plan, words: String) -> Result<Moved, Option<Moved>> {
    let Some(Moved { way, problem: None }) = moved else { return Err(moved) };
    let (source, back) = (plan.source.clone(), way.clone());
    match tokio::task::spawn_blocking(move || back.go_back(&source)).await {
        Ok(Ok(())) => {
            let words = text::not_usable(way.to(), &words);
            tell_failed(&words).await;
            Ok(Moved { way, problem: Some(words) })
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the settings go on naming the new data folder");
            Err(Some(Moved { way, problem: None }))
        }
        Err(_) => Err(Some(Moved { way, problem: None })),
    }
}

async fn tell_failed(words: &str) {
    let (mut notifier, _clicks) = Notifier::new();
    notifier.send(notices::failed(words));
    notifier.sent().await;
}

/// Removes the old folder, where the rooms are open at the new one, or has the window say why it still is the only one.
async fn settle(moved: Option<Moved>, rooms: &Rooms) {
    match moved {
        // What it cannot remove stays, and it says so.
        Some(Moved { way, problem: None }) => {
            let in_use = rooms.data_directory().to_owned();
            let _ = tokio::task::spawn_blocking(move || way.clear_old_place(&in_use)).await;
        }
        Some(Moved { way, problem: Some(words) }) => rooms.tell_failed_move(&way, words),
        None => {}
    }
}

/// Waits until the system has said whether it shows the icon.
async fn settled(tray: &mut TrayPort) {
    let _ = tokio::time::timeout(TRAY_TIMEOUT, tray.is_shown.wait_for(Option::is_some)).await;
}

/// Says why it did not start, and waits for what the person wants. Without a tray a window asks.
async fn wants_another(tray: &mut TrayPort, signals: &mut LeaveSignals, words: &str) -> bool {
    eprintln!("{}: {words}", text::NOT_STARTED);
    let (mut notifier, _clicks) = Notifier::new();
    notifier.send(notices::not_started(words));
    tray.show(view(&Standing::Failed(words.to_owned()), &Known::default(), 0));
    if !tray.is_shown.borrow().unwrap_or(false) {
        notifier.sent().await;
        return tokio::select! {
            wants_another = window::wants_another(words) => wants_another,
            () = signals.next() => false,
        };
    }
    loop {
        tokio::select! {
            click = tray.clicks.recv() => match click {
                Some(Click::TryAgain) => return true,
                Some(Click::Quit(_)) | None => return false,
                Some(_) => {}
            },
            () = signals.next() => return false,
        }
    }
}

fn failure(error: &std::io::Error) -> ExitCode {
    eprintln!("{}: {error}", text::NOT_STARTED);
    ExitCode::FAILURE
}
