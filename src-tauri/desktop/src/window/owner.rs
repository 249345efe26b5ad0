//! The line to the app that opened the window: its orders come in on the input, one a line, and what becomes of the
//! window goes out on the output.

use std::io::{BufRead, Write};

use deskgrid_desktop::link;
use tauri::{AppHandle, Emitter, Manager, WebviewWindow, WindowEvent};

use crate::{Kept, LABEL, bring_forward};

/// The event that tells the page of a link.
const LINK_EVENT: &str = "link";

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
        bring_forward(app);
    } else if let Some(keep) = line.strip_prefix("keep ") {
        app.state::<Kept>().set(keep == "on");
    } else if let Some(Ok(place)) = line.strip_prefix("link ").map(link::place) {
        bring_forward(app);
        let _ = app.emit_to(LABEL, LINK_EVENT, place);
    }
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
