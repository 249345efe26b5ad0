//! Databases of every released form, and damaged ones, as a person's data folder has them.

use std::fs;
use std::path::{Path, PathBuf};

use deskgrid_job::{BlobHash, BlobKey, FailureCode, JobId, Phase, Reason, Time};
use rusqlite::Connection;

use super::schema::STEPS;
use crate::{Change, Store, StoreError};

/// One of each form, with rows in every table. A new step needs one more.
const FIXTURES: [&str; STEPS.len()] = [
    include_str!("../../fixtures/form-1.sql"),
    include_str!("../../fixtures/form-2.sql"),
    include_str!("../../fixtures/form-3.sql"),
    include_str!("../../fixtures/form-4.sql"),
    include_str!("../../fixtures/form-5.sql"),
];

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn of(fixture: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let case = Self { dir };
        Connection::open(case.database()).unwrap().execute_batch(fixture).unwrap();
        case
    }

    fn newest() -> Self {
        Self::of(FIXTURES[STEPS.len() - 1])
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("deskgrid.sqlite3")
    }

    fn open(&self) -> Store {
        Store::open(self.dir.path()).unwrap()
    }

    /// Opens and closes it, which writes second copies of all records.
    async fn with_copies(self) -> Self {
        // The copies come before the first commit.
        self.open().shared.database.commit(Vec::new()).await.unwrap();
        self
    }

    /// What is on the disk at this moment, as a killed program leaves it.
    fn killed(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir }
    }

    /// The second copy of the record of a job.
    fn copy_of(&self, job: &str) -> PathBuf {
        let end = format!("-{job}.json");
        let folder = self.dir.path().join("records");
        crate::holdings::files_below(&folder)
            .find(|file| file.path().to_string_lossy().ends_with(&end))
            .unwrap()
            .path()
    }

    fn damaged(&self) -> Vec<PathBuf> {
        let listed = fs::read_dir(self.dir.path().join("damaged"));
        listed.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

async fn has_all(store: &Store, form: usize) {
    let jobs = store.jobs_in_memory(Time(0)).await.unwrap();
    let names: Vec<_> = jobs.iter().map(|job| (job.id.as_str(), job.phase)).collect();
    let finished = Phase::Finished;
    let expected = [
        ("done", finished(Reason::Success)),
        ("failed", finished(Reason::Error)),
        ("waiting", Phase::Queued),
        ("running", Phase::Running),
    ];
    assert_eq!(names, expected, "form {form}");
    assert_eq!(jobs[0].holds.len() + jobs[2].holds.len(), 2);
    assert!(store.definition(&id("waiting")).await.unwrap().unwrap().contains("sleep 1"));
    let done = store.result(&id("done")).await.unwrap().unwrap();
    assert_eq!((done.exit_code, done.outputs.len()), (Some(0), 1));
    let failed = store.result(&id("failed")).await.unwrap().unwrap();
    assert_eq!(failed.failure.unwrap().code, FailureCode::DiskFailed);
    assert_eq!(store.inputs(&id("done")).await.unwrap(), [("in/a".to_owned(), BlobHash([0xcd; 32]))]);
    let synopsis = store.synopses(vec![id("done")]).await.unwrap().remove(0);
    assert_eq!((synopsis.exit_code, synopsis.output_bytes), (Some(0), 5));
    if form >= 2 {
        assert_eq!(store.course(&id("done")).await.unwrap().unwrap().stages.len(), 1);
        assert_eq!(synopsis.image.as_deref(), Some("alpine"));
        let records = store.cache_records().await.unwrap();
        assert!(records.pinned.contains(&("result".into(), "done".into())));
    }
}

async fn has_what_no_job_has(store: &Store, form: usize) {
    let name = BlobKey::new("data.csv").unwrap();
    assert_eq!(store.blobs().resolve(&name).await.unwrap(), Some(BlobHash([0xef; 32])));
    let calls = store.pending_calls().await.unwrap();
    assert_eq!((calls.len(), calls[0].id), (1, 7));
    if form >= 2 {
        let images = store.cache_records().await.unwrap().images;
        let known: Vec<_> =
            images.iter().map(|image| (&*image.name, &*image.engine, image.id.as_deref())).collect();
        // Before, it was not asked what image that is, nor in which engine.
        let (engine, id) = if form >= 4 { ("engine-1", Some("sha256:12")) } else { ("", None) };
        assert_eq!(known, [("alpine", engine, id)], "form {form}");
    }
}

#[tokio::test]
async fn a_database_of_every_released_form_opens_with_all_that_it_had() {
    for (number, fixture) in FIXTURES.iter().enumerate() {
        let case = Case::of(fixture);
        for _ in 0..2 {
            let store = case.open();
            assert_eq!(store.rebuilt(), None);
            has_all(&store, number + 1).await;
            has_what_no_job_has(&store, number + 1).await;
        }
    }
}

#[test]
fn the_fixtures_have_the_tables_that_the_released_steps_make() {
    let tables = |sql: &str| {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY 1").unwrap();
        let found: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        found
    };
    for (number, fixture) in FIXTURES.iter().enumerate() {
        let steps: String = STEPS[..=number].iter().map(|(_, step)| *step).collect();
        assert_eq!(tables(fixture), tables(&steps), "form {}", number + 1);
    }
}

/// A way in which a file comes to harm.
type Harm = (&'static str, fn(&Path));

fn harms() -> Vec<Harm> {
    fn flip(path: &Path, range: impl Fn(usize) -> std::ops::Range<usize>) {
        let mut bytes = fs::read(path).unwrap();
        let range = range(bytes.len());
        bytes[range].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(path, bytes).unwrap();
    }
    vec![
        ("garbage at the beginning", |path| flip(path, |_| 0..100)),
        ("a first page of garbage", |path| flip(path, |_| 0..4096)),
        ("flipped pages in the middle", |path| flip(path, |length| 4096..length)),
        ("the second half cut off", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 8192 * 4096 + 17).unwrap();
        }),
        ("ten bytes left", |path| fs::write(path, "0123456789").unwrap()),
        ("a text in its place", |path| fs::write(path, "text ".repeat(10_000)).unwrap()),
    ]
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_and_rebuilt_with_every_job() {
    for (name, harm) in harms() {
        let case = Case::newest().with_copies().await;
        harm(&case.database());
        let harmed = fs::read(case.database()).unwrap();
        let store = case.open();
        let rebuilt = store.rebuilt().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(rebuilt.jobs, 4, "{name}");
        has_all(&store, STEPS.len()).await;
        assert_eq!(fs::read(&rebuilt.aside).unwrap(), harmed, "{name}: it is kept as it was");
        drop(store);
        let store = case.open();
        assert!(!store.rebuilt().unwrap().is_fresh, "{name}: once is enough");
        has_all(&store, STEPS.len()).await;
    }
}

#[tokio::test]
async fn copies_of_older_forms_are_brought_to_the_present_one() {
    for (number, fixture) in FIXTURES.iter().enumerate() {
        let form = number + 1;
        let case = Case::newest().with_copies().await;
        // The copies as the program of that form would have written them.
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(fixture).unwrap();
        let folder = crate::folder::Folder::create(case.dir.path()).unwrap();
        let tables = super::record_file::JobTables::of(&old).unwrap();
        for job in ["done", "failed", "waiting", "running"] {
            tables.read(&old, job, 0).unwrap().write(&folder).unwrap();
        }
        fs::write(case.database(), "garbage").unwrap();
        has_all(&case.open(), form).await;
    }
}

/// Damages a page that none of the tables needs to be read but one, that of names.
async fn damage_names(case: &Case) {
    let store = case.open();
    let many =
        (0..400).map(|number| Change::Name { name: format!("name-{number:04}"), hash: BlobHash([9; 32]) });
    store.commit(many.collect()).await.unwrap();
    drop(store);
    let connection = Connection::open(case.database()).unwrap();
    let root: u32 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'blob_name'", [], |row| row.get(0))
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(case.database()).unwrap();
    bytes[(root as usize - 1) * 4096..root as usize * 4096].fill(0xff);
    fs::write(case.database(), bytes).unwrap();
}

#[tokio::test]
async fn without_copies_the_rows_that_still_read_are_saved() {
    let case = Case::newest();
    damage_names(&case).await;
    fs::remove_dir_all(case.dir.path().join("records")).unwrap();
    let store = case.open();
    assert_eq!(store.rebuilt().unwrap().jobs, 4);
    has_all(&store, STEPS.len()).await;
    assert_eq!(store.pending_calls().await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_a_job_whose_copy_is_of_no_use_the_rows_count_and_the_copy_is_kept_aside() {
    for (sound, useless) in [
        ("\"form\":5", "\"form\":5000"),
        ("\"queued_at\"", "\"no such column\""),
        ("\"phase\":\"Success\"", "\"phase\":\"no such phase\""),
    ] {
        let case = Case::newest().with_copies().await;
        damage_names(&case).await;
        let copy = case.copy_of("done");
        let text = fs::read_to_string(&copy).unwrap();
        assert!(text.contains(sound), "{text}");
        fs::write(&copy, text.replace(sound, useless)).unwrap();
        let store = case.open();
        assert_eq!(store.rebuilt().unwrap().jobs, 4, "{useless}");
        has_all(&store, STEPS.len()).await;
        let aside = case.dir.path().join("damaged").join(copy.file_name().unwrap());
        assert!(fs::read_to_string(aside).unwrap().contains(useless));
    }
}

#[tokio::test]
async fn an_erased_job_does_not_come_back() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    store.commit(vec![Change::Erase(id("done"))]).await.unwrap();
    drop(store);
    fs::write(case.database(), "garbage").unwrap();
    let store = case.open();
    assert_eq!(store.rebuilt().unwrap().jobs, 3);
    assert_eq!(store.job(&id("done")).await.unwrap(), None);
}

#[tokio::test]
async fn an_erased_job_whose_copy_a_kill_left_does_not_come_back_where_the_log_stays() {
    let case = Case::newest().with_copies().await;
    let (copy, store) = (case.copy_of("done"), case.open());
    let before = fs::read(&copy).unwrap();
    store.commit(vec![Change::Erase(id("done"))]).await.unwrap();
    let killed = case.killed();
    let place = killed.dir.path().join(copy.strip_prefix(case.dir.path()).unwrap());
    fs::write(&place, before).unwrap();
    // As long as somebody reads, the log of the database stays.
    let reader = Connection::open(killed.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM job;").unwrap();
    let store = killed.open();
    assert_eq!(record_of(&place)["tables"], serde_json::json!({}));
    drop(reader);
    drop(store);
    assert!(!place.exists());
}

fn record_of(copy: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(copy).unwrap()).unwrap()
}

#[tokio::test]
async fn copies_of_what_was_erased_do_not_pile_up() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let call = store.pending_calls().await.unwrap().remove(0);
    let copies = || crate::holdings::files_below(&case.dir.path().join("records")).count();
    let before = copies();
    for id in 100..150 {
        store.commit(vec![Change::Call(crate::PendingCall { id, ..call.clone() })]).await.unwrap();
        store.commit(vec![Change::Called(id)]).await.unwrap();
    }
    assert!(copies() < before + 10, "{} more", copies() - before);
    overwrite(&case.database());
    drop(store);
    let store = case.open();
    assert_eq!(store.pending_calls().await.unwrap().len(), 1);
}

/// A job that waits, with all that a submission writes.
async fn submit(store: &Store, name: &str) {
    let mut job = store.job(&id("waiting")).await.unwrap().unwrap();
    job.id = id(name);
    let text = store.definition(&id("waiting")).await.unwrap().unwrap();
    store.commit(vec![Change::Define { id: id(name), text }, Change::Save(job)]).await.unwrap();
}

#[tokio::test]
async fn what_a_commit_has_answered_is_in_the_copies() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    submit(&store, "new").await;
    store.commit(vec![Change::Erase(id("done"))]).await.unwrap();
    store
        .commit(vec![Change::Pin { kind: "result".into(), id: "failed".into(), is_on: true }])
        .await
        .unwrap();
    let killed = case.killed();
    fs::write(killed.database(), "garbage").unwrap();
    let store = killed.open();
    assert!(store.job(&id("done")).await.unwrap().is_none());
    assert!(store.definition(&id("new")).await.unwrap().is_some());
    assert!(store.cache_records().await.unwrap().pinned.contains(&("result".into(), "failed".into())));
}

#[tokio::test]
async fn copies_that_a_kill_left_behind_are_mended_at_the_next_start() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let before = case.killed();
    submit(&store, "new").await;
    store.commit(vec![Change::Erase(id("done")), Change::Forget(id("failed"))]).await.unwrap();
    let after = case.killed();
    // Killed between the commits and their copies.
    fs::remove_dir_all(after.dir.path().join("records")).unwrap();
    copy(&before.dir.path().join("records"), &after.dir.path().join("records"));
    drop(after.open());
    fs::write(after.database(), "garbage").unwrap();
    let store = after.open();
    assert!(store.job(&id("done")).await.unwrap().is_none());
    assert!(store.result(&id("failed")).await.unwrap().is_none());
    assert!(store.definition(&id("new")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_database_that_lost_its_latest_commits_is_rebuilt_and_nothing_erased_comes_back() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let hash = BlobHash([7; 32]);
    store.commit(vec![Change::Name { name: "first".into(), hash }]).await.unwrap();
    let log = case.dir.path().join("deskgrid.sqlite3-wal");
    let sound = fs::metadata(&log).unwrap().len();
    submit(&store, "new").await;
    store.commit(vec![Change::Erase(id("done"))]).await.unwrap();
    let killed = case.killed();
    let log = killed.dir.path().join("deskgrid.sqlite3-wal");
    let mut bytes = fs::read(&log).unwrap();
    // A byte in the first frame of the submission: the database program takes what comes before it.
    let at = usize::try_from(sound).unwrap() + 100;
    bytes[at] ^= 1;
    fs::write(&log, bytes).unwrap();
    let store = killed.open();
    assert!(store.rebuilt().unwrap().why.contains("changes are missing"));
    assert!(store.definition(&id("new")).await.unwrap().is_some());
    assert!(store.job(&id("done")).await.unwrap().is_none());
    let name = BlobKey::new("first").unwrap();
    assert_eq!(store.blobs().resolve(&name).await.unwrap(), Some(hash), "what reads is saved");
}

#[tokio::test]
async fn a_database_that_is_gone_is_made_anew_from_the_copies() {
    for harm in [|path: &Path| fs::remove_file(path).unwrap(), |path: &Path| fs::write(path, "").unwrap()] {
        let case = Case::newest().with_copies().await;
        harm(&case.database());
        let store = case.open();
        assert_eq!(store.rebuilt().unwrap().jobs, 4);
        has_all(&store, STEPS.len()).await;
    }
}

#[tokio::test]
async fn what_lies_beside_a_damaged_database_is_not_taken_for_a_part_of_the_new_one() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    submit(&store, "new").await;
    let killed = case.killed();
    // Killed when the new one was complete and the first part of the damaged one moved.
    let fresh = killed.dir.path().join("deskgrid.rebuilt.sqlite3");
    let new = Case::newest();
    fs::rename(new.database(), &fresh).unwrap();
    fs::remove_file(killed.database()).unwrap();
    fs::remove_dir_all(killed.dir.path().join("records")).unwrap();
    has_all(&killed.open(), STEPS.len()).await;
    assert!(killed.damaged().iter().any(|path| path.to_string_lossy().ends_with(".sqlite3-wal")));
}

#[tokio::test]
async fn a_rebuilding_that_a_crash_broke_off_is_ended_or_begun_anew() {
    // The new one was complete, and the old one moved already.
    let case = Case::newest().with_copies().await;
    fs::rename(case.database(), case.dir.path().join("deskgrid.rebuilt.sqlite3")).unwrap();
    has_all(&case.open(), STEPS.len()).await;
    // The new one was not complete.
    fs::write(case.database(), "garbage").unwrap();
    fs::write(case.dir.path().join("deskgrid.rebuilt.sqlite3"), "half").unwrap();
    has_all(&case.open(), STEPS.len()).await;
    assert!(!case.dir.path().join("deskgrid.rebuilt.sqlite3").exists());
}

#[tokio::test]
async fn a_half_filled_database_is_never_taken_for_a_rebuilt_one() {
    let case = Case::newest().with_copies().await;
    // The damaged one was gone before, and the copies are those of a program that did not count its commits.
    for copy in crate::holdings::files_below(&case.dir.path().join("records")) {
        let text = fs::read_to_string(copy.path()).unwrap();
        let (before, after) = text.split_once("\"commit\":").unwrap();
        let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
        fs::write(copy.path(), format!("{before}\"commit\":0{after}")).unwrap();
    }
    fs::remove_file(case.database()).unwrap();
    let half = Connection::open(case.dir.path().join("deskgrid.rebuilding.sqlite3")).unwrap();
    for (_, step) in STEPS {
        half.execute_batch(step).unwrap();
    }
    half.pragma_update(None, "user_version", STEPS.last().unwrap().0).unwrap();
    drop(half);
    let store = case.open();
    assert_eq!(store.rebuilt().unwrap().jobs, 4);
    has_all(&store, STEPS.len()).await;
    assert!(!case.dir.path().join("deskgrid.rebuilding.sqlite3").exists());
}

/// Changes rows behind the program's back, as a bit does that flips inside a value, and dies.
fn flip(case: &Case, sql: &str) {
    Connection::open(case.database()).unwrap().execute_batch(sql).unwrap();
    fs::remove_file(case.dir.path().join("records/all-in-step")).unwrap();
}

#[tokio::test]
async fn rows_that_are_not_those_any_more_that_were_written_get_back_what_their_copy_says() {
    for sql in [
        "UPDATE definition SET text = replace(text, 'sleep 1', 'slees 1') WHERE job = 'waiting'",
        "UPDATE job SET id = 'waitinf' WHERE id = 'waiting'",
        "UPDATE job SET phase = 'Qqeued' WHERE id = 'waiting'",
        "DELETE FROM hold WHERE job = 'waiting'",
        "UPDATE result SET json = replace(json, '\"exit_code\":0', '\"exit_code\":8') WHERE job = 'done'",
    ] {
        let case = Case::newest().with_copies().await;
        flip(&case, sql);
        let store = case.open();
        let jobs = store.jobs_in_memory(Time(0)).await.unwrap();
        assert!(jobs.iter().any(|job| job.id == id("waiting") && job.phase == Phase::Queued), "{sql}");
        let waiting = jobs.iter().find(|job| job.id == id("waiting")).unwrap();
        assert_eq!(waiting.holds.len(), 1, "{sql}");
        assert!(store.definition(&id("waiting")).await.unwrap().unwrap().contains("sleep 1"), "{sql}");
        assert_eq!(store.result(&id("done")).await.unwrap().unwrap().exit_code, Some(0), "{sql}");
        if !sql.contains("waitinf") {
            assert!(store.verify(std::sync::Arc::default()).await.unwrap().records.is_empty(), "{sql}");
        }
    }
}

#[tokio::test]
async fn of_damaged_rows_and_a_copy_that_trails_the_rows_count() {
    let case = Case::newest().with_copies().await;
    let (copy, store) = (case.copy_of("waiting"), case.open());
    let before = fs::read(&copy).unwrap();
    store.commit(vec![Change::Define { id: id("waiting"), text: "{\"later\": 1}".into() }]).await.unwrap();
    drop(store);
    // Killed before the copy of it was written.
    fs::write(&copy, before).unwrap();
    flip(&case, "UPDATE hold SET caller = 'nobody' WHERE job = 'waiting'");
    let store = case.open();
    assert!(store.definition(&id("waiting")).await.unwrap().unwrap().contains("later"));
    assert!(store.verify(std::sync::Arc::default()).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn rows_that_are_as_they_were_written_count_more_than_a_damaged_copy() {
    let case = Case::newest().with_copies().await;
    damage_names(&case).await;
    let copy = case.copy_of("waiting");
    fs::write(&copy, fs::read_to_string(&copy).unwrap().replace("sleep 1", "sleep 3")).unwrap();
    let store = case.open();
    assert_eq!(store.rebuilt().unwrap().jobs, 4);
    assert!(store.definition(&id("waiting")).await.unwrap().unwrap().contains("sleep 1"));
    assert!(case.damaged().iter().any(|path| path.file_name() == copy.file_name()));
}

#[tokio::test]
async fn of_rows_and_a_copy_that_are_both_damaged_the_rows_count() {
    let case = Case::newest().with_copies().await;
    let copy = case.copy_of("waiting");
    fs::write(&copy, fs::read_to_string(&copy).unwrap().replace("sleep 1", "sleep 3")).unwrap();
    flip(&case, "UPDATE definition SET text = replace(text, 'sleep 1', 'sleep 2') WHERE job = 'waiting'");
    let store = case.open();
    assert!(store.definition(&id("waiting")).await.unwrap().unwrap().contains("sleep 2"));
    assert!(store.verify(std::sync::Arc::default()).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn names_webhooks_and_marks_to_keep_come_back_and_those_that_went_do_not() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let (kept, gone) = (BlobHash([5; 32]), BlobHash([6; 32]));
    let pin = |kind: &str, id: &str, is_on| Change::Pin { kind: kind.into(), id: id.into(), is_on };
    let call = store.pending_calls().await.unwrap().remove(0);
    let named = |name: &str, hash| Change::Name { name: name.into(), hash };
    store.commit(vec![named("kept.csv", kept), named("gone.csv", gone)]).await.unwrap();
    store.commit(vec![pin("image", "alpine", true), pin("blob", "x", true)]).await.unwrap();
    store.commit(vec![Change::Call(crate::PendingCall { id: 8, ..call })]).await.unwrap();
    store.commit(vec![Change::Unname(gone), Change::Called(7), pin("blob", "x", false)]).await.unwrap();
    let killed = case.killed();
    overwrite(&killed.database());
    fs::remove_file(killed.dir.path().join("deskgrid.sqlite3-wal")).unwrap();
    let store = killed.open();
    assert_eq!(store.rebuilt().unwrap().jobs, 4);
    let resolve = async |name: &str| store.blobs().resolve(&BlobKey::new(name).unwrap()).await.unwrap();
    assert_eq!((resolve("kept.csv").await, resolve("gone.csv").await), (Some(kept), None));
    assert_eq!(resolve("data.csv").await, Some(BlobHash([0xef; 32])));
    let calls = store.pending_calls().await.unwrap();
    assert_eq!(calls.iter().map(|call| call.id).collect::<Vec<_>>(), [8]);
    let pinned = store.cache_records().await.unwrap().pinned;
    assert!(
        pinned.contains(&("image".into(), "alpine".into())) && !pinned.contains(&("blob".into(), "x".into()))
    );
    assert!(store.verify(std::sync::Arc::default()).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_copy_that_does_not_read_back_is_passed_over() {
    let case = Case::newest().with_copies().await;
    fs::write(case.copy_of("done"), "{\"form\":3,").unwrap();
    fs::write(case.database(), "garbage").unwrap();
    assert_eq!(case.open().rebuilt().unwrap().jobs, 3);
}

/// Overwrites all of the database but its header, under those who have it open.
fn overwrite(database: &Path) {
    let mut bytes = fs::read(database).unwrap();
    bytes[100..].fill(0xff);
    fs::write(database, bytes).unwrap();
}

#[tokio::test]
async fn damage_that_a_reader_meets_is_mended_at_once_and_told_until_it_was_read() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    overwrite(&case.database());
    // A connection of its own that has nothing in memory yet.
    assert!(store.definition(&id("done")).await.unwrap().is_some());
    store.check_records().unwrap();
    assert_eq!((store.rebuilt().unwrap().jobs, store.rebuilds()), (4, 1));
    has_all(&store, STEPS.len()).await;
    store.commit(vec![Change::Erase(id("done"))]).await.unwrap();
    drop(store);
    let store = case.open();
    assert!(store.job(&id("done")).await.unwrap().is_none());
    assert_eq!((store.rebuilt().unwrap().jobs, store.rebuilds()), (4, 0));
    store.forget_rebuilt().await.unwrap();
    drop(store);
    assert_eq!(case.open().rebuilt(), None);
    let databases =
        case.damaged().iter().filter(|path| path.extension().is_some_and(|end| end == "sqlite3")).count();
    assert_eq!(databases, 1);
}

#[tokio::test]
async fn damage_that_cannot_be_mended_is_known_and_is_mended_when_it_can() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    // Nothing can be set aside.
    let obstacle = case.dir.path().join("damaged");
    fs::write(&obstacle, "").unwrap();
    overwrite(&case.database());
    store.definition(&id("done")).await.unwrap_err();
    assert_eq!(store.check_records().unwrap_err().code(), "records-damaged");
    store.mend_records().await.unwrap_err();
    fs::remove_file(obstacle).unwrap();
    store.mend_records().await.unwrap();
    store.check_records().unwrap();
    has_all(&store, STEPS.len()).await;
}

#[tokio::test]
async fn verifying_finds_a_bit_that_flipped_inside_a_value() {
    let case = Case::newest().with_copies().await;
    let mut bytes = fs::read(case.database()).unwrap();
    let text = b"\"command\":\"sleep 1\"";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at + 12] ^= 1;
    fs::write(case.database(), bytes).unwrap();
    let store = case.open();
    let findings = store.verify(std::sync::Arc::default()).await.unwrap();
    assert!(findings.records[0].contains("job waiting"), "{findings:?}");
    assert_eq!((findings.records.len(), findings.rebuilt), (1, None));
}

#[tokio::test]
async fn verifying_finds_no_fault_with_whatever_is_noted_of_a_job_by_itself() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let course = store.course(&id("done")).await.unwrap().unwrap().into();
    let files = [(deskgrid_job::FilePath::new("in/b").unwrap(), BlobHash([3; 32]))].into();
    for change in [
        Change::Describe { id: id("waiting"), image: Some("debian".into()), command: None },
        Change::Course { id: id("failed"), course },
        Change::Inputs { id: id("running"), files },
        Change::JobImage { id: id("failed"), image: "debian".into() },
    ] {
        let words = format!("{change:?}");
        store.commit(vec![change]).await.unwrap();
        let findings = store.verify(std::sync::Arc::default()).await.unwrap();
        assert_eq!(findings.records, [""; 0], "{words}");
    }
}

#[tokio::test]
async fn a_copy_that_could_not_be_written_is_written_with_the_next_commit() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let copy = case.copy_of("waiting");
    let before = fs::read(&copy).unwrap();
    // A folder of its name is in the way.
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    store.commit(vec![Change::Define { id: id("waiting"), text: "{}".into() }]).await.unwrap();
    let findings = store.verify(std::sync::Arc::default()).await.unwrap();
    assert_eq!(findings.records, [""; 0], "what is owed says nothing about the disk");
    fs::remove_dir(&copy).unwrap();
    store.shared.database.commit(Vec::new()).await.unwrap();
    assert_ne!(fs::read(&copy).unwrap(), before);
    drop(store);
    assert!(case.dir.path().join("records/all-in-step").exists());
}

#[tokio::test]
async fn verifying_compares_every_record_however_many_there_are() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    let job = store.job(&id("waiting")).await.unwrap().unwrap();
    let named =
        |number| Change::Save(deskgrid_job::Job { id: id(&format!("job-{number:03}")), ..job.clone() });
    store.commit((0..250).map(named).collect()).await.unwrap();
    for job in ["job-000", "job-249", "waiting"] {
        fs::remove_file(case.copy_of(job)).unwrap();
    }
    let findings = store.verify(std::sync::Arc::default()).await.unwrap();
    assert_eq!(findings.records.len(), 3, "{findings:?}");
}

#[tokio::test]
async fn verifying_mends_damaged_records_and_tells() {
    let case = Case::newest().with_copies().await;
    let store = case.open();
    overwrite(&case.database());
    let findings = store.verify(std::sync::Arc::default()).await.unwrap();
    assert!(!findings.records.is_empty() && !findings.is_sound());
    assert_eq!(findings.rebuilt.unwrap().jobs, 4);
    has_all(&store, STEPS.len()).await;
}

#[test]
fn a_newer_database_whose_form_is_in_the_log_only_is_left_as_it_is() {
    let case = Case::newest();
    let newer = Connection::open(case.database()).unwrap();
    newer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 99;").unwrap();
    let copy = tempfile::tempdir().unwrap();
    for part in ["deskgrid.sqlite3", "deskgrid.sqlite3-wal"] {
        fs::copy(case.dir.path().join(part), copy.path().join(part)).unwrap();
    }
    let read =
        || ["deskgrid.sqlite3", "deskgrid.sqlite3-wal"].map(|part| fs::read(copy.path().join(part)).unwrap());
    let before = read();
    let error = Store::open(copy.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert_eq!(read(), before);
}
