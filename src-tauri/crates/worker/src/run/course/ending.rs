//! The end of a container whose run has no result.

use deskgrid_docker::EngineError;

use super::{Begun, Course};

/// So often a living engine is asked to end a container before it is left to the next sweep.
const MOST_UNANSWERED: u32 = 3;

impl Course<'_> {
    /// Ends the container of a run that has no result, so that what it took is free when the run is reported over, and
    /// the job's next run never has it beside itself. An engine that does not answer is waited for, as the container
    /// may run there; it may even come only later to a start that it was asked for. One that lives, but does not answer
    /// to this again and again, is not waited for: no other job shall wait with it. Says whether the container is left
    /// to the next sweep then.
    ///
    /// A next start would take the signal for the job's own end, so that the container is removed, and the job run
    /// again, where it is wanted still and its end is not on the disk by then.
    pub(in crate::run) async fn stop_container(&self) -> bool {
        let Some(container) = self.container.as_ref().filter(|_| self.begun != Begun::No) else {
            return false;
        };
        let mut unanswered = 0;
        while let Some(engine) = self.run.next_engine().await {
            let stopped = if self.begun == Begun::Yes && self.run.stop.is_asked() {
                engine.kill(container).await
            } else {
                // One that is gone cannot be started any more either.
                engine.remove(container).await
            };
            match stopped {
                Err(error) if error.is_engine_lost() => {
                    self.run.until_loss_is_known().await;
                    let is_late = matches!(error, EngineError::TimedOut { .. }) && !engine.is_over();
                    unanswered = if is_late { unanswered + 1 } else { 0 };
                    if unanswered < MOST_UNANSWERED {
                        continue;
                    }
                    self.leave_to_sweep(&error);
                    return true;
                }
                Err(error) => {
                    self.leave_to_sweep(&error);
                    return true;
                }
                Ok(()) => return false,
            }
        }
        false
    }

    fn leave_to_sweep(&self, error: &EngineError) {
        tracing::warn!(job = %self.run.id, %error, "could not stop the container; the next sweep removes it");
    }
}
