//! What the person has to know of the disk and of what lies there: told on every screen, in the tray and in
//! `GET /api/desk`, until it is over or was read.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use deskgrid_job::queue::Lack;
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

/// What the person has read and no later start tells again by itself.
#[derive(Default)]
pub(crate) struct Read {
    /// How many damaged files were known of when that was read: one more is news again.
    damaged: AtomicU64,
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
    } else if code == DAMAGED {
        site.read_notices().damaged.store(site.store().damaged_files(), Ordering::Relaxed);
        site.news().shell_changed();
    }
    Ok(Json(json!({})))
}

/// Told until it was read, also after further starts.
const REBUILT: &str = "records-rebuilt";

/// Told until it was read, and again when more is found.
const DAMAGED: &str = "files-damaged";

/// What stays as it is and need not be told again.
const IS_OVER_WHEN_READ: [&str; 2] = [REBUILT, DAMAGED];

/// The notices of this moment.
pub(super) fn notices(site: &Site) -> Vec<Value> {
    let situation = site.worker().situation().borrow().clone();
    let disk = situation.lack.and_then(disk_low).into_iter();
    let unwritten = situation.unwritten.as_deref().map(unwritten);
    let all = disk.chain(unwritten).chain(of_store(site.store(), site.read_notices()));
    all.map(
        |(code, words)| json!({ "code": code, "words": words, "canBeDismissed": IS_OVER_WHEN_READ.contains(&code) }),
    )
    .collect()
}

type Notice = (&'static str, String);

fn disk_low(lack: Lack) -> Option<Notice> {
    // Of the other it is told as soon as it is known.
    let Lack::Room { folder, free, reserve } = lack else { return None };
    let words = format!(
        "The disk of {folder} is nearly full: {} MB are free, and {} MB have to stay free. Uploads are refused and \
         jobs wait until there is room. Delete what you no longer need.",
        free / 1_000_000,
        reserve / 1_000_000
    );
    Some(("disk-low", words))
}

/// Where the records are damaged, `of_store` has it too.
fn unwritten(why: &str) -> Notice {
    let words =
        format!("No job is taken in at the moment, and none ends: {why}. It is tried again every second.");
    ("records-unwritten", words)
}

fn of_store(store: &Store, read: &Read) -> impl Iterator<Item = Notice> {
    let read_only = store.is_known_read_only().then(|| {
        let words = format!(
            "The disk of {} may only be read at the moment, which systems do to a disk that fails. Jobs wait, and those \
             that run go on when files can be written again.",
            store.place().display()
        );
        ("disk-read-only", words)
    });
    let damaged = store.check_records().err().map(|error| {
        let words = format!("No job is taken in at the moment, and none ends: {error}.");
        ("records-damaged", words)
    });
    let files = store.damaged_files();
    let files = (files > read.damaged.load(Ordering::Relaxed)).then(|| {
        let words = format!(
            "{files} stored {} found damaged and set aside. Jobs that need one say so. The disk may be failing: look \
             after your backups, and run `deskgrid verify` to check all files.",
            if files == 1 { "file was" } else { "files were" }
        );
        (DAMAGED, words)
    });
    let rebuilt = store.rebuilt().map(|rebuilt| (REBUILT, rebuilt.to_string()));
    rebuilt.into_iter().chain(read_only).chain(damaged).chain(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_store_has_nothing_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(of_store(&store, &Read::default()).count(), 0);
        store.note_read_only();
        assert_eq!(
            of_store(&store, &Read::default()).map(|(code, _)| code).collect::<Vec<_>>(),
            ["disk-read-only"]
        );
    }
}
