//! A fake of the system's login service, which no machine of tests has to run. It keeps nobody awake: it only counts
//! who asks for that, and for how long.

#![allow(clippy::used_underscore_binding, reason = "the macro of the bus uses what we do not")]

use std::io::{PipeReader, Read as _, pipe};
use std::os::fd::OwnedFd;

use tokio::sync::watch;
use zbus::Connection;
use zbus::zvariant;

use crate::server::PATIENCE;
use crate::session::Session;

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";

/// Who may not be disturbed, and by what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inhibitor {
    /// What is not to happen, such as `sleep`.
    pub what: String,
    /// Who wants it.
    pub who: String,
    /// What people are told of the reason.
    pub why: String,
}

/// The fake in a session, on whose bus its apps find the services of the system too.
pub struct FakeLoginService {
    held: watch::Receiver<Vec<Inhibitor>>,
    asked: watch::Receiver<usize>,
    _bus: Connection,
}

struct Manager {
    held: watch::Sender<Vec<Inhibitor>>,
    asked: watch::Sender<usize>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    /// An inhibitor is held for as long as anybody has the other end of what is returned.
    fn inhibit(
        &self,
        what: String,
        who: String,
        why: String,
        _mode: String,
    ) -> zbus::fdo::Result<zvariant::OwnedFd> {
        let (ours, theirs) = pipe().map_err(|error| zbus::fdo::Error::Failed(error.to_string()))?;
        let inhibitor = Inhibitor { what, who, why };
        self.asked.send_modify(|count| *count += 1);
        self.held.send_modify(|held| held.push(inhibitor.clone()));
        let held = self.held.clone();
        tokio::task::spawn_blocking(move || {
            until_closed(ours);
            held.send_modify(|held| {
                let place = held.iter().position(|one| *one == inhibitor);
                held.remove(place.expect("it was put there"));
            });
        });
        Ok(OwnedFd::from(theirs).into())
    }
}

fn until_closed(mut pipe: PipeReader) {
    let mut bytes = [0];
    // Nobody writes; either outcome is its end.
    let _ = pipe.read(&mut bytes);
}

impl FakeLoginService {
    /// Is there in `session` from now on.
    pub async fn open(session: &Session) -> Self {
        let (held_sender, held) = watch::channel(Vec::new());
        let (asked_sender, asked) = watch::channel(0);
        let manager = Manager { held: held_sender, asked: asked_sender };
        let builder = session.bus().serve_at(PATH, manager).and_then(|builder| builder.name(NAME));
        let bus = builder.expect("a name").build().await.expect("the bus answers");
        Self { held, asked, _bus: bus }
    }

    /// How often anybody has asked.
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until so many inhibitors are held, and returns them in order.
    pub async fn until_held(&mut self, count: usize) -> Vec<Inhibitor> {
        let held = tokio::time::timeout(PATIENCE, self.held.wait_for(|held| held.len() == count)).await;
        let held = held.unwrap_or_else(|_| panic!("{count} inhibitors are held at some time"));
        let mut held = held.expect("it is open").clone();
        held.sort();
        held
    }
}
