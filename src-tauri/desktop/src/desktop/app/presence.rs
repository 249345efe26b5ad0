//! How the app can be seen: opens its window, and keeps one where the system shows no icon.

use super::{App, BREAKS_APART, Course, TRAY_PATIENCE};
use crate::notices;
use crate::remembered::Remembered;
use crate::window::{Asked, Manner, WindowError};

impl App {
    pub(super) async fn open_window(&mut self, link: Option<String>, minimised: bool) {
        let keep = !self.has_tray();
        let manner = Manner { door: self.rooms.door.clone(), link, keep, minimised };
        if let Err(error) = self.window.open(manner).await {
            self.tell_of_window(&error);
        }
    }

    fn tell_of_window(&mut self, error: &WindowError) {
        tracing::warn!(%error);
        self.notifier.send(notices::no_window(&error.to_string()));
    }

    /// Where it is all there is, or somebody asked for it meanwhile, another one opens; not for ever, where each breaks at
    /// once.
    pub(super) async fn window_broke(&mut self, error: &WindowError, asked: Option<Asked>) -> Course {
        self.tell_of_window(error);
        if matches!(error, WindowError::NoDisplay) && !self.has_tray() {
            return Course::Hide;
        }
        let last = self.broke.replace(tokio::time::Instant::now());
        let broke_again = last.is_some_and(|last| last.elapsed() < BREAKS_APART);
        let is_all = !self.has_tray() && self.tray_gone.is_none();
        match asked {
            _ if broke_again => {}
            Some(Asked { link }) => self.open_window(link, false).await,
            None if is_all => self.open_window(None, true).await,
            None => {}
        }
        Course::On
    }

    /// An app without an icon needs its window, unless the icon is still waited for; and so does who asked for one
    /// when it was just closing.
    pub(super) async fn window_closed(&mut self, asked: Option<Asked>) {
        if let Some(Asked { link }) = asked {
            return self.open_window(link, false).await;
        }
        if !self.has_tray() && self.tray_gone.is_none() {
            self.open_window(None, true).await;
        }
        if self.has_tray() && !self.remembered.told_of_tray {
            self.notifier.send(notices::stays());
            self.remember(Remembered { told_of_tray: true, ..self.remembered }).await;
        }
    }

    /// An app without icon and window could not be reached any more.
    pub(super) async fn tray_changed(&mut self) {
        if self.has_tray() {
            self.tray_gone = None;
            self.window.keep(false).await;
            return;
        }
        let gone = *self.tray_gone.get_or_insert_with(tokio::time::Instant::now);
        if gone.elapsed() >= TRAY_PATIENCE {
            self.tray_gone = None;
            tracing::info!("there is no icon any more, so the window stays");
            if self.window.is_open() {
                self.window.keep(true).await;
            } else {
                self.open_window(None, true).await;
            }
        }
    }
}
