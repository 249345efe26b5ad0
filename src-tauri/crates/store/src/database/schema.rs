//! The tables and their history: how a database is opened, and brought to the present form.
//!
//! What goes into the tables is said elsewhere.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;

use deskgrid_fault::{Point, point};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{StoreError, failed};

/// Each step brings the tables to the form of that number. Released steps are never changed: a new form is a new
/// step.
pub(super) const STEPS: [(u32, &str); 5] = [
    (1, include_str!("schema.sql")),
    (2, include_str!("overview.sql")),
    (3, include_str!("images.sql")),
    (4, include_str!("ownership.sql")),
    (5, include_str!("record_sum.sql")),
];

/// Statements that the connection which writes keeps prepared: all that there are.
const STATEMENTS: usize = 64;

/// The last form that this program knows.
const KNOWN: u32 = STEPS[STEPS.len() - 1].0;

/// Looks at the file without the database program, which would leave traces beside it: a file of a newer program is
/// not to be touched at all.
///
/// # Errors
/// [`StoreError::Newer`] for such a file, [`StoreError::RecordsDamaged`] for one that is no database.
pub(super) fn look_at(path: &Path) -> Result<(), StoreError> {
    // The file format's header: its magic bytes, and where it holds our `user_version`.
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const HEADER: usize = 100;
    const VERSION: std::ops::Range<usize> = 60..64;
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER as u64).read_to_end(&mut header));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(failed("read", path))?,
    };
    if header.is_empty() {
        return Ok(());
    }
    if header.len() < HEADER || !header.starts_with(MAGIC) {
        return Err(StoreError::RecordsDamaged { why: "the file is no database".into() });
    }
    let version = header[VERSION].try_into().map(u32::from_be_bytes).unwrap_or_default();
    if version > KNOWN {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: KNOWN });
    }
    Ok(())
}

/// So long a connection waits for another one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the database for writing, in its present form.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    look_at(path)?;
    let mut connection = Connection::open(path)?;
    let done: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if done > KNOWN {
        // A newer program died before it had written this into the file itself. Nor do we.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        return Err(StoreError::Newer { path: path.to_owned(), found: done, known: KNOWN });
    }
    // With FULL, a write-ahead log is synced at every commit: what is committed survives a power cut.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -1024;
         PRAGMA journal_size_limit = 8388608;",
    )?;
    connection.busy_timeout(PATIENCE)?;
    keep_statements(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate(&mut connection, done)?;
    Ok(connection)
}

/// Has a database that cannot be relied on stay as it is when it is closed: it is evidence, and what lies beside it is
/// not written into it.
pub(super) fn leave(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::warn!(%error, "the damaged database may be changed once more");
    }
}

/// Without this, a prepared statement is compiled anew for every other value that an index is searched for, in case
/// statistics suggest another plan: most of the time of a small read. We keep no such statistics.
fn keep_statements(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens the database for reading beside the one writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA cache_size = -256;")?;
    connection.busy_timeout(PATIENCE)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// What is wrong with the structure of the database, in its own words; nothing when it is sound. It reads all of it.
pub(super) fn quick_check(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let checked = connection.prepare("PRAGMA quick_check(20)").and_then(|mut statement| {
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        lines.collect::<rusqlite::Result<Vec<_>>>()
    });
    match checked {
        Ok(lines) if lines == ["ok"] => Ok(Vec::new()),
        Ok(lines) => Ok(lines),
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file itself is at fault.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

fn migrate(connection: &mut Connection, done: u32) -> Result<(), StoreError> {
    for (form, step) in STEPS.iter().filter(|(form, _)| *form > done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", form)?;
        transaction.commit()?;
        point(Point::RecordsMigrated);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// A failure here means that a released form was changed: make a new step, then bring this up to date.
    #[test]
    fn the_tables_have_the_form_that_is_written_here() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("db")).unwrap();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let found: Vec<_> = tables(&connection).iter().map(|sql| words(sql)).collect();
        let expected = [
            "CREATE TABLE job ( id TEXT PRIMARY KEY, phase TEXT NOT NULL, queued_at INTEGER NOT NULL, \
             changed_at INTEGER NOT NULL, turn INTEGER NOT NULL, run INTEGER NOT NULL, losses INTEGER NOT NULL, \
             cpu_millis INTEGER NOT NULL, memory INTEGER NOT NULL, gpus INTEGER NOT NULL, requirements TEXT, \
             tags TEXT, debug TEXT, runs_again INTEGER NOT NULL ) STRICT",
            "CREATE INDEX job_by_phase ON job (phase, changed_at)",
            "CREATE INDEX job_by_turn ON job (turn)",
            "CREATE TABLE hold ( job TEXT NOT NULL, queue TEXT NOT NULL, namespace TEXT NOT NULL, \
             caller TEXT NOT NULL, PRIMARY KEY (job, queue, namespace, caller) ) STRICT, WITHOUT ROWID",
            "CREATE TABLE definition ( job TEXT PRIMARY KEY, text TEXT NOT NULL ) STRICT",
            "CREATE TABLE result ( job TEXT PRIMARY KEY, json TEXT NOT NULL ) STRICT",
            "CREATE TABLE input ( job TEXT NOT NULL, path TEXT NOT NULL, hash BLOB NOT NULL, \
             PRIMARY KEY (job, path) ) STRICT, WITHOUT ROWID",
            "CREATE TABLE blob_name ( name TEXT PRIMARY KEY, hash BLOB NOT NULL ) STRICT, WITHOUT ROWID",
            "CREATE TABLE call ( id INTEGER PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, \
             due INTEGER NOT NULL, first INTEGER NOT NULL, attempts INTEGER NOT NULL, after TEXT ) STRICT",
            "CREATE TABLE synopsis ( job TEXT PRIMARY KEY, \
             -- Whether image and command were read from the definition. described INTEGER NOT NULL DEFAULT 0, \
             image TEXT, command TEXT, -- Who held the job last, as [[queue, namespace, caller], ...]: a cancelled \
             job has no holds any more. held TEXT NOT NULL DEFAULT '[]', started_at INTEGER, exit_code INTEGER, \
             duration INTEGER, failure_code TEXT, failure_message TEXT, output_bytes INTEGER NOT NULL DEFAULT 0 \
             ) STRICT",
            "CREATE TABLE course ( job TEXT PRIMARY KEY, json TEXT NOT NULL ) STRICT",
            "CREATE TABLE pin ( kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id) ) STRICT, WITHOUT ROWID",
            "CREATE TABLE job_image ( job TEXT PRIMARY KEY, image TEXT NOT NULL ) STRICT, WITHOUT ROWID",
            "CREATE TABLE context ( -- The address without credentials. key TEXT PRIMARY KEY, etag TEXT, \
             -- Whether what the address stands for never changes. pinned INTEGER NOT NULL, hash BLOB NOT NULL, \
             used_at INTEGER NOT NULL ) STRICT, WITHOUT ROWID",
            "CREATE TABLE image ( -- By what the engine is known; empty where an older program noted the image, \
             which did not ask. engine TEXT NOT NULL, name TEXT NOT NULL, -- The image's id; none while it is on its \
             way, and where an older program noted it. id TEXT, -- 'pulled' or 'built'. origin TEXT NOT NULL, \
             used_at INTEGER NOT NULL, -- Whether it is to go as soon as it can. unwanted INTEGER NOT NULL, \
             PRIMARY KEY (engine, name) ) STRICT, WITHOUT ROWID",
            "CREATE TABLE record_sum ( job TEXT PRIMARY KEY, -- SHA-256 of the rows as the second copy has them. \
             sum BLOB NOT NULL ) STRICT, WITHOUT ROWID",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 9;").unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        let wrote_at = std::fs::metadata(&path).unwrap().modified().unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 9, known: 5, .. }), "{error}");
        assert!(error.to_string().contains("newer Deskgrid"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), wrote_at);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn jobs_of_a_database_of_the_first_form_keep_what_their_records_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(STEPS[0].1).unwrap();
        old.execute_batch(
            r#"PRAGMA user_version = 1;
            INSERT INTO job VALUES ('done', 'Error', 1, 9, 1, 1, 0, 1000, 0, 0, NULL, NULL, NULL, 0);
            INSERT INTO job VALUES ('bad', 'Cancelled', 1, 9, 1, 1, 0, 1000, 0, 0, NULL, NULL, NULL, 0);
            INSERT INTO hold VALUES ('done', 'local', '_', 'https://a.example');
            INSERT INTO result VALUES ('bad', 'no json');
            INSERT INTO result VALUES ('done', '{"exit_code":3,"duration":{"secs":2,"nanos":5000000},
                "failure":["disk-failed","Why."],"timed_out":false,"outputs":{"a":["00",5],"b":["01",7]},"notes":[]}');"#,
        )
        .unwrap();
        drop(old);
        let connection = open(&path).unwrap();
        let row: (String, i64, i64, String, i64) = connection
            .query_row(
                "SELECT held, exit_code, duration, failure_code, output_bytes FROM synopsis WHERE job = 'done'",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .unwrap();
        let held = r#"[["local","_","https://a.example"]]"#.to_owned();
        assert_eq!(row, (held, 3, 2005, "disk-failed".to_owned(), 12));
        let all: i64 = connection.query_row("SELECT count(*) FROM synopsis", [], |row| row.get(0)).unwrap();
        assert_eq!(all, 2);
    }

    #[test]
    fn images_of_a_database_of_the_second_form_are_known_as_pulled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let old = Connection::open(&path).unwrap();
        STEPS[..2].iter().for_each(|(_, step)| old.execute_batch(step).unwrap());
        old.execute_batch("PRAGMA user_version = 2; INSERT INTO pulled_image VALUES ('a', 7);").unwrap();
        drop(old);
        let row: (String, String, i64) = open(&path)
            .unwrap()
            .query_row("SELECT name, origin, used_at FROM image", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, ("a".to_owned(), "pulled".to_owned(), 7));
    }

    #[test]
    fn opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let first = tables(&open(&path).unwrap());
        assert_eq!(tables(&open(&path).unwrap()), first);
    }
}
