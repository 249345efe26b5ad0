//! What the person has to know of the disk and of what lies there: told on every screen, in the tray and in
//! `GET /api/desk`, until it is over or was read.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use deskgrid_store::Store;
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

/// The notices that the person has read and that no later start tells again by itself.
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
    if code == REBUILT {
        site.store().forget_rebuilt().await?;
        site.news().shell_changed();
    } else if IS_OVER_WHEN_READ.contains(&code.as_str()) {
        site.read_notices().lock().insert(code);
        site.news().shell_changed();
    }
    Ok(Json(json!({})))
}

/// Told until it was read, also after further starts.
const REBUILT: &str = "records-rebuilt";

/// What stays as it is and need not be told again.
const IS_OVER_WHEN_READ: [&str; 2] = [REBUILT, "files-damaged"];

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
    let damaged = store.check_records().err().map(|error| {
        let words = format!("No job is taken in at the moment, and none ends: {error}.");
        ("records-damaged", words)
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
    let rebuilt = store.rebuilt().map(|rebuilt| (REBUILT, rebuilt.to_string()));
    rebuilt.into_iter().chain(damaged).chain(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_store_has_nothing_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of_store(&Store::open(dir.path()).unwrap()).count(), 0);
    }
}
