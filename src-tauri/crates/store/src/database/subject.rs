//! What there are second copies of: all that is said of one job, and each row that belongs to no job and cannot be had
//! again (names of files, webhooks, marks to keep things).
//!
//! What is known of images and downloads has none: it changes whenever a job uses one, and losing it costs no more
//! than a further download, or that the person deletes an image by hand.

use rusqlite::Connection;
use rusqlite::types::Value as Cell;

use super::Change;
use super::cache_rows::listed;
use crate::error::StoreError;

/// Between the table and the key of a row of no job. No job's id has it.
const BETWEEN: char = '\n';

/// Marks of these kinds belong to the job of their id.
const PINS_OF_JOBS: [&str; 2] = ["result", "log"];

/// Tables with such rows, and what each row is found by.
pub(super) const LOOSE: [(&str, &[&str]); 3] =
    [("blob_name", &["name"]), ("call", &["id"]), ("pin", &["kind", "id"])];

/// All subjects of a database of the present form, those of which nothing but a sum is left among them.
const ALL: &str = "SELECT id AS subject FROM job UNION SELECT job FROM record_sum
    UNION ALL SELECT 'blob_name' || char(10) || name FROM blob_name
    UNION ALL SELECT 'call' || char(10) || id FROM call
    UNION ALL SELECT 'pin' || char(10) || kind || char(10) || id FROM pin WHERE kind NOT IN ('result', 'log')";

/// The subject that a row of no job is.
fn loose(table: &str, key: &[&str]) -> String {
    let mut subject = table.to_owned();
    for part in key {
        subject.push(BETWEEN);
        subject.push_str(part);
    }
    subject
}

/// Table, key columns and key of a row of no job; none when `subject` is a job.
pub(super) fn row_of(subject: &str) -> Option<(&'static str, &'static [&'static str], Vec<&str>)> {
    let (table, key) = subject.split_once(BETWEEN)?;
    let (table, columns) = LOOSE.into_iter().find(|(loose, _)| *loose == table)?;
    Some((table, columns, key.splitn(columns.len(), BETWEEN).collect()))
}

/// Whether it is no job.
pub(super) fn is_loose(subject: &str) -> bool {
    subject.contains(BETWEEN)
}

/// For people.
pub(super) fn words(subject: &str) -> String {
    match row_of(subject) {
        Some(("blob_name", _, key)) => format!("the file name {}", key.concat()),
        Some(("call", ..)) => "a webhook".to_owned(),
        Some((.., key)) => format!("the mark to keep {}", key.join(" ")),
        None => format!("the job {subject}"),
    }
}

fn pin(kind: &str, id: &str) -> String {
    if PINS_OF_JOBS.contains(&kind) { id.to_owned() } else { loose("pin", &[kind, id]) }
}

/// What `change` will change, looked up before it is made. That a job runs has to be known too: its container is taken
/// over then.
pub(super) fn changed_by(change: &Change, from: &Connection) -> Result<Vec<String>, StoreError> {
    Ok(match change {
        Change::Save(job) => vec![job.id.to_string()],
        Change::Define { id, .. }
        | Change::Describe { id, .. }
        | Change::Course { id, .. }
        | Change::Finish { id, .. }
        | Change::Inputs { id, .. }
        | Change::JobImage { id, .. }
        | Change::Forget(id)
        | Change::Erase(id) => vec![id.to_string()],
        Change::Pin { kind, id, .. } => vec![pin(kind, id)],
        Change::Name { name, .. } => vec![loose("blob_name", &[name])],
        Change::Unname(hash) => {
            const SQL: &str = "SELECT name FROM blob_name WHERE hash = ?1";
            let mut statement = from.prepare_cached(SQL)?;
            let names = statement.query_map([hash.0], |row| row.get::<_, String>(0))?;
            names.map(|name| Ok(loose("blob_name", &[&name?]))).collect::<Result<_, StoreError>>()?
        }
        Change::Call(call) => vec![loose("call", &[&call.id.to_string()])],
        Change::Called(id) => vec![loose("call", &[&id.to_string()])],
        Change::ImageBrought(_)
        | Change::ImageCame(_)
        | Change::ImageUsed(..)
        | Change::ImageUnwanted { .. }
        | Change::ImageGone(_)
        | Change::ImageGivenUp(_)
        | Change::Context(_)
        | Change::ContextUsed(..)
        | Change::ContextGone(_) => Vec::new(),
    })
}

/// All that the database has.
pub(super) fn all(from: &Connection) -> Result<Vec<String>, StoreError> {
    listed(from, ALL, |row| row.get(0))
}

/// Those that come after `after`, in their order, and no more than `most`.
pub(super) fn all_after(from: &Connection, after: &str, most: usize) -> Result<Vec<String>, StoreError> {
    let sql = format!("SELECT subject FROM ({ALL}) WHERE subject > ?1 ORDER BY subject LIMIT ?2");
    let mut statement = from.prepare_cached(&sql)?;
    let subjects = statement.query_map((after, super::signed(most as u64)), |row| row.get(0))?;
    Ok(subjects.collect::<Result<_, _>>()?)
}

/// The subject that a row of `table` belongs to, whatever form the table has; none where it has no copy.
pub(super) fn of_cells(table: &str, columns: &[String], cells: &[Cell]) -> Option<String> {
    let cell = |name: &str| {
        let place = columns.iter().position(|column| column == name)?;
        match cells.get(place)? {
            Cell::Text(text) => Some(text.clone()),
            Cell::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    };
    match table {
        "pin" => Some(pin(&cell("kind")?, &cell("id")?)),
        "blob_name" => Some(loose(table, &[&cell("name")?])),
        "call" => Some(loose(table, &[&cell("id")?])),
        "job" => cell("id"),
        _ => cell("job"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_what_its_subject_says_whatever_characters_its_key_has() {
        let subject = pin("image", "a\nb");
        assert_eq!(row_of(&subject), Some(("pin", LOOSE[2].1, vec!["image", "a\nb"])));
        assert!(is_loose(&subject));
        assert_eq!((pin("result", "job"), row_of("job")), ("job".to_owned(), None));
        assert_eq!(words(&loose("blob_name", &["a.csv"])), "the file name a.csv");
    }

    #[test]
    fn a_row_of_any_table_belongs_to_the_subject_that_its_change_names() {
        let columns = ["kind", "id", "job"].map(str::to_owned);
        let cells = ["file", "x", "j"].map(|text| Cell::Text(text.to_owned()));
        assert_eq!(of_cells("pin", &columns, &cells), Some("pin\nfile\nx".to_owned()));
        assert_eq!(of_cells("result", &columns, &cells), Some("j".to_owned()));
        assert_eq!(of_cells("image", &columns[..2], &cells[..2]), None);
        let call = [Cell::Integer(7)];
        assert_eq!(of_cells("call", &["id".to_owned()], &call), Some("call\n7".to_owned()));
    }
}
