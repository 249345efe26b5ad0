//! The light record of a job as rows of `job` and `hold`.

use std::sync::Arc;

use deskgrid_job::{Caller, Carried, Hold, Job, JobId, Namespace, Needs, Phase, QueueName, Reason, Time};
use rusqlite::{Connection, Params, Row, params};

use super::change::run;
use super::{signed, unsigned};
use crate::error::StoreError;

const FIND: &str = "
    SELECT id, phase, queued_at, changed_at, turn, run, losses, cpu_millis, memory, gpus,
           requirements, tags, debug, runs_again, queue, namespace, caller
    FROM job LEFT JOIN hold ON hold.job = job.id ";

/// Inserts the job or replaces it, with its holds.
pub(super) fn save(to: &Connection, job: &Job) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT OR REPLACE INTO job
          (id, phase, queued_at, changed_at, turn, run, losses, cpu_millis, memory, gpus,
           requirements, tags, debug, runs_again)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let carried = job.carried.as_deref();
    let values = params![
        job.id.as_str(),
        phase_word(job.phase),
        signed(job.queued_at.0),
        signed(job.changed_at.0),
        signed(job.turn),
        job.run,
        job.losses,
        job.needs.cpu_millis,
        signed(job.needs.memory),
        job.needs.gpus,
        carried.and_then(|carried| carried.requirements.as_deref()),
        carried.and_then(|carried| carried.tags.as_deref()),
        carried.and_then(|carried| carried.debug.as_deref()),
        job.runs_again,
    ];
    run(to, SQL, values)?;
    save_holds(to, job)
}

fn save_holds(to: &Connection, job: &Job) -> Result<(), StoreError> {
    run(to, "DELETE FROM hold WHERE job = ?1", [job.id.as_str()])?;
    for hold in &job.holds {
        const SQL: &str =
            "INSERT OR IGNORE INTO hold (job, queue, namespace, caller) VALUES (?1, ?2, ?3, ?4)";
        run(
            to,
            SQL,
            params![job.id.as_str(), hold.queue.as_str(), hold.namespace.as_str(), hold.caller.as_str()],
        )?;
    }
    Ok(())
}

/// The job of that id.
pub(super) fn find(from: &Connection, id: &JobId) -> Result<Option<Job>, StoreError> {
    let sql = format!("{FIND} WHERE id = ?1 ORDER BY queue, namespace, caller");
    Ok(jobs(from, &sql, [id.as_str()])?.pop())
}

/// Jobs that are not over, and those with a kept result that changed after `finished_after`, by their turn.
pub(super) fn in_memory(from: &Connection, finished_after: Time) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "{FIND}
         WHERE phase IN ('Queued', 'Running')
            OR (phase IN ('Success', 'Error', 'TimedOut') AND changed_at > ?1)
         ORDER BY turn, id, queue, namespace, caller"
    );
    jobs(from, &sql, [signed(finished_after.0)])
}

/// Collects rows of which those of one job follow each other, one row a hold.
fn jobs(from: &Connection, sql: &str, values: impl Params) -> Result<Vec<Job>, StoreError> {
    let mut statement = from.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut jobs: Vec<Job> = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        if jobs.last().is_none_or(|last| last.id.as_str() != id) {
            jobs.push(job(row, id)?);
        }
        if let (Some(job), Some(hold)) = (jobs.last_mut(), hold(row)?) {
            job.holds.push(hold);
        }
    }
    Ok(jobs)
}

fn job(row: &Row<'_>, id: &str) -> Result<Job, StoreError> {
    let damaged = || StoreError::damaged(format!("the record of the job {id}"));
    let phase = row.get_ref(1)?.as_str().ok().and_then(phase_of).ok_or_else(damaged)?;
    let carried = Carried { requirements: row.get(10)?, tags: row.get(11)?, debug: row.get(12)? };
    Ok(Job {
        id: JobId::new(id).map_err(|_| damaged())?,
        phase,
        queued_at: Time(unsigned(row.get(2)?)),
        changed_at: Time(unsigned(row.get(3)?)),
        turn: unsigned(row.get(4)?),
        run: row.get(5)?,
        losses: row.get(6)?,
        holds: Vec::new(),
        needs: Needs { cpu_millis: row.get(7)?, memory: unsigned(row.get(8)?), gpus: row.get(9)? },
        carried: (carried != Carried::default()).then(|| Arc::new(carried)),
        runs_again: row.get(13)?,
    })
}

fn hold(row: &Row<'_>) -> Result<Option<Hold>, StoreError> {
    let (Some(queue), Some(namespace)) =
        (row.get::<_, Option<String>>(14)?, row.get::<_, Option<String>>(15)?)
    else {
        return Ok(None);
    };
    let damaged = |_| StoreError::damaged(format!("the name of the queue {queue:?} or a namespace of it"));
    let hold = Hold {
        queue: QueueName::new(&queue).map_err(damaged)?,
        namespace: Namespace::new(&namespace).map_err(damaged)?,
        caller: Caller::parse(row.get_ref(16)?.as_str().unwrap_or_default()),
    };
    Ok(Some(hold))
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "Queued",
        Phase::Running => "Running",
        Phase::Removed => "Removed",
        Phase::Finished(reason) => reason.as_str(),
    }
}

pub(super) fn phase_of(word: &str) -> Option<Phase> {
    match word {
        "Queued" => Some(Phase::Queued),
        "Running" => Some(Phase::Running),
        "Removed" => Some(Phase::Removed),
        reason => Reason::parse(reason).map(Phase::Finished),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_back_from_its_word() {
        let finished = Reason::ALL.map(Phase::Finished);
        for phase in [Phase::Queued, Phase::Running, Phase::Removed].into_iter().chain(finished) {
            assert_eq!(phase_of(phase_word(phase)), Some(phase));
        }
    }

    #[test]
    fn the_reasons_with_a_kept_result_are_those_that_the_query_names() {
        let kept: Vec<_> = Reason::ALL.into_iter().filter(|reason| reason.is_kept()).collect();
        assert_eq!(kept, [Reason::Success, Reason::Error, Reason::TimedOut]);
    }
}
