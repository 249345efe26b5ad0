//! The other end of notifications: a real notification service of a session, which keeps what it is sent and can press
//! the buttons on it.

#![allow(clippy::used_underscore_binding, reason = "the macro of the bus uses what we do not")]

use std::collections::HashMap;

use tokio::sync::watch;
use zbus::Connection;
use zbus::zvariant::OwnedValue;

use crate::server::PATIENCE;
use crate::session::Session;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// A notification.
#[derive(Clone, Debug)]
pub struct Notification {
    id: u32,
    /// Its first line.
    pub title: String,
    /// The rest.
    pub body: String,
    /// Its buttons: keys and labels by turns.
    pub actions: Vec<String>,
}

/// The notifications of a session.
pub struct Notifications {
    bus: Connection,
    sent: watch::Receiver<Vec<Notification>>,
}

struct Service {
    sent: watch::Sender<Vec<Notification>>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
#[allow(clippy::unused_self, clippy::too_many_arguments, reason = "the interface wants it so")]
impl Service {
    fn notify(
        &self,
        _app: String,
        _replaces: u32,
        _icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let mut id = 0;
        self.sent.send_modify(|sent| {
            id = u32::try_from(sent.len()).unwrap_or(u32::MAX).saturating_add(1);
            sent.push(Notification { id, title, body, actions });
        });
        id
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body"].map(str::to_owned).to_vec()
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("tests".into(), "deskgrid".into(), "1".into(), "1.2".into())
    }
}

impl Notifications {
    /// Shows notifications in `session` from now on.
    pub async fn open(session: &Session) -> Self {
        let (sender, sent) = watch::channel(Vec::new());
        let builder = session.bus().serve_at(PATH, Service { sent: sender });
        let builder = builder.and_then(|builder| builder.name(NAME)).expect("a name");
        Self { bus: builder.build().await.expect("the bus answers"), sent }
    }

    /// Waits for one whose title holds `text`.
    pub async fn until(&mut self, text: &str) -> Notification {
        let holds = |sent: &Vec<Notification>| sent.iter().any(|one| one.title.contains(text));
        let sent = tokio::time::timeout(PATIENCE, self.sent.wait_for(holds)).await;
        let sent =
            sent.unwrap_or_else(|_| panic!("no notification {text:?} comes")).expect("it is open").clone();
        sent.into_iter().rev().find(|one| one.title.contains(text)).expect("it was just there")
    }

    /// How many have come whose title holds `text`.
    pub fn count(&self, text: &str) -> usize {
        self.sent.borrow().iter().filter(|one| one.title.contains(text)).count()
    }

    /// Presses the button with this label.
    pub async fn press(&self, notification: &Notification, label: &str) {
        let mut pairs = notification.actions.chunks_exact(2);
        let key =
            pairs.find(|pair| pair[1] == label).unwrap_or_else(|| panic!("no {label} on {notification:?}"));
        let pressed = (notification.id, key[0].as_str());
        self.bus
            .emit_signal(None::<&str>, PATH, NAME, "ActionInvoked", &pressed)
            .await
            .expect("the bus takes it");
    }
}
