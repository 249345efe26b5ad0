//! The life of a job as one pure function over two enums (protocol section 3).
//!
//! This is the only place that says which state may follow which.

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waits for its turn.
    Queued,
    /// Its image, inputs, container or outputs are being worked on.
    Running,
    /// Over.
    Finished(Reason),
    /// Erased; never sent.
    Removed,
}

/// Why a job is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A container ended by itself, whatever its exit code.
    Success,
    /// There is no container result.
    Error,
    /// The time limit ended the container.
    TimedOut,
    /// Someone cancelled it.
    Cancelled,
    /// A newer job took its namespace.
    JobReplacedByClient,
    /// Someone deleted it.
    Deleted,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 6] = [
        Self::Success,
        Self::Error,
        Self::TimedOut,
        Self::Cancelled,
        Self::JobReplacedByClient,
        Self::Deleted,
    ];

    /// Whether the result is kept and answers the same definition again.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Success | Self::Error | Self::TimedOut)
    }

    /// The protocol's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Error => "Error",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
            Self::JobReplacedByClient => "JobReplacedByClient",
            Self::Deleted => "Deleted",
        }
    }

    /// The reason of a protocol word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The container ended by itself.
    Exited,
    /// The time limit ended it.
    OutOfTime,
    /// No container result.
    Failed,
}

/// Why nobody wants a job any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withdrawal {
    /// A person or program cancelled it.
    Cancel,
    /// A newer job took its namespace.
    Replace,
    /// A person or program wants job and result gone.
    Delete,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// Its turn has come.
    Start,
    /// Its run came to an end.
    End(Ending),
    /// Its container vanished, or the engine did: `WorkerLost` in the protocol's words, which no client is ever sent.
    /// They see the job queued again.
    Lose,
    /// It can never run here.
    Refuse,
    /// Its last holder let go of it.
    Withdraw(Withdrawal),
    /// The same definition was submitted once more; `again` when the kept result shall not answer it.
    Submit {
        /// Run it again instead of answering with the kept result.
        again: bool,
    },
}

/// A move that the present phase does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {phase:?} cannot take the step {step:?}")]
pub struct IllegalMove {
    /// Where the job is.
    pub phase: Phase,
    /// What was asked of it.
    pub step: Move,
}

/// The phase after `step`.
///
/// # Errors
/// [`IllegalMove`] where the step makes no sense in this phase; the phase then stays as it is.
pub fn next(phase: Phase, step: Move) -> Result<Phase, IllegalMove> {
    use Phase::{Finished, Queued, Removed, Running};
    match (phase, step) {
        (Queued, Move::Start) => Ok(Running),
        (Queued, Move::Refuse) => Ok(Finished(Reason::Error)),
        (Running, Move::End(ending)) => Ok(Finished(reason_of(ending))),
        (Queued | Running, Move::Withdraw(why)) => Ok(Finished(withdrawn(why))),
        // Only deletion touches a finished job; cancelling it changes nothing.
        (Finished(_), Move::Withdraw(Withdrawal::Delete)) => Ok(Removed),
        (Queued | Running, Move::Submit { .. }) => Ok(phase),
        (Finished(reason), Move::Submit { again: false }) if reason.is_kept() => Ok(phase),
        (Running, Move::Lose) | (Finished(_) | Removed, Move::Submit { .. }) => Ok(Queued),
        (phase, step) => Err(IllegalMove { phase, step }),
    }
}

fn reason_of(ending: Ending) -> Reason {
    match ending {
        Ending::Exited => Reason::Success,
        Ending::OutOfTime => Reason::TimedOut,
        Ending::Failed => Reason::Error,
    }
}

fn withdrawn(why: Withdrawal) -> Reason {
    match why {
        Withdrawal::Cancel => Reason::Cancelled,
        Withdrawal::Replace => Reason::JobReplacedByClient,
        Withdrawal::Delete => Reason::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Finished, Queued, Removed, Running};

    const MOVES: [Move; 11] = [
        Move::Start,
        Move::End(Ending::Exited),
        Move::End(Ending::OutOfTime),
        Move::End(Ending::Failed),
        Move::Lose,
        Move::Refuse,
        Move::Withdraw(Withdrawal::Cancel),
        Move::Withdraw(Withdrawal::Replace),
        Move::Withdraw(Withdrawal::Delete),
        Move::Submit { again: false },
        Move::Submit { again: true },
    ];

    /// One row a phase, one column a move in the order of `MOVES`; `None` is an illegal move.
    fn expected(phase: Phase) -> [Option<Phase>; 11] {
        let done = |reason| Some(Finished(reason));
        match phase {
            Queued => [
                Some(Running),
                None,
                None,
                None,
                None,
                done(Reason::Error),
                done(Reason::Cancelled),
                done(Reason::JobReplacedByClient),
                done(Reason::Deleted),
                Some(Queued),
                Some(Queued),
            ],
            Running => [
                None,
                done(Reason::Success),
                done(Reason::TimedOut),
                done(Reason::Error),
                Some(Queued),
                None,
                done(Reason::Cancelled),
                done(Reason::JobReplacedByClient),
                done(Reason::Deleted),
                Some(Running),
                Some(Running),
            ],
            Finished(reason) => {
                let answered = if reason.is_kept() { phase } else { Queued };
                let mut row = [None; 11];
                row[8] = Some(Removed);
                row[9] = Some(answered);
                row[10] = Some(Queued);
                row
            }
            Removed => {
                let mut row = [None; 11];
                row[9] = Some(Queued);
                row[10] = Some(Queued);
                row
            }
        }
    }

    #[test]
    fn every_pair_of_phase_and_move_goes_where_the_table_says() {
        let finished = Reason::ALL.map(Finished);
        for phase in [Queued, Running, Removed].into_iter().chain(finished) {
            for (step, wanted) in MOVES.into_iter().zip(expected(phase)) {
                assert_eq!(next(phase, step).ok(), wanted, "{phase:?} {step:?}");
            }
        }
    }

    #[test]
    fn an_illegal_move_names_phase_and_move() {
        let error = next(Queued, Move::Lose).unwrap_err();
        assert_eq!(error, IllegalMove { phase: Queued, step: Move::Lose });
    }

    #[test]
    fn every_reason_reads_back_from_its_word() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
