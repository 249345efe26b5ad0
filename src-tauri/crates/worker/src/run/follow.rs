//! Stays with a started container until it is over: its log, its exit, its time limit, an engine that comes and goes.

use std::pin::pin;
use std::time::Duration;

use deskgrid_docker::{ContainerId, Engine, EngineError, Exit, LogStream, OurContainer};
use deskgrid_job::{Failure, FailureCode, Time};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select, try_join};

use super::journal::Journal;
use super::run_time::RunTime;
use super::{Interruption, KILLED, MOST_UNANSWERED, Run};
use crate::lists::Step;

/// So long an engine that was out of reach right when a container ended may take to be there again. What proves that it is
/// the same life of it is when that began, and not how soon it is back.
const BACK_AGAIN: Duration = Duration::from_secs(15);

/// So often an engine may refuse what it is asked because its own disk may only be read, about once a second.
const MOST_REFUSED: u32 = 600;

/// The end of a container's output may come this long after its exit was told.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How a container came to its end.
#[derive(Debug)]
pub(super) enum Over {
    /// By itself.
    Exited(Exit),
    /// We killed it at its time limit.
    TimeUp,
}

/// Stays with `container` until it is over, and returns its journal too. `attached` is its output when it was started
/// just now; otherwise the engine's own record of it is read, and what the journal has not yet is added to it.
pub(super) async fn follow<'a>(
    run: &'a Run,
    engine: &mut Engine,
    container: &ContainerId,
    mut attached: Option<LogStream>,
    time: &mut RunTime,
) -> Result<(Over, Journal<'a>), Interruption> {
    let mut journal = match &attached {
        Some(_) => Journal::new(run, Step::Run),
        None => resume(run).await?,
    };
    let mut persistence = Persistence::new(run);
    loop {
        let output = attached.take();
        match follow_while_engine_lives(run, engine, container, &mut journal, output, time).await {
            Err(Interruption::EngineLost) => {
                let lost_at = known_alive(run, engine).await?;
                let found = look(run, container).await?;
                if was_taken_down(&found, lost_at) {
                    return Err(Interruption::ContainerLost);
                }
                *engine = found.engine;
            }
            Err(Interruption::TakenDown) => match ended_by_itself(run, engine, container).await {
                Some(again) => *engine = again,
                None => return Err(Interruption::TakenDown),
            },
            // What its log lacks is read from the engine again. The time limit holds as soon as the log goes on.
            Err(Interruption::Failed(failure)) if failure.code == FailureCode::DiskReadOnly => {
                persistence.disk_after(failure).await?;
                journal = resume(run).await?;
            }
            outcome => return outcome.map(|over| (over, journal)),
        }
    }
}

/// When the engine was last known to be there, after a call to it broke off. Where it goes on as if nothing had
/// happened, the next call may break off as well: not at once again and again.
async fn known_alive(run: &Run, engine: &Engine) -> Result<Time, Interruption> {
    let lost_at = Time::now();
    let known = async {
        run.until_loss_is_known(engine).await;
        Ok::<_, Interruption>(())
    };
    run.unless_stopped(known).await?;
    Ok(if engine.is_over() { lost_at } else { Time::now() })
}

/// The journal of this run as it was left, as soon as the disk lets it go on.
async fn resume(run: &Run) -> Result<Journal<'_>, Interruption> {
    loop {
        match Journal::resume(run, Step::Run).await {
            Err(Interruption::Failed(failure)) if failure.code == FailureCode::DiskReadOnly => {
                run.until_writable().await?;
            }
            resumed => return resumed,
        }
    }
}

async fn follow_while_engine_lives(
    run: &Run,
    engine: &Engine,
    container: &ContainerId,
    journal: &mut Journal<'_>,
    attached: Option<LogStream>,
    time: &mut RunTime,
) -> Result<Over, Interruption> {
    let is_record = attached.is_none();
    let output = attached.unwrap_or_else(|| engine.logs(container));
    let mut watched = run.kit.writers.watch((run.id.clone(), run.number), container.clone());
    let wait = async {
        // Ends with the wait: nothing is measured while nothing runs.
        let (measure, wait) = (pin!(measure(run, engine, container)), pin!(engine.wait(container)));
        match select(measure, wait).await {
            Either::Left(((), wait)) => wait.await,
            Either::Right((ended, _)) => ended,
        }
        .map_err(Interruption::from)
    };
    let over = {
        let mut both = pin!(try_join(journal.follow(output), wait));
        tokio::select! {
            biased;
            () = run.stop.asked() => return Err(Interruption::Stopped),
            why = watched.stopped() => return Err(Interruption::Failed(why)),
            ended = &mut both => over(ended?.1, time),
            () = time.until_up() => {
                engine.kill(container).await.map_err(refused)?;
                // What it wrote until now belongs to the log.
                match tokio::time::timeout(LAST_WORDS, both).await {
                    Ok(Err(failed @ Interruption::Failed(_))) => return Err(failed),
                    _ => Over::TimeUp,
                }
            }
        }
    };
    if is_record {
        // The stream that follows may lack the last words.
        journal.follow(engine.whole_log(container)).await?;
    }
    Ok(over)
}

/// A container that cannot be ended is not followed for ever, whatever is in the engine's way.
fn refused(error: EngineError) -> Interruption {
    match error {
        EngineError::ReadOnly { .. } => Failure::new(FailureCode::EngineRefused, error.to_string()).into(),
        other => other.into(),
    }
}

/// An earlier life of this program may have killed it at its time limit without being there when it ended; and a disk
/// that is slow must not make a difference.
fn over(exit: Exit, time: &mut RunTime) -> Over {
    let was_killed = exit.code == KILLED && !exit.oom_killed;
    if was_killed && time.is_up() { Over::TimeUp } else { Over::Exited(exit) }
}

/// Shows what the container uses, until the engine has nothing more to say of it.
async fn measure(run: &Run, engine: &Engine, container: &ContainerId) {
    let mut usage = engine.usage(container);
    while let Some(usage) = usage.next().await {
        run.pulse.measured(usage);
    }
}

/// Waits until the engine answers again.
pub(super) async fn engine_again(run: &Run) -> Result<Engine, Interruption> {
    run.unless_stopped(async { run.next_engine().await.ok_or(Interruption::EngineLost) }).await
}

/// Waits for an engine after calls that broke off, and for a disk that may only be read, as long as it takes. An engine that
/// lives, and breaks the same off or refuses it again and again, is given up.
pub(super) struct Persistence<'a> {
    run: &'a Run,
    unanswered: u32,
    refused: u32,
}

impl<'a> Persistence<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        Self { run, unanswered: 0, refused: 0 }
    }

    /// Waits after a `failure` that came of a disk that may only be read, ours or the engine's.
    pub(super) async fn disk_after(&mut self, failure: Failure) -> Result<(), Interruption> {
        let is_ours = self.run.until_writable().await?;
        self.refused = if is_ours { 0 } else { self.refused + 1 };
        if self.refused < MOST_REFUSED { Ok(()) } else { Err(failure.into()) }
    }

    /// The engine that the call may be made to again, which broke off when it was made to this one.
    pub(super) async fn engine_after(&mut self, engine: &Engine) -> Result<Engine, Interruption> {
        known_alive(self.run, engine).await?;
        self.unanswered = if engine.is_over() { 0 } else { self.unanswered + 1 };
        if self.unanswered == MOST_UNANSWERED {
            let words = "The container engine broke off each time what the job left was read from it, although it answers \
                         otherwise. Restart the engine, then run the job again.";
            return Err(Failure::new(FailureCode::EngineLost, words).into());
        }
        engine_again(self.run).await
    }
}

/// A container as an engine knows it.
pub(super) struct Found {
    /// The engine, in the life in which it told this.
    pub(super) engine: Engine,
    /// The container.
    pub(super) container: OurContainer,
    /// When that life began, where the engine tells.
    pub(super) began: Option<Time>,
}

/// Looks at a container as soon as an engine answers. One that goes away before it has told all is waited for again:
/// the container may run all the same. One that lives and does not answer to this again and again is given up.
pub(super) async fn look(run: &Run, container: &ContainerId) -> Result<Found, Interruption> {
    let mut unanswered = 0;
    loop {
        let engine = engine_again(run).await?;
        match ask(&engine, container).await {
            Ok((container, began)) => return Ok(Found { engine, container, began }),
            Err(error) if error.is_engine_lost() => {
                run.until_loss_is_known(&engine).await;
                unanswered = if engine.is_over() { 0 } else { unanswered + 1 };
                if unanswered == MOST_UNANSWERED {
                    return Err(Interruption::EngineLost);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The engine in which a container ended by itself, although the one that told its end was out of reach right then:
/// it is the same life of it, which is back.
async fn ended_by_itself(run: &Run, before: &Engine, container: &ContainerId) -> Option<Engine> {
    let mut state = run.kit.engine.clone();
    let is_back =
        state.wait_for(|state| state.ready().is_some_and(|engine| engine != before && !engine.is_over()));
    let back = tokio::select! {
        back = tokio::time::timeout(BACK_AGAIN, is_back) => back,
        () = run.stop.asked() => return None,
    };
    let engine = back.ok()?.ok()?.ready()?.clone();
    let (found, began) = ask(&engine, container).await.ok()?;
    began.is_some_and(|began| !found.running && !found.ended_before(began)).then_some(engine)
}

async fn ask(engine: &Engine, container: &ContainerId) -> Result<(OurContainer, Option<Time>), EngineError> {
    let found = engine.inspect(container).await?;
    let began = if found.running { None } else { engine.began_at().await? };
    Ok((found, began))
}

/// Whether the engine took the container down with it. Had it ended by itself before, we had been told; and of its end
/// under no engine nobody knows how it was, whatever the engine says: one that was killed says 0.
fn was_taken_down(found: &Found, lost_at: Time) -> bool {
    let Found { container, began, .. } = found;
    if container.running {
        return false;
    }
    if let Some(began) = began {
        return container.ended_before(*began);
    }
    // A clock that was set back meanwhile tells nothing: rather a job is run again than a wrong end believed.
    let was_set_back = Time::now() < lost_at;
    let ended_before = !was_set_back && container.finished_at.is_some_and(|finished| finished < lost_at);
    container.exit.as_ref().is_none_or(|exit| exit.code != 0) && !ended_before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_was_killed_when_its_time_was_up_is_out_of_time_whoever_saw_it_end() {
        let is_time_up = |code, oom_killed, limit| {
            let exit = Exit { code, oom_killed, error: None, never_began: None };
            let mut time = RunTime::from(Duration::from_secs(9), limit, None);
            matches!(over(exit, &mut time), Over::TimeUp)
        };
        let (past, far) = (Some(Duration::from_secs(9)), Some(Duration::from_secs(9000)));
        assert!(is_time_up(KILLED, false, past));
        assert!(!is_time_up(KILLED, false, far) && !is_time_up(KILLED, false, None));
        assert!(!is_time_up(KILLED, true, past) && !is_time_up(0, false, past));
    }
}
