//! What the person has to know of the disk and of what lies there: told on every screen, in the tray and in
//! `GET /api/desk`, until it is over or was read.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use deskgrid_store::{Rebuilt, Store};
use serde::Deserialize;
use serde_json::{Value, json};

use super::understood;
use crate::Site;
use crate::access::Administrator;
use crate::body::JsonText;
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/desk/notices/dismiss", post(dismiss))
}

/// The notices that the person has read; a later start tells nothing of what was before it.
#[derive(Default)]
pub(crate) struct Read(Mutex<HashSet<String>>);

impl Read {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Dismissed {
    code: String,
}

async fn dismiss(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Dismissed { code } = understood(&text)?;
    if IS_OVER_WHEN_READ.contains(&code.as_str()) {
        site.read_notices().lock().insert(code);
        site.news().shell_changed();
    }
    Ok(Json(json!({})))
}

/// What stays as it is and need not be told again.
const IS_OVER_WHEN_READ: [&str; 2] = ["records-rebuilt", "files-damaged"];

/// The notices of this moment.
pub(super) fn notices(site: &Site) -> Vec<Value> {
    let read = site.read_notices().lock();
    let lacks_room = site.worker().situation().borrow().lacks_room;
    let all = lacks_room.map(disk_low).into_iter().chain(of_store(site.store()));
    all.filter(|(code, _)| !read.contains(*code))
        .map(|(code, words)| {
            json!({ "code": code, "words": words, "canBeDismissed": IS_OVER_WHEN_READ.contains(&code) })
        })
        .collect()
}

type Notice = (&'static str, String);

fn disk_low(reserve: u64) -> Notice {
    let words = format!(
        "The disk is nearly full: less than {} MB are free. Uploads are refused and jobs wait until there is room. \
         Delete what you no longer need.",
        reserve / 1_000_000
    );
    ("disk-low", words)
}

fn of_store(store: &Store) -> impl Iterator<Item = Notice> {
    let damaged = store.has_damaged_records().then(|| {
        let words = "The job records on the disk are damaged. Quit Deskgrid and start it again: it sets the damaged \
                     file aside and rebuilds the records.";
        ("records-damaged", words.to_owned())
    });
    let files = store.damaged_files();
    let files = (files > 0).then(|| {
        let words = format!(
            "{files} stored {} found damaged and set aside. Jobs that need one say so. The disk may be failing: look \
             after your backups, and run `deskgrid verify` to check all files.",
            if files == 1 { "file was" } else { "files were" }
        );
        ("files-damaged", words)
    });
    store.rebuilt().map(rebuilt).into_iter().chain(damaged).chain(files)
}

fn rebuilt(rebuilt: &Rebuilt) -> Notice {
    let words = format!(
        "The job records were damaged and have been rebuilt: {} {} known. The damaged file is kept as {}; delete it \
         when you do not need it.",
        rebuilt.jobs,
        if rebuilt.jobs == 1 { "job is" } else { "jobs are" },
        rebuilt.aside.display()
    );
    ("records-rebuilt", words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuilt_database_is_told_with_what_came_back_and_where_the_damaged_one_is() {
        let (code, words) = rebuilt(&Rebuilt { aside: "/data/damaged/x".into(), jobs: 1, why: "why".into() });
        assert_eq!(code, "records-rebuilt");
        assert!(words.contains("1 job is known") && words.contains("/data/damaged/x"), "{words}");
    }

    #[test]
    fn a_sound_store_has_nothing_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_store(&Store::open(dir.path()).unwrap()).count(), 0);
    }
}
