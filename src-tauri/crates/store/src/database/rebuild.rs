//! A damaged database is set aside, and a new one made from the record files, and from the rows of the damaged one
//! that still read.
//!
//! The new one is complete before the damaged one is moved, so that a crash at any moment leaves one of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use deskgrid_fault::{Point, point};
use deskgrid_job::{JobId, Time};
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::commit_number::{self, CommitNumber};
use super::record_file::{JobTables, Record};
use super::{Rebuilt, job_ids, job_row, record_keeper, schema, subject};
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::holdings::files_below;
use crate::platform;

/// Puts a new database into the place of the damaged one.
pub(super) fn rebuild(folder: &Folder, why: String) -> Result<Rebuilt, StoreError> {
    // The copies are compared with what they made.
    record_keeper::forget_step(folder)?;
    let jobs = fill(folder)?;
    point(Point::RebuiltFilled);
    let rebuilt = Rebuilt { aside: place_aside(folder)?, jobs, why, is_fresh: true };
    folder.note_rebuilt(&rebuilt)?;
    set_aside(folder, &rebuilt.aside)?;
    put_in_place(folder)?;
    Ok(rebuilt)
}

/// Ends what a crash broke off: a new database that is complete takes its place, another goes.
pub(super) fn go_on(folder: &Folder) -> Result<(), StoreError> {
    remove(&folder.unfinished_database())?;
    let fresh = folder.rebuilt_database();
    match (fresh.exists(), folder.database().exists()) {
        (false, _) => Ok(()),
        (true, true) => remove(&fresh),
        (true, false) => {
            // What lies beside the old one must not be taken for a part of the new one.
            let aside = match folder.rebuilt() {
                Some(rebuilt) => {
                    folder.note_rebuilt(&Rebuilt { is_fresh: true, ..rebuilt.clone() })?;
                    rebuilt.aside
                }
                None => place_aside(folder)?,
            };
            set_aside(folder, &aside)?;
            put_in_place(folder)?;
            folder.count_rebuild();
            Ok(())
        }
    }
}

fn put_in_place(folder: &Folder) -> Result<(), StoreError> {
    let (fresh, place) = (folder.rebuilt_database(), folder.database());
    let moved = fs::rename(&fresh, &place).and_then(|()| platform::sync_folder(folder.root()));
    moved.map_err(failed("put into place", &place))?;
    point(Point::RebuiltPlaced);
    Ok(())
}

/// A database file and what lies beside it.
fn parts(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

fn remove(database: &Path) -> Result<(), StoreError> {
    for part in parts(database) {
        if part.exists() {
            fs::remove_file(&part).map_err(failed("remove", &part))?;
        }
    }
    Ok(())
}

/// A name in the folder of damaged things that nothing has yet, made of the present time.
fn place_aside(folder: &Folder) -> Result<PathBuf, StoreError> {
    let damaged = folder.damaged();
    platform::create_private_folder(&damaged).map_err(failed("create", &damaged))?;
    let mut now = Time::now();
    loop {
        let aside = damaged.join(format!("deskgrid-{}.sqlite3", utc(now)));
        if !aside.exists() {
            return Ok(aside);
        }
        now = now.plus(std::time::Duration::from_secs(1));
    }
}

/// Moves what there is of the damaged database to `aside`. The database goes first: without it nobody can take what is
/// left for a whole one.
fn set_aside(folder: &Folder, aside: &Path) -> Result<(), StoreError> {
    for (part, place) in parts(&folder.database()).iter().zip(parts(aside)) {
        if part.exists() {
            fs::rename(part, &place).map_err(failed("set aside", part))?;
            point(Point::DamagedSetAside);
        }
    }
    Ok(())
}

/// A time as a part of a file name, in UTC: `2026-11-27T09-30-00Z`.
fn utc(time: Time) -> String {
    let (days, seconds) = (time.0 / 86_400_000, time.0 / 1000 % 86_400);
    // Days are counted from 1 March of the year 0, so that leap days come last in a year (Howard Hinnant's
    // `civil_from_days`).
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}Z")
}

/// Makes the new database and says how many jobs it knows. It has the name of one that can be relied on only when it is
/// complete: where the damaged one is gone, nothing else tells.
fn fill(folder: &Folder) -> Result<u64, StoreError> {
    let (unfinished, fresh) = (folder.unfinished_database(), folder.rebuilt_database());
    let mut copies = Copies::of(folder);
    let salvage = Salvage::open(folder);
    if let Some(salvage) = &salvage {
        for subject in copies.doubtful.clone().iter().filter(|subject| salvage.is_whole(subject)) {
            copies.give_up(folder, subject);
        }
    }
    loop {
        remove(&unfinished)?;
        let connection = create(&unfinished)?;
        let useless = pour_all(&connection, &copies, salvage.as_ref())?;
        if useless.is_empty() {
            let jobs = complete(connection, &unfinished, copies.newest)?;
            remove(&fresh)?;
            fs::rename(&unfinished, &fresh).map_err(failed("rename", &unfinished))?;
            return Ok(jobs);
        }
        // Once more without them: what still reads of the rows of these jobs was held back for them.
        for subject in &useless {
            copies.give_up(folder, subject);
        }
    }
}

fn create(fresh: &Path) -> Result<Connection, StoreError> {
    drop(platform::private_file().append(true).create(true).open(fresh).map_err(failed("create", fresh))?);
    let connection = Connection::open(fresh)?;
    // It is of no use before it is complete, and brought onto the disk then.
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    Ok(connection)
}

/// Brings all that there is into an empty database. Returns the subjects whose copies are of no use.
fn pour_all(
    to: &Connection,
    copies: &Copies,
    salvage: Option<&Salvage>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut useless = BTreeSet::new();
    for (form, step) in schema::STEPS {
        to.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {form}; COMMIT;"))?;
        for (subject, path) in copies.by_form.get(&form).into_iter().flatten() {
            if !restore(to, path)? {
                useless.insert(subject.clone());
            }
        }
        if let Some(salvage) = salvage.filter(|salvage| salvage.form == form) {
            salvage.pour(to, &copies.subjects)?;
        }
    }
    useless.extend(drop_unreadable(to)?.into_iter().filter(|job| copies.subjects.contains(job)));
    Ok(useless)
}

fn complete(connection: Connection, fresh: &Path, newest: CommitNumber) -> Result<u64, StoreError> {
    commit_number::write(&connection, newest)?;
    let jobs: i64 = connection.query_row("SELECT count(*) FROM job", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    fs::File::open(fresh).and_then(|file| file.sync_all()).map_err(failed("bring onto the disk", fresh))?;
    Ok(super::unsigned(jobs))
}

/// Erases jobs whose rows read, but make no sense, and says which.
fn drop_unreadable(database: &Connection) -> Result<Vec<String>, StoreError> {
    let mut jobs = job_ids(database)?;
    jobs.retain(|text| !JobId::new(text).is_ok_and(|id| job_row::find(database, &id).is_ok()));
    for job in &jobs {
        tracing::warn!(job, "a record of a job makes no sense");
        database.execute("DELETE FROM job WHERE id = ?1", [job])?;
    }
    Ok(jobs)
}

/// The record files.
#[derive(Default)]
struct Copies {
    /// Those of subjects that are known, by the form of their tables.
    by_form: BTreeMap<u32, Vec<(String, PathBuf)>>,
    /// What they are of, and what was erased: what other rows say of these is out of date.
    subjects: HashSet<String>,
    /// Those of which a copy says something else than it was made with.
    doubtful: Vec<String>,
    /// The latest commit that they know of.
    newest: CommitNumber,
}

impl Copies {
    /// Looks at all of them. Those that do not read back are set aside.
    fn of(folder: &Folder) -> Self {
        let mut copies = Self::default();
        for file in files_below(&folder.records()) {
            let path = file.path();
            let is_known = |record: &Record| schema::STEPS.iter().any(|(form, _)| *form == record.form);
            let Some(record) = Record::load(&path).filter(|record| record.is_erased() || is_known(record))
            else {
                set_copy_aside(folder, &path);
                continue;
            };
            copies.newest = copies.newest.max(record.commit);
            if !record.is_erased() {
                copies.by_form.entry(record.form).or_default().push((record.subject.clone(), path));
            }
            if record.is_damaged() {
                copies.doubtful.push(record.subject.clone());
            }
            copies.subjects.insert(record.subject);
        }
        copies
    }

    /// Sets the copy of a subject aside, so that what other rows say of it counts.
    fn give_up(&mut self, folder: &Folder, subject: &str) {
        for copies in self.by_form.values_mut() {
            for (_, path) in copies.extract_if(.., |(of, _)| of == subject) {
                set_copy_aside(folder, &path);
            }
        }
        self.subjects.remove(subject);
    }
}

fn set_copy_aside(folder: &Folder, path: &Path) {
    tracing::warn!(path = %path.display(), "a second copy of a job's record is of no use; it is set aside");
    let Some(name) = path.file_name() else { return };
    let moved = platform::create_private_folder(&folder.damaged())
        .and_then(|()| fs::rename(path, folder.damaged().join(name)));
    if let Err(error) = moved {
        tracing::warn!(path = %path.display(), %error, "it could not be moved");
    }
}

/// Puts one subject into the new database, or nothing of it; says which.
fn restore(to: &Connection, path: &Path) -> Result<bool, StoreError> {
    let Some(record) = Record::load(path) else { return Ok(false) };
    to.execute_batch("BEGIN")?;
    match record.restore(to) {
        Ok(()) => to.execute_batch("COMMIT").map(|()| true).map_err(Into::into),
        Err(error) => {
            tracing::warn!(of = subject::words(&record.subject), %error, "a record could not be restored");
            to.execute_batch("ROLLBACK")?;
            Ok(false)
        }
    }
}

/// The damaged database, as far as it reads.
struct Salvage {
    from: Connection,
    form: u32,
    tables: Vec<String>,
}

impl Salvage {
    /// None when nothing of it reads.
    fn open(folder: &Folder) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let from = Connection::open_with_flags(folder.database(), flags).ok()?;
        // It is evidence: what lies beside it is not written into it, and nothing else is either.
        from.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
        from.execute_batch("PRAGMA query_only = ON").ok()?;
        let form = from.pragma_query_value(None, "user_version", |row| row.get(0)).ok()?;
        let tables = {
            const SQL: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";
            let mut statement = from.prepare(SQL).ok()?;
            statement.query_map([], |row| row.get(0)).ok()?.filter_map(Result::ok).collect()
        };
        Some(Self { from, form, tables })
    }

    /// Whether its rows of a subject are those that were written, as far as can be told.
    fn is_whole(&self, subject: &str) -> bool {
        let look = || {
            let record = JobTables::of(&self.from)?.read(&self.from, subject, 0)?;
            let is_as_noted =
                subject::is_loose(subject) || record_keeper::noted_sum(&self.from, subject)? == record.sum();
            Ok::<_, StoreError>(is_as_noted && !record.is_erased())
        };
        look().unwrap_or(false)
    }

    /// Copies every row that reads, but those of subjects that are `known` otherwise.
    fn pour(&self, to: &Connection, known: &HashSet<String>) -> Result<(), StoreError> {
        to.execute_batch("BEGIN")?;
        for table in self.tables.iter().filter(|table| to.table_exists(None, table.as_str()).unwrap_or(false))
        {
            // A damaged page ends the reading; from the other end comes what lies behind it.
            for order in ["ASC", "DESC"] {
                if self.pour_table(to, table, order, known).is_ok() {
                    break;
                }
            }
        }
        Ok(to.execute_batch("COMMIT")?)
    }

    fn pour_table(
        &self,
        to: &Connection,
        table: &str,
        order: &str,
        known: &HashSet<String>,
    ) -> Result<(), StoreError> {
        // By rowid, so that no index is read, where the table has one.
        let ordered = |key| format!("SELECT * FROM \"{table}\" ORDER BY {key} {order}");
        let by_row = self.from.prepare(&ordered("rowid"));
        let mut statement = by_row.or_else(|_| self.from.prepare(&ordered("1")))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let count = columns.len();
        let places = vec!["?"; count].join(", ");
        let mut insert = to.prepare(&format!("INSERT OR IGNORE INTO \"{table}\" VALUES ({places})"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells = (0..count).map(|number| row.get::<_, Cell>(number)).collect::<Result<Vec<_>, _>>();
            let Ok(cells) = cells else { continue };
            let subject = subject::of_cells(table, &columns, &cells);
            if !subject.is_some_and(|subject| known.contains(&subject)) {
                // A row that the new table refuses is damaged itself.
                let _ = insert.execute(params_from_iter(cells));
            }
        }
        Ok(())
    }
}
