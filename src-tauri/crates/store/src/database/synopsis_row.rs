//! What lists show of a job: kept beside its record, and read for thousands of jobs at once.

use std::time::Duration;

use deskgrid_job::{
    Caller, FailureCode, Hold, Job, JobId, Namespace, Needs, Phase, QueueName, RunResult, Time,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::change::run;
use super::{job_row, signed, unsigned};
use crate::error::StoreError;

/// A job as lists show it. Not its definition, inputs, outputs or log.
#[derive(Clone, Debug, PartialEq)]
pub struct Synopsis {
    /// The job.
    pub id: JobId,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it was submitted.
    pub queued_at: Time,
    /// When its phase last changed.
    pub changed_at: Time,
    /// Its place in line: lower goes first.
    pub turn: u64,
    /// When its latest run began; none when it never ran.
    pub started_at: Option<Time>,
    /// What it takes while it runs.
    pub needs: Needs,
    /// The image it names.
    pub image: Option<String>,
    /// What it runs, in words.
    pub command: Option<String>,
    /// Who holds it, or held it last.
    pub holds: Vec<Hold>,
    /// The exit code of its container.
    pub exit_code: Option<i64>,
    /// How long the container ran.
    pub duration: Option<Duration>,
    /// Code and words of what went wrong.
    pub failure: Option<(FailureCode, String)>,
    /// Bytes of its outputs.
    pub output_bytes: u64,
    /// Whether the person keeps its result.
    pub is_pinned: bool,
}

const FIND: &str = "
    SELECT id, phase, queued_at, changed_at, turn, cpu_millis, memory, gpus,
           image, command, held, started_at, exit_code, duration, failure_code, failure_message, output_bytes,
           EXISTS (SELECT 1 FROM pin WHERE pin.kind = 'result' AND pin.id = job.id)
    FROM job LEFT JOIN synopsis ON synopsis.job = job.id ";

/// The newest jobs, at most `most`.
pub(super) fn newest(from: &Connection, most: usize) -> Result<Vec<Synopsis>, StoreError> {
    let sql = format!("{FIND} WHERE phase <> 'Removed' ORDER BY queued_at DESC, turn DESC LIMIT ?1");
    let mut statement = from.prepare_cached(&sql)?;
    let mut rows = statement.query([signed(most as u64)])?;
    collect(&mut rows)
}

/// Those of the jobs that are on record, in no order.
pub(super) fn of(from: &Connection, ids: &[JobId]) -> Result<Vec<Synopsis>, StoreError> {
    let mut found = Vec::new();
    // A statement takes a limited number of values.
    for some in ids.chunks(500) {
        let places = vec!["?"; some.len()].join(",");
        let mut statement = from.prepare(&format!("{FIND} WHERE id IN ({places}) AND phase <> 'Removed'"))?;
        let mut rows = statement.query(params_from_iter(some.iter().map(JobId::as_str)))?;
        found.extend(collect(&mut rows)?);
    }
    Ok(found)
}

/// Jobs whose image and command nobody has read from the definition yet, with their definitions.
pub(super) fn undescribed(from: &Connection, most: usize) -> Result<Vec<(JobId, String)>, StoreError> {
    const SQL: &str =
        "SELECT synopsis.job, text FROM synopsis JOIN definition ON definition.job = synopsis.job
                       WHERE described = 0 LIMIT ?1";
    let mut statement = from.prepare_cached(SQL)?;
    let rows =
        statement.query_map([signed(most as u64)], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (id, text) = row?;
        found.extend(JobId::new(&id).ok().map(|id| (id, text)));
    }
    Ok(found)
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Synopsis>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // One damaged row must not hide all others.
        found.extend(synopsis(row)?);
    }
    Ok(found)
}

fn synopsis(row: &Row<'_>) -> Result<Option<Synopsis>, StoreError> {
    let id = row.get_ref(0)?.as_str().ok().and_then(|id| JobId::new(id).ok());
    let phase = row.get_ref(1)?.as_str().ok().and_then(job_row::phase_of);
    let (Some(id), Some(phase)) = (id, phase) else { return Ok(None) };
    let failure: Option<String> = row.get(14)?;
    Ok(Some(Synopsis {
        id,
        phase,
        queued_at: Time(unsigned(row.get(2)?)),
        changed_at: Time(unsigned(row.get(3)?)),
        turn: unsigned(row.get(4)?),
        needs: Needs { cpu_millis: row.get(5)?, memory: unsigned(row.get(6)?), gpus: row.get(7)? },
        image: row.get(8)?,
        command: row.get(9)?,
        holds: row.get_ref(10)?.as_str().map(holds_of).unwrap_or_default(),
        started_at: row.get::<_, Option<i64>>(11)?.map(|time| Time(unsigned(time))),
        exit_code: row.get(12)?,
        duration: row.get::<_, Option<i64>>(13)?.map(|millis| Duration::from_millis(unsigned(millis))),
        failure: match failure.as_deref().and_then(FailureCode::parse) {
            Some(code) => Some((code, row.get::<_, Option<String>>(15)?.unwrap_or_default())),
            None => None,
        },
        output_bytes: unsigned(row.get::<_, Option<i64>>(16)?.unwrap_or_default()),
        is_pinned: row.get(17)?,
    }))
}

fn text_of(holds: &[Hold]) -> String {
    let rows: Vec<_> = holds
        .iter()
        .map(|hold| (hold.queue.as_str(), hold.namespace.as_str(), hold.caller.as_str()))
        .collect();
    serde_json::to_string(&rows).unwrap_or_default()
}

fn holds_of(text: &str) -> Vec<Hold> {
    let rows: Vec<(String, String, String)> = serde_json::from_str(text).unwrap_or_default();
    let hold = |(queue, namespace, caller): (String, String, String)| {
        let (queue, namespace) = (QueueName::new(&queue).ok()?, Namespace::new(&namespace).ok()?);
        Some(Hold { queue, namespace, caller: Caller::parse(&caller) })
    };
    rows.into_iter().filter_map(hold).collect()
}

/// Follows the job's record: what an earlier run came to goes when the job waits once more.
pub(super) fn follow(to: &Connection, job: &Job) -> Result<(), StoreError> {
    const KNOWN: &str = "INSERT INTO synopsis (job, held) VALUES (?1, ?2)
                         ON CONFLICT DO UPDATE SET held = excluded.held WHERE excluded.held <> '[]'";
    const STARTED: &str = "UPDATE synopsis SET started_at = ?2 WHERE job = ?1";
    const ANEW: &str = "UPDATE synopsis SET started_at = NULL, exit_code = NULL, duration = NULL,
                        failure_code = NULL, failure_message = NULL, output_bytes = 0 WHERE job = ?1";
    run(to, KNOWN, params![job.id.as_str(), text_of(&job.holds)])?;
    match job.phase {
        Phase::Queued => {
            run(to, ANEW, [job.id.as_str()])?;
            run(to, "DELETE FROM course WHERE job = ?1", [job.id.as_str()])
        }
        Phase::Running => run(to, STARTED, params![job.id.as_str(), signed(job.changed_at.0)]),
        Phase::Finished(_) | Phase::Removed => Ok(()),
    }
}

/// Notes what a definition says.
pub(super) fn describe(
    to: &Connection,
    id: &JobId,
    image: Option<&str>,
    command: Option<&str>,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO synopsis (job, described, image, command) VALUES (?1, 1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET described = 1, image = excluded.image, command = excluded.command";
    run(to, SQL, params![id.as_str(), image, command])
}

/// Notes what a run came to.
pub(super) fn finish(to: &Connection, id: &JobId, result: &RunResult) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO synopsis
                         (job, exit_code, duration, failure_code, failure_message, output_bytes)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT DO UPDATE SET exit_code = excluded.exit_code, duration = excluded.duration,
                         failure_code = excluded.failure_code, failure_message = excluded.failure_message,
                         output_bytes = excluded.output_bytes";
    let duration = result.duration.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let failure = result.failure.as_ref();
    let bytes: u64 = result.outputs.values().map(|file| file.size).sum();
    let values = params![
        id.as_str(),
        result.exit_code,
        duration,
        failure.map(|failure| failure.code.as_str()),
        failure.map(|failure| &failure.message),
        signed(bytes),
    ];
    run(to, SQL, values)
}

/// Who held a job last.
pub(super) fn last_holds(from: &Connection, id: &JobId) -> Result<Vec<Hold>, StoreError> {
    let held: Option<String> = from
        .prepare_cached("SELECT held FROM synopsis WHERE job = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(held.as_deref().map(holds_of).unwrap_or_default())
}
