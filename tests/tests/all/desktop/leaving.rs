//! Ways out of the app, and what becomes of running jobs.

use deskgrid_tests::eventually;
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
async fn the_window_can_quit_the_app_too() {
    let (_session, _tray, mut app, icon, door) = started().await;
    icon.until("it is idle", is_idle).await;
    door.post("/api/desk/quit", &json!({"running": "keep"})).await;
    assert_eq!(app.ended().await, Some(0));
}
