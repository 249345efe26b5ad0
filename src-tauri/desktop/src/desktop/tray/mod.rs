//! The icon in the system's tray and its menu: shows a [`View`], passes clicks on, and says whether the system has a
//! tray at all. What to show is decided in [`crate::view`]; here are the two ways that systems have of showing it.

mod picture;
#[cfg(target_os = "linux")]
mod status_notifier;
#[cfg(not(target_os = "linux"))]
mod system;

use tokio::sync::{mpsc, watch};

use crate::click::Click;
use crate::view::View;

#[cfg(target_os = "linux")]
pub(crate) use status_notifier::run;
#[cfg(not(target_os = "linux"))]
pub(crate) use system::run;

/// The app's end of the tray.
pub(crate) struct TrayPort {
    view: watch::Sender<Option<View>>,
    /// What the person clicks on.
    pub(crate) clicks: mpsc::UnboundedReceiver<Click>,
    /// Whether the system shows the icon; none until that is known. It may change while the app runs.
    pub(crate) is_shown: watch::Receiver<Option<bool>>,
}

impl TrayPort {
    /// Shows `view`. Nothing is drawn when it is what is shown already.
    pub(crate) fn show(&self, view: View) {
        self.view.send_if_modified(|shown| {
            let is_new = shown.as_ref() != Some(&view);
            if is_new {
                *shown = Some(view);
            }
            is_new
        });
    }
}

/// The tray's end.
struct TrayEnd {
    view: watch::Receiver<Option<View>>,
    clicks: mpsc::UnboundedSender<Click>,
    is_shown: watch::Sender<Option<bool>>,
}

fn ends() -> (TrayPort, TrayEnd) {
    let (view_sender, view) = watch::channel(None);
    let (click_sender, clicks) = mpsc::unbounded_channel();
    let (shown_sender, is_shown) = watch::channel(None);
    let port = TrayPort { view: view_sender, clicks, is_shown };
    (port, TrayEnd { view, clicks: click_sender, is_shown: shown_sender })
}
