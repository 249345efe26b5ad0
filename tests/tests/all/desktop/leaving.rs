//! Ways out of the app, and what becomes of running jobs.

use deskgrid_tests::eventually;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::window::Window;
use serde_json::json;

use super::tray::{endless, is_idle, started};

#[tokio::test]
async fn quitting_an_idle_app_takes_its_icon_along() {
    let (_session, _tray, mut app, icon, _door) = started().await;
    icon.until("it is idle", is_idle).await;
    icon.click(&["Quit"]).await;
    assert_eq!(app.ended().await, Some(0));
    icon.gone().await;
    assert!(!app.data().join("deskgrid.sock").exists());
}

#[tokio::test]
async fn jobs_that_are_kept_running_are_taken_over_by_the_next_start() {
    let (session, mut tray, mut app, icon, door) = started().await;
    let id = endless(&door).await;
    icon.click(&["Quit", "Quit and keep them running"]).await;
    assert_eq!(app.ended().await, Some(0));
    let container = app.containers().await;
    assert_eq!(container.len(), 1, "{container:?}");
    app.start_again(&session);
    eventually("a new icon comes", async || tray.count() == 2).await;
    let icon = tray.icon().await;
    icon.until("it is busy", |shown| shown.entry(&["busybox", "Cancel"]).is_some()).await;
    assert_eq!(app.door().await.get(&format!("/api/jobs/{id}")).await["phase"], json!("running"));
    assert_eq!(app.containers().await[0]["Id"], container[0]["Id"]);
}

#[tokio::test]
async fn jobs_that_are_cancelled_leave_no_container() {
    let (_session, _tray, mut app, icon, door) = started().await;
    endless(&door).await;
    icon.click(&["Quit", "Cancel them and quit"]).await;
    assert_eq!(app.ended().await, Some(0));
    assert_eq!(app.containers().await, [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn jobs_that_may_finish_are_waited_for() {
    let (_session, _tray, mut app, icon, door) = started().await;
    let id = endless(&door).await;
    icon.click(&["Quit", "Let them finish, then quit"]).await;
    icon.until("it waits", |shown| shown.status_line() == "Quits when 1 job has finished").await;
    // Whoever does not want to wait any longer can still say so.
    door.post(&format!("/api/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(app.ended().await, Some(0));
    assert_eq!(app.containers().await, [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn waiting_for_jobs_to_quit_is_seen_and_called_off_in_menu_and_window() {
    let (session, _tray, app, icon, door) = started().await;
    let id = endless(&door).await;
    let mut window = Window::open(&session, &app.data()).await;
    let works = |shown: &deskgrid_tests::tray::Shown| shown.entry(&["Stop", "Let"]).is_some();
    icon.click(&["Quit", "Let them finish, then quit"]).await;
    icon.click(&["Do not quit"]).await;
    icon.until("it works on", works).await;
    icon.click(&["Quit", "Let them finish, then quit"]).await;
    window.sees("banner-quitting").await;
    window.clicks("banner-stay").await;
    window.misses("banner-quitting").await;
    icon.until("it works on", works).await;
    door.post(&format!("/api/jobs/{id}/cancel"), &json!({})).await;
    icon.until("it stays when the job is over", is_idle).await;
    assert_eq!(door.get("/api/desk").await["doors"], json!("open"));
}

#[tokio::test]
async fn a_port_that_was_shut_before_stays_shut_when_the_leaving_is_called_off() {
    let (session, _tray, app, icon, door) = started().await;
    endless(&door).await;
    let mut window = Window::open(&session, &app.data()).await;
    icon.click(&["Stop", "Let running jobs finish"]).await;
    let is_shut = |shown: &deskgrid_tests::tray::Shown| shown.menu.iter().any(|entry| entry.label == "Start");
    icon.until("it is stopped", is_shut).await;
    icon.click(&["Quit", "Let them finish, then quit"]).await;
    icon.click(&["Do not quit"]).await;
    icon.until("it is stopped as before", is_shut).await;
    icon.click(&["Quit", "Let them finish, then quit"]).await;
    window.clicks("banner-stay").await;
    window.misses("banner-quitting").await;
    icon.until("it is stopped as before", is_shut).await;
    assert_eq!(door.get("/api/desk").await["doors"], json!("closed"));
}

#[tokio::test]
async fn quitting_in_the_window_asks_what_becomes_of_running_jobs() {
    let (session, _tray, mut app, _icon, door) = started().await;
    endless(&door).await;
    let mut window = Window::open(&session, &app.data()).await;
    window.sees("job-row").await;
    window.clicks("server-menu").await;
    window.clicks("server-menu-quit").await;
    window.sees("question-keep").await;
    window.clicks("question-cancel").await;
    assert_eq!(app.ended().await, Some(0));
    assert_eq!(app.containers().await, [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn the_window_can_quit_the_app_too() {
    let (_session, _tray, mut app, icon, door) = started().await;
    icon.until("it is idle", is_idle).await;
    door.post("/api/desk/quit", &json!({"running": "keep"})).await;
    assert_eq!(app.ended().await, Some(0));
}
