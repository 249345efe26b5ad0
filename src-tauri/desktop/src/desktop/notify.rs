//! Sends notifications to the desktop and passes clicks on them on. What is worth one is decided in
//! [`crate::notices`].

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::click::Click;
use crate::notices::Notice;
use deskgrid_desktop::text;

/// So many are listened to at once; each costs a connection to the desktop.
const MOST_OPEN: usize = 8;

/// A desktop has taken a notification by then.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends notifications. Dropping it stops waiting for clicks.
pub(crate) struct Notifier {
    clicks: mpsc::UnboundedSender<Click>,
    open: Open,
}

impl Notifier {
    /// What is clicked comes out of the receiver.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Click>) {
        let (clicks, receiver) = mpsc::unbounded_channel();
        (Self { clicks, open: Open::default() }, receiver)
    }

    /// Waits a moment, so that what was sent is on the screen before the app ends.
    pub(crate) async fn sent(&mut self) {
        let _ = tokio::time::timeout(SEND_TIMEOUT, self.open.tasks.join_next()).await;
    }

    /// Shows `notice`. A desktop that shows none is no reason to do anything else: the icon tells as well.
    pub(crate) fn send(&mut self, notice: Notice) {
        self.open.add(show(notice, self.clicks.clone()));
    }
}

/// The notifications that are listened to. Nobody has to dismiss one, so the oldest makes room for the newest.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Open {
    fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.by_age.retain(|open| !open.is_finished());
        if self.by_age.len() >= MOST_OPEN
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        self.by_age.push_back(self.tasks.spawn(task));
    }
}

fn built(notice: &Notice) -> notify_rust::Notification {
    let mut built = notify_rust::Notification::new();
    built.appname(text::NAME).summary(&notice.title).body(&notice.body).auto_icon();
    #[cfg(target_os = "linux")]
    {
        built.icon("deskgrid-desktop").hint(notify_rust::Hint::DesktopEntry(text::NAME.to_owned()));
        built.action("default", text::OPEN);
        for (index, (label, _)) in notice.buttons.iter().enumerate() {
            built.action(&index.to_string(), label);
        }
    }
    built.finalize()
}

#[cfg(target_os = "linux")]
async fn show(notice: Notice, clicks: mpsc::UnboundedSender<Click>) {
    let handle = match built(&notice).show_async().await {
        Ok(handle) => handle,
        Err(error) => return tracing::info!(%error, "this desktop shows no notifications"),
    };
    let wait = handle.wait_for_action_async(|response| {
        if let notify_rust::NotificationResponse::Default = response {
            let _ = clicks.send(notice.click.clone());
        } else if let notify_rust::NotificationResponse::Action(key) = response {
            let button = key.parse::<usize>().ok().and_then(|index| notice.buttons.get(index));
            let _ = button.map(|(_, click)| clicks.send(click.clone()));
        }
    });
    wait.await;
}

/// These systems' notifications are shown and forgotten here: what they ask for stands in the menu as well.
#[cfg(not(target_os = "linux"))]
async fn show(notice: Notice, _clicks: mpsc::UnboundedSender<Click>) {
    let shown = tokio::task::spawn_blocking(move || built(&notice).show().map(drop)).await;
    if !matches!(shown, Ok(Ok(()))) {
        tracing::info!("this desktop shows no notifications");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_newest_is_listened_to_however_many_nobody_dismissed() {
        let mut open = Open::default();
        // Each listens until its sender goes.
        let mut listeners: VecDeque<oneshot::Sender<()>> = VecDeque::new();
        for _ in 0..=MOST_OPEN {
            let (sender, over) = oneshot::channel();
            listeners.push_back(sender);
            open.add(async move { drop(over.await) });
        }
        listeners.pop_front().unwrap().closed().await;
        assert!(listeners.iter().all(|listener| !listener.is_closed()));
    }
}
