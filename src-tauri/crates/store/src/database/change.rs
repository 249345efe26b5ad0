//! The changes that the rest of the program may make to the records, and how each is written into the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use deskgrid_job::{BlobHash, Course, FilePath, Job, JobId, RunResult, Time};
use rusqlite::{Connection, params};

use super::image_row::{ContextRecord, ImageRecord, UsedImage};
use super::{course_row, image_row, job_row, result_row, signed, synopsis_row};
use crate::error::StoreError;

/// One change of the records. Those of one commit are made together or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// The job's light record, with its holds, is now this.
    Save(Job),
    /// The job was submitted with this text.
    Define {
        /// The job.
        id: JobId,
        /// Its definition, word for word as submitted but for masks in the place of secrets.
        text: String,
    },
    /// What the job's definition says, for lists.
    Describe {
        /// The job.
        id: JobId,
        /// The image it names.
        image: Option<String>,
        /// What it runs, in words.
        command: Option<String>,
    },
    /// How the job's latest run went.
    Course {
        /// The job.
        id: JobId,
        /// Its stages and what it used.
        course: Arc<Course>,
    },
    /// The result and the course of the job's latest run go; the job, its definition and its logs stay.
    Forget(JobId),
    /// The job's latest run came to this.
    Finish {
        /// The job.
        id: JobId,
        /// What the run came to.
        result: Arc<RunResult>,
    },
    /// The job's inputs have these bytes; replaces what was known before.
    Inputs {
        /// The job.
        id: JobId,
        /// The content of each input.
        files: BTreeMap<FilePath, BlobHash>,
    },
    /// All that is known of the job goes, its logs too. Blobs stay.
    Erase(JobId),
    /// A webhook is to be called, or to be called again; replaces the pending call of the same id.
    Call(PendingCall),
    /// The pending call of this id is done with, or given up.
    Called(u64),
    /// The person wants to keep something, or not any more.
    Pin {
        /// Of which kind it is.
        kind: String,
        /// Its name among those.
        id: String,
        /// Whether it is kept.
        is_on: bool,
    },
    /// We brought an image into an engine, or are about to where it has no id yet.
    ImageBrought(ImageRecord),
    /// What was on its way is here. Nothing changes where its name is not on record any more: somebody else has given
    /// it away meanwhile.
    ImageCame(ImageRecord),
    /// An image was used at this time; nothing changes for one that we did not bring.
    ImageUsed(UsedImage, Time),
    /// An image of this name is to go as soon as it can; nothing changes for one that we did not bring.
    ImageUnwanted {
        /// The image's name.
        name: String,
        /// The engine that it is to go from; all when none.
        engine: Option<String>,
    },
    /// What this record speaks of is no longer there. A newer record of the name stays.
    ImageGone(ImageRecord),
    /// What has this record's name in its engine is somebody else's, whatever is on record of it by now.
    ImageGivenUp(ImageRecord),
    /// The job's latest run has this image, whoever brought it.
    JobImage {
        /// The job.
        id: JobId,
        /// The image's name.
        image: String,
    },
    /// A download for builds is kept; replaces what its key meant before.
    Context(ContextRecord),
    /// A kept download was used at this time.
    ContextUsed(String, Time),
    /// A kept download is no longer there.
    ContextGone(String),
    /// The names of a blob go.
    Unname(BlobHash),
    /// A client's name for a blob; replaces what the name meant before.
    Name {
        /// The name.
        name: String,
        /// The content it stands for.
        hash: BlobHash,
    },
}

/// A webhook call that nobody has taken yet (protocol section 5, *submission webhook*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCall {
    /// Its number, chosen by whoever makes it.
    pub id: u64,
    /// Where to.
    pub url: String,
    /// The JSON to send.
    pub body: String,
    /// When to try next.
    pub due: Time,
    /// When it was first tried, for giving up.
    pub first: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// The job whose end it waits for; none when it is to be made now.
    pub after: Option<JobId>,
}

impl Change {
    /// Writes it into the tables; the caller has opened a transaction.
    pub(super) fn apply(&self, to: &Connection) -> Result<(), StoreError> {
        match self {
            Self::Save(job) => {
                job_row::save(to, job)?;
                synopsis_row::follow(to, job)
            }
            Self::Describe { id, image, command } => {
                synopsis_row::describe(to, id, image.as_deref(), command.as_deref())
            }
            Self::Course { id, course } => {
                // It may come after the end of its job, which may be erased by then.
                const SQL: &str = "INSERT INTO course (job, json) SELECT id, ?2 FROM job WHERE id = ?1
                                   ON CONFLICT DO UPDATE SET json = excluded.json";
                run(to, SQL, params![id.as_str(), course_row::encode(course)?])
            }
            Self::Forget(id) => {
                run(to, "DELETE FROM result WHERE job = ?1", [id.as_str()])?;
                run(to, "DELETE FROM course WHERE job = ?1", [id.as_str()])
            }
            Self::Define { id, text } => {
                const SQL: &str = "INSERT INTO definition (job, text) VALUES (?1, ?2)
                                   ON CONFLICT DO UPDATE SET text = excluded.text";
                run(to, SQL, params![id.as_str(), text])
            }
            Self::Finish { id, result } => {
                const SQL: &str = "INSERT INTO result (job, json) VALUES (?1, ?2)
                                   ON CONFLICT DO UPDATE SET json = excluded.json";
                run(to, SQL, params![id.as_str(), result_row::encode(result)?])?;
                synopsis_row::finish(to, id, result)
            }
            Self::Inputs { id, files } => save_inputs(to, id, files),
            Self::Erase(id) => erase(to, id),
            Self::Call(call) => save_call(to, call),
            Self::Called(id) => run(to, "DELETE FROM call WHERE id = ?1", [signed(*id)]),
            Self::Pin { kind, id, is_on: true } => {
                run(to, "INSERT OR IGNORE INTO pin (kind, id) VALUES (?1, ?2)", [kind, id])
            }
            Self::Pin { kind, id, is_on: false } => {
                run(to, "DELETE FROM pin WHERE kind = ?1 AND id = ?2", [kind, id])
            }
            Self::ImageBrought(image) => image_row::brought(to, image),
            Self::ImageCame(image) => image_row::came(to, image),
            Self::ImageUsed(image, at) => image_row::used(to, image, *at),
            Self::ImageUnwanted { name, engine } => image_row::unwanted(to, name, engine.as_deref()),
            Self::ImageGone(image) => image_row::gone(to, image),
            Self::ImageGivenUp(image) => image_row::given_up(to, image),
            Self::JobImage { id, image } => image_row::of_job(to, id, image),
            Self::Context(context) => image_row::save_context(to, context),
            Self::ContextUsed(key, at) => image_row::context_used(to, key, *at),
            Self::ContextGone(key) => run(to, "DELETE FROM context WHERE key = ?1", [key]),
            Self::Unname(hash) => run(to, "DELETE FROM blob_name WHERE hash = ?1", [hash.0]),
            Self::Name { name, hash } => {
                const SQL: &str = "INSERT INTO blob_name (name, hash) VALUES (?1, ?2)
                                   ON CONFLICT DO UPDATE SET hash = excluded.hash";
                run(to, SQL, params![name, hash.0])
            }
        }
    }

    /// The job whose logs go with this change.
    pub(super) fn erased(&self) -> Option<&JobId> {
        if let Self::Erase(id) = self { Some(id) } else { None }
    }
}

/// Runs one statement, kept prepared for the next time.
pub(super) fn run(to: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
    to.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn save_inputs(to: &Connection, id: &JobId, files: &BTreeMap<FilePath, BlobHash>) -> Result<(), StoreError> {
    run(to, "DELETE FROM input WHERE job = ?1", [id.as_str()])?;
    for (path, hash) in files {
        const SQL: &str = "INSERT INTO input (job, path, hash) VALUES (?1, ?2, ?3)";
        run(to, SQL, params![id.as_str(), path.as_str(), hash.0])?;
    }
    Ok(())
}

fn save_call(to: &Connection, call: &PendingCall) -> Result<(), StoreError> {
    const SQL: &str = "INSERT OR REPLACE INTO call (id, url, body, due, first, attempts, after)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (due, first) = (signed(call.due.0), signed(call.first.0));
    let after = call.after.as_ref().map(JobId::as_str);
    run(to, SQL, params![signed(call.id), call.url, call.body, due, first, call.attempts, after])
}

fn erase(to: &Connection, id: &JobId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM job WHERE id = ?1",
        "DELETE FROM hold WHERE job = ?1",
        "DELETE FROM definition WHERE job = ?1",
        "DELETE FROM result WHERE job = ?1",
        "DELETE FROM input WHERE job = ?1",
        "DELETE FROM synopsis WHERE job = ?1",
        "DELETE FROM course WHERE job = ?1",
        "DELETE FROM job_image WHERE job = ?1",
        "DELETE FROM pin WHERE id = ?1 AND kind IN ('result', 'log')",
    ] {
        run(to, sql, [id.as_str()])?;
    }
    Ok(())
}
