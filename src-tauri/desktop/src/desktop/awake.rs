//! Keeps the computer awake while jobs run, where the person chose that. How a system is asked is the library's to know.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use deskgrid_desktop::text;
use keepawake::KeepAwake;

/// Whether the computer is to stay awake.
#[derive(Default)]
pub(crate) struct Awake {
    is_wanted: bool,
    is_held: bool,
    /// The way to the thread that holds on; it ends with this. There is none before it is needed.
    holder: Option<Sender<bool>>,
}

impl Awake {
    /// What the person wants.
    pub(crate) fn set(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// Holds on or lets go, as `running` jobs have it.
    pub(crate) fn follow(&mut self, running: usize) {
        let is_needed = self.is_wanted && running > 0;
        if is_needed != self.is_held {
            self.is_held = is_needed;
            // A thread that ended has said why.
            let _ = self.holder.get_or_insert_with(start).send(is_needed);
        }
    }
}

/// Asking the system blocks, and letting go does.
fn start() -> Sender<bool> {
    let (sender, orders) = channel();
    if let Err(error) = thread::Builder::new().name("awake".into()).spawn(|| hold(orders)) {
        tracing::warn!(%error, "the computer may fall asleep while jobs run");
    }
    sender
}

fn hold(orders: Receiver<bool>) {
    let mut held = None;
    for is_needed in orders {
        drop(held.take());
        held = is_needed.then(ask).flatten();
    }
}

fn ask() -> Option<KeepAwake> {
    let asked = keepawake::Builder::default()
        .idle(true)
        .sleep(true)
        .reason(text::JOBS_RUN)
        .app_name(text::NAME)
        .app_reverse_domain("org.deskgrid.desktop")
        .create();
    asked.inspect_err(|error| tracing::warn!(%error, "the system does not let Deskgrid keep it awake")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_only_while_it_is_wanted_and_jobs_run() {
        let (holder, orders) = channel();
        let mut awake = Awake { holder: Some(holder), ..Awake::default() };
        for (is_wanted, running) in [(false, 2), (true, 2), (true, 1), (true, 0), (true, 1), (false, 1)] {
            awake.set(is_wanted);
            awake.follow(running);
        }
        drop(awake);
        assert_eq!(orders.iter().collect::<Vec<_>>(), [true, false, true, false]);
    }
}
