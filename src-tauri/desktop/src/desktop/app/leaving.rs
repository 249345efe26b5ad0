//! Ways out of the app: what becomes of running jobs, and how long they are waited for. It ends no job itself.

use std::time::Duration;

use super::{App, Course};
use crate::click::{self, AtQuit, AtStop};
use crate::known::Doors;
use crate::view::Standing;

/// Cancelled jobs are over by then, or their engine is not there to end them.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(20);

impl App {
    /// Leaves, or begins to wait for running jobs. Asked a second time it does what is asked then.
    pub(super) fn quit(&mut self, jobs: AtQuit) -> Course {
        let is_idle = self.known.running.is_empty() && self.running_count() == 0;
        let stop = match jobs {
            AtQuit::Keep => return Course::Leave,
            AtQuit::Finish => AtStop::Finish,
            AtQuit::Cancel => AtStop::Cancel,
        };
        if is_idle {
            return Course::Leave;
        }
        let reopens = reopens(&self.standing, self.known.desk.as_ref().map(|desk| desk.doors));
        self.errands.call(click::stop(stop));
        self.standing = Standing::Finishing { reopens };
        self.ears.quitting.send_replace(true);
        self.patience = (stop == AtStop::Cancel).then(|| tokio::time::Instant::now() + CANCEL_TIMEOUT);
        Course::On
    }

    /// Calls the leaving off for which jobs are waited. The port is then as it was before.
    pub(super) fn stay(&mut self) {
        let before = std::mem::replace(&mut self.standing, Standing::Open);
        self.patience = None;
        self.ears.quitting.send_if_modified(std::mem::take);
        if before == (Standing::Finishing { reopens: true }) {
            self.errands.call(click::start());
        }
    }

    /// A quitting app leaves when the last job is over.
    pub(super) fn course(&self) -> Course {
        let is_over = matches!(self.standing, Standing::Finishing { .. }) && self.running_count() == 0;
        if is_over { Course::Leave } else { Course::On }
    }

    pub(super) async fn leave(mut self) {
        // Whoever starts the app now has to hear that nobody opens a window here any more.
        self.ears.orders.close();
        self.tray.show(crate::view::leaving());
        self.window.close().await;
        self.rooms.close().await;
    }
}

/// Whether the port is to be open again if the leaving is called off. Asked a second time it is shut already.
fn reopens(standing: &Standing, doors: Option<Doors>) -> bool {
    match standing {
        Standing::Finishing { reopens } => *reopens,
        _ => doors != Some(Doors::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_the_person_shut_stays_shut_when_the_leaving_is_called_off() {
        assert!(!reopens(&Standing::Open, Some(Doors::Closed)));
        assert!(
            reopens(&Standing::Open, Some(Doors::Open)) && reopens(&Standing::Open, Some(Doors::Blocked))
        );
        for before in [true, false] {
            let asked_again = Standing::Finishing { reopens: before };
            assert_eq!(reopens(&asked_again, Some(Doors::Closed)), before);
        }
    }
}
