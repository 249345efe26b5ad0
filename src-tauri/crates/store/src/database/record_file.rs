//! One file for each job with all that the database says of it, and one for each row of no job that cannot be had again
//! (`subject`), beside the database: should that be damaged, it is rebuilt from these (`rebuild`).
//!
//! A file is complete when it has its name, and no more is done to make it durable: the first copy is. It holds rows
//! as they are in the tables, with the form of the tables, so that a new table or column needs nothing here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rusqlite::types::{Value as Cell, ValueRef};
use rusqlite::{Connection, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::change::run;
use super::commit_number::CommitNumber;
use super::subject;
use crate::error::{StoreError, failed};
use crate::folder::Folder;
use crate::platform;

/// All rows of one subject.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    /// The form of the tables.
    pub(super) form: u32,
    /// The subject; before there were others it was a job.
    #[serde(rename = "job")]
    pub(super) subject: String,
    /// The commit after which the rows were read.
    #[serde(default)]
    pub(super) commit: CommitNumber,
    /// What the rows come to, in hexadecimal digits; none in a file of an older program.
    #[serde(default)]
    sum: Option<String>,
    /// Rows by table, each a value by column.
    tables: BTreeMap<String, Vec<Map<String, Value>>>,
}

/// What a file says of itself; reading only this is quick.
#[derive(Debug, Deserialize)]
pub(super) struct CopyHead {
    /// The subject.
    #[serde(rename = "job")]
    pub(super) subject: String,
    /// See [`Record::commit`].
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
    /// Finds them: those with a column `job`, and those of jobs and of what the person keeps. Sums are beside the rows.
    pub(super) fn of(database: &Connection) -> Result<Self, StoreError> {
        const SQL: &str = "SELECT tables.name FROM sqlite_schema AS tables
                           JOIN pragma_table_info(tables.name) AS columns
                           WHERE tables.type = 'table' AND columns.name = 'job' AND tables.name <> 'record_sum' ORDER BY 1";
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

    /// All that the database says of a subject after the commit `commit`. What it does not know was erased.
    pub(super) fn read(
        &self,
        from: &Connection,
        subject: &str,
        commit: CommitNumber,
    ) -> Result<Record, StoreError> {
        let mut tables = BTreeMap::new();
        if let Some((table, columns, key)) = subject::row_of(subject) {
            let conditions: Vec<_> = columns.iter().map(|column| format!("{column} = ?")).collect();
            let sql = format!("SELECT * FROM {table} WHERE {}", conditions.join(" AND "));
            tables.extend(rows(from, &sql, &key)?.map(|found| (table.to_owned(), found)));
        } else {
            for Table { name, rows: sql } in &self.tables {
                tables.extend(rows(from, sql, &[subject])?.map(|found| (name.clone(), found)));
            }
        }
        let mut record = Record { form: self.form, subject: subject.to_owned(), commit, sum: None, tables };
        if record.is_erased() {
            record.tables.clear();
        }
        record.sum = Some(record.come_to());
        Ok(record)
    }

    /// Puts the rows of a record of this form into the place of those that the database has of its job.
    pub(super) fn replace(&self, to: &Connection, record: &Record) -> Result<(), StoreError> {
        for Table { rows, .. } in &self.tables {
            let sql = rows.replacen("SELECT *", "DELETE", 1);
            to.execute(&sql, [&record.subject])?;
        }
        record.restore(to)
    }
}

/// The rows that `sql` finds by `key`, if there are any.
fn rows(from: &Connection, sql: &str, key: &[&str]) -> Result<Option<Vec<Map<String, Value>>>, StoreError> {
    let mut statement = from.prepare_cached(sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(params_from_iter(key))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut cells = Map::new();
        for (number, column) in columns.iter().enumerate() {
            cells.insert(column.clone(), told(row.get_ref(number)?));
        }
        found.push(cells);
    }
    Ok((!found.is_empty()).then_some(found))
}

impl Record {
    /// Whether the subject is known no more. Without such a file, rows of it in a damaged database would bring it back.
    pub(super) fn is_erased(&self) -> bool {
        if subject::is_loose(&self.subject) {
            self.tables.is_empty()
        } else {
            !self.tables.contains_key("job")
        }
    }

    /// What its rows come to now, whatever it says.
    fn come_to(&self) -> String {
        let rows = serde_json::to_vec(&(self.form, &self.subject, &self.tables)).unwrap_or_default();
        hex::encode(Sha256::digest(rows))
    }

    /// What its rows came to when they were read.
    pub(super) fn sum(&self) -> Option<Vec<u8>> {
        hex::decode(self.sum.as_ref()?).ok()
    }

    /// Whether its rows are those that it was made with.
    pub(super) fn is_sound(&self) -> bool {
        self.sum.as_ref().is_some_and(|sum| *sum == self.come_to())
    }

    /// Whether they are known to be others.
    pub(super) fn is_damaged(&self) -> bool {
        self.sum.as_ref().is_some_and(|sum| *sum != self.come_to())
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
        let has_sums = !subject::is_loose(&self.subject) && to.table_exists(None, "record_sum")?;
        if has_sums { self.note_sum(to) } else { Ok(()) }
    }

    /// Has the database know what the rows of its job come to.
    pub(super) fn note_sum(&self, to: &Connection) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO record_sum (job, sum) VALUES (?1, ?2)";
        match self.sum().filter(|_| !self.is_erased()) {
            Some(sum) => run(to, SQL, params![self.subject, sum]),
            None => run(to, "DELETE FROM record_sum WHERE job = ?1", [&self.subject]),
        }
    }

    /// Writes the file of the subject, in place of an earlier one. After a crash there is either of them, or one that
    /// does not read back.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), StoreError> {
        let (place, fresh) = (folder.record(&self.subject), folder.fresh());
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
