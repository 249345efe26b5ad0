//! One file for each job with all that the database says of it, beside the database: should that be damaged, it is
//! rebuilt from these (`rebuild`).
//!
//! A file is complete when it has its name, and no more is done to make it durable: the first copy is. It holds rows
//! as they are in the tables, with the form of the tables, so that a new table or column needs nothing here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use deskgrid_job::JobId;
use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::commit_number::CommitNumber;
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;

/// All rows of one job.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct JobRecord {
    /// The form of the tables.
    pub(super) form: u32,
    /// The job.
    pub(super) job: String,
    /// The commit after which the rows were read.
    #[serde(default)]
    pub(super) commit: CommitNumber,
    /// Rows by table, each a value by column.
    tables: BTreeMap<String, Vec<Map<String, Value>>>,
}

/// What a file says of itself; reading only this is quick.
#[derive(Debug, Deserialize)]
pub(super) struct CopyHead {
    /// The job.
    pub(super) job: String,
    /// See [`JobRecord::commit`].
    #[serde(default)]
    pub(super) commit: CommitNumber,
}

impl CopyHead {
    /// Reads a file; none when it is none of ours, or half-written.
    pub(super) fn load(path: &Path) -> Option<Self> {
        load(path)
    }
}

/// A table with rows of jobs.
#[derive(Clone, Debug)]
struct Table {
    name: String,
    /// Finds those of one job.
    rows: String,
}

impl Table {
    fn new(name: &str, condition: &str) -> Self {
        Self { name: name.to_owned(), rows: format!("SELECT * FROM {name} WHERE {condition}") }
    }
}

/// The tables that have rows of jobs, as they are in one database.
#[derive(Debug)]
pub(super) struct JobTables {
    form: u32,
    tables: Vec<Table>,
}

impl JobTables {
    /// Finds them: those with a column `job`, and those of jobs and of what the person keeps.
    pub(super) fn of(database: &Connection) -> Result<Self, StoreError> {
        const SQL: &str = "SELECT tables.name FROM sqlite_schema AS tables
                           JOIN pragma_table_info(tables.name) AS columns
                           WHERE tables.type = 'table' AND columns.name = 'job' ORDER BY 1";
        let form = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut statement = database.prepare(SQL)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut tables = vec![Table::new("job", "id = ?1")];
        tables.extend(names.iter().map(|name| Table::new(name, "job = ?1")));
        let has_pins = database.table_exists(None, "pin")?;
        let pins = Table::new("pin", "id = ?1 AND kind IN ('result', 'log')");
        tables.extend(has_pins.then_some(pins));
        Ok(Self { form, tables })
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.name.as_str())
    }

    /// All that the database says of a job after the commit `commit`. What it does not know was erased.
    pub(super) fn read(
        &self,
        from: &Connection,
        job: &str,
        commit: CommitNumber,
    ) -> Result<JobRecord, StoreError> {
        let mut tables = BTreeMap::new();
        for Table { name, rows } in &self.tables {
            let mut statement = from.prepare_cached(rows)?;
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.query([job])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let mut cells = Map::new();
                for (number, column) in columns.iter().enumerate() {
                    cells.insert(column.clone(), told(row.get_ref(number)?));
                }
                found.push(cells);
            }
            if !found.is_empty() {
                tables.insert(name.clone(), found);
            }
        }
        let record = JobRecord { form: self.form, job: job.to_owned(), commit, tables };
        Ok(if record.is_erased() { JobRecord { tables: BTreeMap::new(), ..record } } else { record })
    }
}

impl JobRecord {
    /// Whether the job is known no more. Without such a file, rows of it in a damaged database would bring it back.
    pub(super) fn is_erased(&self) -> bool {
        !self.tables.contains_key("job")
    }

    /// Whether the rows are the same, whenever they were read.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (self.form, &self.tables) == (other.form, &other.tables)
    }

    /// Puts the rows into a database of the same form.
    pub(super) fn restore(&self, to: &Connection) -> Result<(), StoreError> {
        for (table, rows) in &self.tables {
            if !to.table_exists(None, table.as_str())? {
                continue;
            }
            for row in rows {
                let columns: Vec<_> = row.keys().map(|column| quoted(column)).collect();
                let places = vec!["?"; columns.len()].join(", ");
                let sql = format!(
                    "INSERT OR REPLACE INTO {} ({}) VALUES ({places})",
                    quoted(table),
                    columns.join(", ")
                );
                to.prepare_cached(&sql)?.execute(params_from_iter(row.values().map(cell)))?;
            }
        }
        Ok(())
    }

    /// Writes the file of the job, in place of an earlier one. After a crash there is either of them, or one that
    /// does not read back.
    pub(super) fn write(&self, folder: &Folder, id: &JobId) -> Result<(), StoreError> {
        let (place, fresh) = (folder.record(id), folder.fresh());
        let write = || -> io::Result<()> {
            let mut file = platform::private_file().write(true).create_new(true).open(&fresh)?;
            serde_json::to_writer(io::BufWriter::new(&mut file), self)?;
            file.flush()?;
            match fs::rename(&fresh, &place) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    platform::create_private_folder(place.parent().unwrap_or(folder.root()))?;
                    fs::rename(&fresh, &place)
                }
                done => done,
            }
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&fresh);
            failed("write", &place)(error)
        })
    }

    /// Reads a file; none when it is none of ours, or half-written.
    pub(super) fn load(path: &Path) -> Option<Self> {
        load(path)
    }
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// A name as SQL takes it, whatever is in it: files can be changed by anyone who owns the folder.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn told(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => json!({ "hex": hex::encode(bytes) }),
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null | Value::Array(_) => Cell::Null,
        Value::Bool(on) => Cell::Integer((*on).into()),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cell::Real(number.as_f64().unwrap_or_default()), Cell::Integer)
        }
        Value::String(text) => Cell::Text(text.clone()),
        Value::Object(bytes) => {
            let hex = bytes.get("hex").and_then(Value::as_str).unwrap_or_default();
            hex::decode(hex).map_or(Cell::Null, Cell::Blob)
        }
    }
}
