//! The line to the app that opened the window: its orders come in on the input, one a line, and what becomes of the
//! window goes out on the output. An order to show something is answered, so that the app knows of one that reached a
//! window which was just closing.

use std::io::{BufRead, Write};

use deskgrid_desktop::link;
use tauri::{AppHandle, Emitter, Manager, WebviewWindow, WindowEvent};

use crate::commands::Page;
use crate::{Kept, LABEL, bring_forward};

/// The event that tells the page of a link.
const LINK_EVENT: &str = "link";
/// The answer to an order to show something.
const SHOWN: &str = "shown";

/// Does what the app says, in a thread that ends with the input. Then the app is gone or wants the window gone.
pub(crate) fn obey(app: AppHandle) {
    std::thread::spawn(move || {
        let input = std::io::stdin().lock();
        for line in input.lines().map_while(Result::ok) {
            follow(&app, &line);
        }
        app.exit(0);
    });
}

/// Orders of a newer app are left out.
fn follow(app: &AppHandle, line: &str) {
    if line == "focus" {
        show(app, None);
    } else if let Some(keep) = line.strip_prefix("keep ") {
        app.state::<Kept>().set(keep == "on");
    } else if let Some(Ok(place)) = line.strip_prefix("link ").map(link::place) {
        show(app, Some(place));
    }
}

/// On the thread of the windows, on which nothing closes in between. What a window that is closing cannot do is not
/// answered.
fn show(app: &AppHandle, place: Option<String>) {
    let window = app.clone();
    let _ = app.run_on_main_thread(move || {
        if bring_forward(&window) {
            if let Some(place) = place.and_then(|place| window.state::<Page>().keep(place)) {
                let _ = window.emit_to(LABEL, LINK_EVENT, place);
            }
            tell(SHOWN);
        }
    });
}

/// Tells on the output whenever the person turns to the window or to something else.
pub(crate) fn report(window: &WebviewWindow) {
    window.on_window_event(|event| {
        if let WindowEvent::Focused(has_focus) = event {
            tell(if *has_focus { "focus" } else { "blur" });
        }
    });
}

fn tell(line: &str) {
    let mut output = std::io::stdout();
    // The app is leaving when nobody reads.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
