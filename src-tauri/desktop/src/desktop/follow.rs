//! Follows the events of the administration API, and takes them up again when they break off.

use std::time::Duration;

use deskgrid_desktop::door::Door;
use deskgrid_wire::sse::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long to wait before the events are taken up again.
const PAUSE: Duration = Duration::from_millis(500);
/// Events that wait to be heard. The one who hears them is quicker than those who tell.
const MOST_WAITING: usize = 64;

/// What comes from there.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The events begin, for the first time or after they broke off: what happened before has to be asked for.
    Begun,
    /// The next event.
    Event(Event),
}

/// A task that follows. Dropping it ends the task.
pub(crate) struct Follower {
    events: mpsc::Receiver<Followed>,
    task: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(door: Door) -> Self {
        let (sender, events) = mpsc::channel(MOST_WAITING);
        Self { events, task: tokio::spawn(follow(door, sender)) }
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Followed {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(door: Door, sender: mpsc::Sender<Followed>) {
    let mut is_told = false;
    loop {
        match door.events().await {
            Ok(mut events) => {
                is_told = false;
                let mut next = Some(Followed::Begun);
                while let Some(followed) = next {
                    if sender.send(followed).await.is_err() {
                        return;
                    }
                    next = events.next().await.map(Followed::Event);
                }
            }
            Err(error) if !is_told => {
                is_told = true;
                tracing::warn!(%error, "the tray cannot follow what happens");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
