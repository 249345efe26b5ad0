//! What the records say of the cache: who refers to which stored file, what is pinned, which images are ours.

use std::collections::HashSet;

use deskgrid_job::{BlobHash, Caller, JobId, Time};
use rusqlite::Connection;

use super::image_row::{self, ContextRecord, ImageRecord};
use super::unsigned;
use crate::error::StoreError;

/// What one caller's jobs come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Who asked for them.
    pub caller: Caller,
    /// How many.
    pub jobs: u64,
    /// Bytes of their outputs. A job that several asked for counts for each.
    pub bytes: u64,
}

/// A stored file that a job's record refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// The job.
    pub job: JobId,
    /// The file.
    pub hash: BlobHash,
    /// Whether the job made it.
    pub is_output: bool,
}

/// A job with a kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResult {
    /// The job.
    pub job: JobId,
    /// What people know it by.
    pub name: String,
    /// When it ended.
    pub used_at: Time,
    /// Whether it is to stay; logs of unfinished jobs stay as well.
    pub is_unfinished: bool,
    /// Who asked for it last.
    pub callers: Vec<Caller>,
}

/// All that the records say of the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRecords {
    /// Every job on record.
    pub jobs: Vec<KeptResult>,
    /// Outputs and inputs of all jobs.
    pub files: Vec<KeptFile>,
    /// Files that clients gave a name.
    pub named: Vec<(String, BlobHash)>,
    /// Kind and id of what the person pinned.
    pub pinned: HashSet<(String, String)>,
    /// Images that we brought into the engine.
    pub images: Vec<ImageRecord>,
    /// The image of each job's latest run, whoever brought it.
    pub job_images: Vec<(JobId, String)>,
    /// The jobs for whose sake an image that we built is kept, with its name; it goes with the last of them.
    pub built_for: Vec<(JobId, String)>,
    /// Downloads for builds.
    pub contexts: Vec<ContextRecord>,
    /// The definitions of jobs that are not over.
    pub unfinished: Vec<(JobId, String)>,
    /// The definitions of those that are over and had their image built.
    pub built: Vec<(JobId, String)>,
}

/// Counts each job once for each of its callers.
pub(super) fn usage_by_caller(from: &Connection) -> Result<Vec<Usage>, StoreError> {
    const SQL: &str = "SELECT caller, count(*), sum(output_bytes)
                       FROM (SELECT DISTINCT synopsis.job, value ->> '$[2]' AS caller, output_bytes
                             FROM synopsis, json_each(held))
                       GROUP BY caller";
    let mut statement = from.prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| {
        let caller: Option<String> = row.get(0)?;
        let caller = Caller::parse(&caller.unwrap_or_default());
        Ok(Usage { caller, jobs: unsigned(row.get(1)?), bytes: unsigned(row.get(2)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads all of it as it is at one moment.
pub(super) fn records(from: &Connection) -> Result<CacheRecords, StoreError> {
    let from = &*from.unchecked_transaction()?;
    Ok(CacheRecords {
        jobs: jobs(from)?,
        files: files(from)?,
        named: listed(from, "SELECT name, hash FROM blob_name", |row| {
            Ok((row.get(0)?, BlobHash(row.get(1)?)))
        })?,
        pinned: listed(from, "SELECT kind, id FROM pin", |row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect(),
        images: image_row::all(from)?,
        job_images: image_row::all_of_jobs(from)?,
        built_for: image_row::all_built_for(from)?,
        contexts: image_row::contexts(from)?,
        unfinished: definitions(from, UNFINISHED)?,
        built: definitions(from, BUILT)?,
    })
}

pub(super) fn listed<T>(
    from: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = from.prepare_cached(sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn jobs(from: &Connection) -> Result<Vec<KeptResult>, StoreError> {
    const SQL: &str = "SELECT id, coalesce(command, image, id), changed_at, phase IN ('Queued', 'Running'),
                              coalesce(held, '[]')
                       FROM job LEFT JOIN synopsis ON synopsis.job = job.id";
    let rows = listed(from, SQL, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let kept = |(id, name, at, is_unfinished, held): (String, String, i64, bool, String)| {
        let job = JobId::new(&id).ok()?;
        let holds: Vec<(String, String, String)> = serde_json::from_str(&held).unwrap_or_default();
        let callers = holds.iter().map(|(.., caller)| Caller::parse(caller)).collect();
        Some(KeptResult { job, name, used_at: Time(unsigned(at)), is_unfinished, callers })
    };
    Ok(rows.into_iter().filter_map(kept).collect())
}

fn files(from: &Connection) -> Result<Vec<KeptFile>, StoreError> {
    const OUTPUTS: &str =
        "SELECT result.job, value ->> '$[0]' FROM result, json_each(result.json, '$.outputs')
                           WHERE json_valid(result.json)";
    const INPUTS: &str = "SELECT job, lower(hex(hash)) FROM input";
    let mut files = Vec::new();
    for (sql, is_output) in [(OUTPUTS, true), (INPUTS, false)] {
        let rows = listed(from, sql, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let file = |(job, hash): (String, String)| {
            Some(KeptFile { job: JobId::new(&job).ok()?, hash: BlobHash::parse(&hash)?, is_output })
        };
        files.extend(rows.into_iter().filter_map(file));
    }
    Ok(files)
}

const UNFINISHED: &str = "SELECT id, text FROM job JOIN definition ON definition.job = job.id
                          WHERE phase IN ('Queued', 'Running')";
const BUILT: &str = "SELECT id, text FROM job_image JOIN job ON job.id = job_image.job
                     JOIN definition ON definition.job = job.id
                     WHERE job_image.image GLOB 'deskgrid/build:*' AND phase NOT IN ('Queued', 'Running')";

fn definitions(from: &Connection, sql: &str) -> Result<Vec<(JobId, String)>, StoreError> {
    let rows = listed(from, sql, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().filter_map(|(id, text)| Some((JobId::new(&id).ok()?, text))).collect())
}
