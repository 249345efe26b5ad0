//! Ways out of the app: what becomes of running jobs, and how long they are waited for. It ends no job itself.

use std::time::Duration;

use super::{App, Course};
use crate::click::{self, AtQuit, AtStop};
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
        self.errands.call(click::stop(stop));
        self.standing = Standing::Finishing;
        self.ears.quitting.send_replace(true);
        self.patience = (stop == AtStop::Cancel).then(|| tokio::time::Instant::now() + CANCEL_TIMEOUT);
        Course::On
    }

    /// Calls the leaving off for which jobs are waited.
    pub(super) fn stay(&mut self) {
        self.standing = Standing::Open;
        self.patience = None;
        self.ears.quitting.send_if_modified(std::mem::take);
    }

    /// A quitting app leaves when the last job is over.
    pub(super) fn course(&self) -> Course {
        let is_over = self.standing == Standing::Finishing && self.running_count() == 0;
        if is_over { Course::Leave } else { Course::On }
    }

    pub(super) async fn leave(mut self) {
        self.tray.show(crate::view::leaving());
        self.window.close().await;
        self.rooms.close().await;
    }
}
