//! The computer stays awake while jobs run, for who wants that.

use deskgrid_tests::Door;
use deskgrid_tests::fake_login_service::{FakeLoginService, Inhibitor};
use serde_json::json;

use super::tray::{endless, started};

async fn choose(door: &Door, on: bool) {
    let (status, answer) = door.ask("PATCH", "/api/settings", &json!({"keep_awake": on})).await;
    assert_eq!(status, 200, "{answer}");
}

async fn cancel(door: &Door, id: &str) {
    let (_, answer) = door.ask("POST", &format!("/q/local/j/{id}/cancel?namespace=*"), &json!({})).await;
    assert_eq!(answer["success"], true, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_computer_is_kept_awake_while_jobs_run_and_not_a_moment_longer_and_never_unasked() {
    let (session, _tray, _app, icon, door) = started().await;
    let mut login = FakeLoginService::open(&session).await;
    let first = endless(&door).await;
    icon.until("it knows that a job runs", |shown| shown.title == "Deskgrid (1)").await;
    assert_eq!(login.asked(), 0, "nobody chose it");
    choose(&door, true).await;
    let held = login.until_held(2).await;
    let inhibitor = |what: &str| Inhibitor {
        what: what.to_owned(),
        who: "Deskgrid".to_owned(),
        why: "Jobs are running".to_owned(),
    };
    assert_eq!(held, [inhibitor("idle"), inhibitor("sleep")]);
    cancel(&door, &first).await;
    login.until_held(0).await;
    let second = endless(&door).await;
    login.until_held(2).await;
    choose(&door, false).await;
    login.until_held(0).await;
    cancel(&door, &second).await;
}
