//! The window itself: the flows of a person who has just installed Deskgrid, through the real web view.

use std::path::Path;

use deskgrid_tests::desktop::Desktop;
use deskgrid_tests::session::Session;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::window::Window;
use deskgrid_tests::{BUSYBOX, Door, PrivateEngine, eventually, quoted, unique};
use serde_json::{Value, json};

async fn opened() -> (Session, Desktop, Door, Window) {
    opened_with(&["--hidden"]).await
}

async fn opened_with(args: &[&str]) -> (Session, Desktop, Door, Window) {
    opened_in(Session::start(), args).await
}

async fn opened_in(session: Session, args: &[&str]) -> (Session, Desktop, Door, Window) {
    let app = Desktop::start_with(&session, args);
    let door = app.door().await;
    let window = Window::open(&session, &app.data()).await;
    (session, app, door, window)
}

/// Waits until a file holds this.
async fn is_written(file: &Path, text: &str) {
    let what = format!("{} is written", file.display());
    eventually(&what, async || std::fs::read_to_string(file).is_ok_and(|written| written.contains(text)))
        .await;
}

async fn submit(door: &Door, script: &str) -> String {
    let command = format!("/bin/sh -c {}", quoted(&format!("{script}; : {}", unique())));
    let definition = json!({"image": BUSYBOX, "command": command});
    let answer = door.post("/q/local", &json!({"definition": definition})).await;
    answer["jobId"].as_str().unwrap().to_owned()
}

async fn ends(door: &Door, id: &str) -> Value {
    let path = format!("/api/jobs/{id}");
    eventually("the job ends", async || door.get(&path).await["phase"] == json!("finished")).await;
    door.get(&path).await
}

#[tokio::test]
async fn the_first_job_takes_one_click_and_shows_its_plot() {
    let engine = PrivateEngine::with_busybox().await;
    let tag = format!("/images/{BUSYBOX}/tag?repo=busybox&tag=stable");
    assert_eq!(engine.client().post(&tag, &Value::Null).await.0, 201);
    let (_session, _app, _door, mut window) =
        opened_with(&["--hidden", "--docker-host", &engine.host()]).await;
    window.goes_to("start").await;
    window.clicks("sample-run").await;
    window.until("location.hash.startsWith('#/job/')").await;
    window.until("[...document.images].some(i => i.src.startsWith('blob:') && i.naturalWidth > 100)").await;
}

#[tokio::test]
async fn the_first_start_shows_how_to_get_going() {
    let (session, folder) = (Session::start(), tempfile::tempdir().unwrap());
    let mut window = Window::of_app(&session, folder.path(), &[]).await;
    window.until("location.hash === '#/start'").await;
    window.sees("sample-run").await;
}

#[tokio::test]
async fn a_window_is_as_dark_as_its_desktop() {
    let background = "getComputedStyle(document.body).backgroundColor";
    let mut seen = Vec::new();
    for (session, is_dark) in [(Session::start(), false), (Session::start().in_the_dark(), true)] {
        let (_session, _app, _door, mut window) = opened_in(session, &["--hidden"]).await;
        window.until(&format!("matchMedia('(prefers-color-scheme: dark)').matches === {is_dark}")).await;
        seen.push(window.value(background).await);
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_link_shows_its_job_in_a_new_window_and_in_the_open_one() {
    let session = Session::start();
    let mut app = Desktop::start(&session);
    let door = app.door().await;
    let (first, second) = (submit(&door, "echo one").await, submit(&door, "echo two").await);
    ends(&door, &first).await;
    ends(&door, &second).await;
    door.post("/api/desk/quit", &json!({"running": "keep"})).await;
    app.ended().await;
    let link = |id: &str| format!("deskgrid://job/{id}");
    let mut window = Window::of_app(&session, app.folder(), &[&link(&first)]).await;
    window.until(&format!("location.hash === '#/job/{first}'")).await;
    window.reads("one").await;
    assert_eq!(app.start_second(&session, &[&link(&second)]).await.0, Some(0));
    window.until(&format!("location.hash === '#/job/{second}'")).await;
    window.reads("two").await;
}

#[tokio::test]
async fn a_log_is_shown_live_and_its_job_cancelled() {
    let (_session, app, door, mut window) = opened().await;
    let id = submit(&door, "echo first; sleep 1000").await;
    window.sees("job-row").await;
    window.goes_to(&format!("job/{id}")).await;
    window.reads("first").await;
    window.clicks("job-cancel").await;
    window.reads("Cancelled").await;
    assert_eq!(ends(&door, &id).await["reason"], json!("Cancelled"));
    eventually("its container is gone", async || app.containers().await.is_empty()).await;
}

#[tokio::test]
async fn what_is_deleted_from_the_cache_comes_back_when_it_is_undone() {
    let (_session, _app, door, mut window) = opened().await;
    let id = submit(&door, "head -c 100000 /dev/urandom > /outputs/noise").await;
    ends(&door, &id).await;
    window.goes_to("cache").await;
    window.sees("cache-row").await;
    let count = async || door.get("/api/cache").await["items"].as_array().map_or(0, Vec::len);
    let before = count().await;
    window.clicks("cache-delete").await;
    eventually("it is hidden", async || count().await < before).await;
    window.clicks("toast-action").await;
    eventually("it is back", async || count().await == before).await;
}

#[tokio::test]
async fn what_is_deleted_from_the_cache_is_gone_for_good_when_nobody_undoes_it() {
    let (_session, _app, door, mut window) = opened().await;
    let id = submit(&door, "head -c 100123 /dev/urandom > /outputs/noise").await;
    ends(&door, &id).await;
    window.goes_to("cache").await;
    window.clicks("cache-delete").await;
    let job = format!("/api/jobs/{id}");
    eventually("the job is gone", async || door.ask("GET", &job, &Value::Null).await.0 == 404).await;
    let is_left = |item: &Value| item["bytes"] == json!(100_123);
    eventually("no file of it is left", async || {
        !door.get("/api/cache").await["items"].as_array().unwrap().iter().any(is_left)
    })
    .await;
}

#[tokio::test]
async fn files_and_logs_are_saved_where_the_person_says() {
    let session = Session::start().with_window_manager();
    let (session, _app, door, mut window) = opened_in(session, &["--hidden"]).await;
    let script = "echo said; mkdir /outputs/b; echo one > /outputs/a.txt; echo two > /outputs/b/c.txt";
    let id = submit(&door, script).await;
    ends(&door, &id).await;
    let home = session.home();
    window.goes_to(&format!("job/{id}")).await;
    window.clicks("job-tab-files").await;
    window.clicks("files-save-all").await;
    let folder = home.join("Downloads/Deskgrid").join(&id);
    is_written(&folder.join("a.txt"), "one").await;
    is_written(&folder.join("b/c.txt"), "two").await;
    window.clicks("file-save").await;
    session.chooses("Save File", &home.join("mine.txt")).await;
    is_written(&home.join("mine.txt"), "one").await;
    window.clicks("job-tab-log").await;
    window.reads("said").await;
    window.clicks("log-download").await;
    session.chooses("Save File", &home.join("log.txt")).await;
    is_written(&home.join("log.txt"), "said").await;
}

#[tokio::test]
async fn the_new_data_folder_is_chosen_in_a_dialog() {
    let session = Session::start().with_window_manager();
    let app = Desktop::start_with_movable_data(&session);
    app.door().await;
    let mut window = Window::open(&session, &app.data()).await;
    let chosen = session.home().join("big disk");
    std::fs::create_dir(&chosen).unwrap();
    window.goes_to("settings").await;
    window.clicks("data-move").await;
    window.clicks("data-move-choose").await;
    session.chooses("Choose a folder", &chosen).await;
    let field = "document.querySelector('[data-testid=\"data-move-to\"]').value";
    window.until(&format!("{field} === {}", json!(chosen))).await;
}

#[tokio::test]
async fn a_setting_takes_effect_at_once_and_is_taken_back() {
    let (_session, _app, door, mut window) = opened().await;
    let memory = async || door.get("/api/desk").await["capacity"]["memory"].as_u64();
    window.goes_to("settings").await;
    window.writes("input-memory", "2g").await;
    eventually("jobs may take 2 GiB", async || memory().await == Some(2 << 30)).await;
    window.clicks("toast-action").await;
    eventually("it is as before", async || memory().await != Some(2 << 30)).await;
}

#[tokio::test]
async fn a_stopped_deskgrid_is_started_from_its_window() {
    let (_session, _app, door, mut window) = opened().await;
    window.clicks("server-stop").await;
    window.sees("banner-closed").await;
    assert_eq!(door.get("/api/desk").await["doors"], json!("closed"));
    window.clicks("server-start").await;
    window.misses("banner-closed").await;
    assert_eq!(door.get("/api/desk").await["doors"], json!("open"));
}

#[tokio::test]
async fn a_window_whose_deskgrid_is_gone_says_so_and_finds_the_next_one() {
    let (session, mut app, door, mut window) = opened().await;
    door.post("/api/desk/quit", &json!({"running": "keep"})).await;
    app.ended().await;
    window.sees("banner-offline").await;
    app.start_again(&session);
    window.misses("banner-offline").await;
}

#[tokio::test]
async fn the_page_cannot_leave_and_reaches_nothing_but_its_own_commands() {
    let (_session, _app, _door, mut window) = opened().await;
    let refused = "window.__TAURI_INTERNALS__.invoke('plugin:dialog|open', {}).then(() => 'done', e => 'refused: ' + e)";
    let call = format!("window.outcome = null; {refused}.then(said => {{ window.outcome = said }}) && 0");
    window.value(&call).await;
    window.until("window.outcome !== null").await;
    let outcome = window.value("window.outcome").await;
    assert!(outcome.as_str().unwrap().starts_with("refused: "), "{outcome}");
    window.value("location.href = 'http://127.0.0.1:1/'; 0").await;
    window.sees("sidebar").await;
    assert_eq!(window.value("location.protocol").await, json!("tauri:"));
}
