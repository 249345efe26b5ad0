//! What the end of a container comes to: the job's result, with the notes that explain it.

use std::time::Duration;

use deskgrid_docker::{ContainerId, Engine, Exit};
use deskgrid_job::{LogLine, RunResult, StageName};
use futures_util::future::try_join;

use super::{Course, KILLED, during};
use crate::run::follow::Over;
use crate::run::journal::Journal;
use crate::run::{Interruption, line};

impl Course<'_> {
    /// Turns the end of a container into the job's result.
    pub(super) async fn finish(
        &self,
        engine: Engine,
        container: &ContainerId,
        (over, journal): (Over, Journal<'_>),
        duration: Duration,
    ) -> Result<RunResult, Interruption> {
        let mut result = RunResult { duration: Some(duration), ..RunResult::default() };
        self.run.pulse.leave(StageName::Run);
        match over {
            Over::TimeUp => {
                result.timed_out = true;
                let words = format!(
                    "Deskgrid stopped the container at its time limit, after {} s.",
                    duration.as_secs()
                );
                result.notes.push(line(words, true));
                result.notes.extend(journal.cut().map(|words| line(words, true)));
                journal.sync().await?;
            }
            Over::Exited(Exit { never_began: Some(why), .. }) => {
                // What the engine's first process said of it is not the job's own output.
                journal.discard().await?;
                return Err((*why).into());
            }
            Over::Exited(exit) => {
                result.notes.extend(journal.cut().map(|words| line(words, true)));
                result.exit_code = Some(exit.code);
                result.notes.extend(self.out_of_memory(&exit));
                let collect = during(self.run, StageName::Collect, self.collect(engine, container));
                let (outputs, ()) = try_join(collect, journal.sync()).await?;
                result.outputs = outputs.files;
                result.notes.extend(outputs.remarks.into_iter().map(|remark| line(remark, true)));
            }
        }
        Ok(result)
    }

    fn out_of_memory(&self, exit: &Exit) -> Option<LogLine> {
        (exit.code == KILLED && exit.oom_killed).then(|| {
            let asked = Some(self.run.allotment.needs.memory).filter(|bytes| *bytes > 0);
            let limit = match asked.or(self.memory) {
                None => "this computer had no more to give".to_owned(),
                Some(bytes) => format!("its limit was {}", deskgrid_job::queue::memory_words(bytes)),
            };
            let words = format!(
                "The container ran out of memory and was killed (exit code 137): {limit}. \
                 Ask for more with requirements.memory, or process less at a time."
            );
            line(words, true)
        })
    }
}
