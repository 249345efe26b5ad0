//! The icon, its menu and the notifications.

use deskgrid_tests::browser::Browser;
use deskgrid_tests::desktop::Desktop;
use deskgrid_tests::notifications::Notifications;
use deskgrid_tests::session::Session;
use deskgrid_tests::tray::{Shown, Tray, TrayIcon};
use deskgrid_tests::{Door, PrivateEngine, eventually, shell, unique};
use serde_json::json;

const PAGE: &str = "https://lab.example";

pub(super) async fn started() -> (Session, Tray, Desktop, TrayIcon, Door) {
    let session = Session::start();
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let icon = tray.icon().await;
    let door = app.door().await;
    (session, tray, app, icon, door)
}

pub(super) fn is_idle(shown: &Shown) -> bool {
    shown.status_line().starts_with("Running at localhost:") && shown.title == "Deskgrid"
}

pub(super) async fn address(door: &Door) -> String {
    door.get("/api/desk").await["address"].as_str().unwrap().to_owned()
}

/// Whether the port lets clients in.
async fn is_open(address: &str) -> bool {
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(format!("{address}/health"))
        .send()
        .await
        .is_ok()
}

/// Starts a job that runs until somebody ends it, and waits until it does.
pub(super) async fn endless(door: &Door) -> String {
    let definition = shell(&format!("echo {}; sleep 1000", unique()));
    let id =
        door.post("/q/local", &json!({"definition": definition})).await["jobId"].as_str().unwrap().to_owned();
    let path = format!("/api/jobs/{id}");
    eventually("the job runs", async || {
        let job = door.get(&path).await;
        assert_ne!(job["phase"], "finished", "{job}");
        job["live"]["step"] == json!("run")
    })
    .await;
    id
}

async fn ask_as(page: &str, door: &Door) -> u16 {
    let url = format!("{}/q/local", address(door).await);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).header("Origin", page).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_icon_says_where_deskgrid_listens() {
    let (_session, tray, _app, icon, door) = started().await;
    let shown = icon.until("it is idle", is_idle).await;
    let host = address(&door).await.replace("http://", "");
    assert_eq!(shown.status_line(), format!("Running at {host}"));
    assert_eq!((shown.tooltip.as_str(), shown.status.as_str()), (shown.status_line(), "Active"));
    assert!(!shown.entry(&["Running"]).unwrap().enabled);
    for entry in ["Stop", "Open window", "Open in browser", "Copy address", "Start at login", "Quit"] {
        assert!(shown.entry(&[entry]).unwrap().enabled, "{entry}");
    }
    assert_eq!(tray.count(), 1);
}

#[tokio::test]
async fn stop_and_start_close_and_open_the_port() {
    let (_session, _tray, _app, icon, door) = started().await;
    let idle = icon.until("it is idle", is_idle).await;
    let before = address(&door).await;
    assert!(is_open(&before).await);
    icon.click(&["Stop"]).await;
    let stopped = icon.until("it is stopped", |shown| shown.status_line().starts_with("Stopped")).await;
    assert!(!is_open(&before).await);
    assert_ne!(stopped.picture, idle.picture);
    assert!(!stopped.entry(&["Open in browser"]).unwrap().enabled);
    icon.click(&["Start"]).await;
    icon.until("it is idle again", is_idle).await;
    assert!(is_open(&address(&door).await).await);
}

#[tokio::test]
async fn a_running_job_is_counted_and_can_be_cancelled() {
    let (_session, _tray, app, icon, door) = started().await;
    let idle = icon.until("it is idle", is_idle).await;
    endless(&door).await;
    let busy = icon.until("it is busy", |shown| shown.entry(&["busybox", "Cancel"]).is_some()).await;
    assert_eq!(busy.title, "Deskgrid (1)");
    assert!(busy.status_line().ends_with("1 job"), "{}", busy.status_line());
    assert_ne!(busy.picture, idle.picture);
    assert!(busy.entry(&["Stop", "Let running jobs finish"]).is_some());
    assert!(busy.entry(&["Quit", "Quit and keep them running"]).is_some());
    icon.click(&["busybox", "Cancel"]).await;
    icon.until("it is idle again", is_idle).await;
    eventually("its container is gone", async || app.containers().await.is_empty()).await;
}

#[tokio::test]
async fn stopping_may_cancel_what_runs_or_let_it_finish() {
    let (_session, _tray, app, icon, door) = started().await;
    endless(&door).await;
    icon.click(&["Stop", "Let running jobs finish"]).await;
    icon.until("it finishes", |shown| shown.status_line() == "Stopped – 1 job still running").await;
    icon.click(&["Start"]).await;
    icon.click(&["Stop", "Cancel running jobs"]).await;
    icon.until("nothing runs", |shown| shown.status_line().starts_with("Stopped – web pages")).await;
    eventually("its container is gone", async || app.containers().await.is_empty()).await;
}

#[tokio::test]
async fn a_missing_engine_needs_attention() {
    let session = Session::start();
    let mut tray = Tray::open(&session).await;
    let _app =
        Desktop::start_with(&session, &["--hidden", "--docker-host", "unix:///nonexistent/engine.sock"]);
    let icon = tray.icon().await;
    let shown = icon.until("it needs attention", |shown| shown.status == "NeedsAttention").await;
    assert!(shown.status_line().contains("engine"), "{}", shown.status_line());
}

#[tokio::test]
async fn a_taken_port_needs_attention_until_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let session = Session::start();
    let mut tray = Tray::open(&session).await;
    let _app = Desktop::start_with(&session, &["--hidden", "--port", &port]);
    let icon = tray.icon().await;
    let shown = icon.until("it needs attention", |shown| shown.status == "NeedsAttention").await;
    assert!(shown.status_line().starts_with(&format!("Port {port} ")), "{}", shown.status_line());
    let holder = format!("(process {})", std::process::id());
    assert!(shown.tooltip.contains(&holder), "it says who has it: {}", shown.tooltip);
    drop(taken);
    icon.click(&["Try again"]).await;
    icon.until("it is idle", is_idle).await;
}

#[tokio::test]
async fn a_site_that_asks_is_allowed_in_the_menu() {
    let (_session, _tray, _app, icon, door) = started().await;
    icon.until("it is idle", is_idle).await;
    assert_eq!(ask_as(PAGE, &door).await, 403);
    let asking = icon.until("it asks", |shown| shown.entry(&["lab.example asks"]).is_some()).await;
    assert_eq!(asking.status, "NeedsAttention");
    for choice in ["Allow", "Allow once", "Block"] {
        assert!(asking.entry(&["lab.example asks", choice]).is_some(), "{choice}");
    }
    icon.click(&["lab.example asks", "Allow"]).await;
    icon.until("nobody asks", is_idle).await;
    assert_eq!(ask_as(PAGE, &door).await, 200);
}

#[tokio::test]
async fn a_site_that_asks_is_answered_on_the_notification() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let (icon, door) = (tray.icon().await, app.door().await);
    icon.until("it is idle", is_idle).await;
    assert_eq!(ask_as(PAGE, &door).await, 403);
    let notification = notifications.until("lab.example wants to run jobs").await;
    // Nobody can see when the app begins to listen for its buttons: a person is always later than that.
    eventually("it is blocked", async || {
        notifications.press(&notification, "Block").await;
        door.get("/api/sites").await["blocked"][0]["origin"] == json!(PAGE)
    })
    .await;
    icon.until("nobody asks", is_idle).await;
    // It was told once, however often it asked.
    assert_eq!(ask_as(PAGE, &door).await, 403);
    assert_eq!(notifications.count("wants to run jobs"), 1);
}

#[tokio::test]
async fn a_site_that_asks_is_allowed_on_the_notification_while_the_window_is_behind() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let (icon, door) = (tray.icon().await, app.door().await);
    icon.until("it is idle", is_idle).await;
    let change = json!({"notifications": "off"});
    assert_eq!(door.ask("PATCH", "/api/settings", &change).await.0, 200);
    // Nothing gives it the focus here.
    icon.activate().await;
    eventually("a window opens", async || session.windows().await.len() == 1).await;
    assert_eq!(ask_as(PAGE, &door).await, 403);
    let notification = notifications.until("lab.example wants to run jobs").await;
    eventually("it is allowed", async || {
        notifications.press(&notification, "Allow").await;
        ask_as(PAGE, &door).await == 200
    })
    .await;
    icon.until("nobody asks", is_idle).await;
}

#[tokio::test]
async fn the_end_of_a_job_is_told_to_who_wants_that_and_a_click_on_it_opens_the_window() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let (icon, door) = (tray.icon().await, app.door().await);
    icon.until("it is idle", is_idle).await;
    let change = json!({"notifications": "all"});
    assert_eq!(door.ask("PATCH", "/api/settings", &change).await.0, 200);
    // Nobody can see when the app has heard what is wanted: it is told of one of these.
    eventually("a job is told of", async || {
        let definition = shell(&format!("echo {}; exit 3", unique()));
        let job = door.post("/q/local", &json!({"definition": definition})).await;
        let result = format!("/j/{}/result.json", job["jobId"].as_str().unwrap());
        eventually("it ends", async || !door.get(&result).await["data"].is_null()).await;
        notifications.count("Job failed") > 0
    })
    .await;
    let told = notifications.until("Job failed").await;
    assert!(told.body.contains("busybox") && told.body.ends_with("Exit code 3"), "{told:?}");
    eventually("its window opens", async || {
        notifications.press(&told, "Open").await;
        session.windows().await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_goes_and_comes_back_is_told() {
    let engine = PrivateEngine::new();
    engine.start().await;
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let _app = Desktop::start_with(&session, &["--hidden", "--docker-host", &engine.host()]);
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    engine.stop().await;
    let told = notifications.until("The container engine is gone").await;
    assert!(!told.body.is_empty(), "{told:?}");
    icon.until("it needs attention", |shown| shown.status == "NeedsAttention").await;
    engine.start().await;
    notifications.until("The container engine is back").await;
    icon.until("it is idle again", is_idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_opens_in_the_browser_and_is_signed_in() {
    let (session, _tray, _app, icon, door) = started().await;
    session.notes_what_is_opened();
    icon.until("it is idle", is_idle).await;
    icon.click(&["Open in browser"]).await;
    let opened = session.opened().await;
    assert!(opened.starts_with(&address(&door).await), "{opened}");
    let mut page = Browser::open(&opened).await;
    page.until("document.querySelector('[data-testid=\"sidebar\"]') !== null").await;
}

#[tokio::test]
async fn starting_at_login_is_off_until_chosen() {
    let (session, _tray, _app, icon, _door) = started().await;
    let entry = session.home().join(".config/autostart/deskgrid.desktop");
    let ticked = |shown: &Shown| shown.entry(&["Start at login"]).and_then(|entry| entry.ticked);
    let shown = icon.until("it is idle", is_idle).await;
    assert_eq!((ticked(&shown), entry.exists()), (Some(false), false));
    icon.click(&["Start at login"]).await;
    icon.until("it is ticked", |shown| ticked(shown) == Some(true)).await;
    let text = std::fs::read_to_string(&entry).unwrap();
    assert!(text.contains("deskgrid-desktop\" --hidden\n"), "{text}");
    icon.click(&["Start at login"]).await;
    icon.until("it is not ticked", |shown| ticked(shown) == Some(false)).await;
    assert!(!entry.exists());
}

#[tokio::test]
async fn the_address_that_is_copied_in_the_menu_is_pasted_elsewhere() {
    let (session, _tray, _app, icon, door) = started().await;
    icon.until("it is idle", is_idle).await;
    icon.click(&["Copy address"]).await;
    let address = address(&door).await;
    eventually("the address is in the clipboard", async || session.pasted().await == address).await;
}
