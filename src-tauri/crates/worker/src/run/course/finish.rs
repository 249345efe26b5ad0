//! What the end of a container comes to: the job's result, with the notes that explain it.

use std::time::Duration;

use deskgrid_docker::{ContainerId, Engine, Exit};
use deskgrid_job::{LogLine, RunResult, StageName};
use futures_util::future::try_join;

use super::{Course, KILLED, during};
use crate::lists::Step;
use crate::run::follow::{Over, Persistence};
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
                self.keep_log(engine, container, journal).await?;
            }
            Over::Exited(Exit { never_began: Some(why), .. }) => {
                // What the engine's first process said of it is not the job's own output.
                self.discard_log(engine, journal).await?;
                return Err((*why).into());
            }
            Over::Exited(exit) => {
                result.notes.extend(journal.cut().map(|words| line(words, true)));
                result.exit_code = Some(exit.code);
                result.notes.extend(self.out_of_memory(&exit));
                let collect = during(self.run, StageName::Collect, self.collect(engine.clone(), container));
                let (outputs, ()) = try_join(collect, self.keep_log(engine, container, journal)).await?;
                result.outputs = outputs.files;
                result.notes.extend(outputs.remarks.into_iter().map(|remark| line(remark, true)));
            }
        }
        Ok(result)
    }

    /// Brings the log onto the disk. Where that may only be read meanwhile, what the log lacks by then is read from the
    /// engine again.
    async fn keep_log(
        &self,
        mut engine: Engine,
        container: &ContainerId,
        journal: Journal<'_>,
    ) -> Result<(), Interruption> {
        let mut persistence = Persistence::new(self.run);
        let mut kept = journal.sync().await;
        while let Err(interruption) = kept {
            engine = self.until_possible(engine, interruption, &mut persistence).await?;
            kept = self.complete_log(&engine, container).await;
        }
        kept
    }

    async fn complete_log(&self, engine: &Engine, container: &ContainerId) -> Result<(), Interruption> {
        let mut journal = Journal::resume(self.run, Step::Run).await?;
        journal.follow(engine.whole_log(container)).await?;
        journal.sync().await
    }

    /// Empties the log, as soon as the disk lets us.
    async fn discard_log(&self, mut engine: Engine, journal: Journal<'_>) -> Result<(), Interruption> {
        let mut persistence = Persistence::new(self.run);
        let mut discarded = journal.discard().await;
        while let Err(interruption) = discarded {
            engine = self.until_possible(engine, interruption, &mut persistence).await?;
            discarded = match Journal::resume(self.run, Step::Run).await {
                Ok(journal) => journal.discard().await,
                Err(interruption) => Err(interruption),
            };
        }
        discarded
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
