//! The queue: finding jobs, and what is done with them from their rows.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{eventually, shell, unique};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_their_words_and_by_how_they_ended() {
    let mut dashboard = Dashboard::open().await;
    let (fits, fails) = (unique(), unique());
    dashboard.server.run(&shell(&format!("echo {fits}"))).await;
    dashboard.server.run(&shell(&format!("exit 3; : {fails}"))).await;
    dashboard.counts("job-row", 2).await;
    dashboard.writes("queue-search", &fits).await;
    dashboard.counts("job-row", 1).await;
    dashboard.reads_in("job-row", &fits).await;
    dashboard.writes("queue-search", "no such words").await;
    dashboard.clicks("queue-clear").await;
    dashboard.clicks("queue-tab-failed").await;
    dashboard.counts("job-row", 1).await;
    dashboard.reads_in("job-result", "Exit code 3").await;
    dashboard.clicks("queue-tab-all").await;
    dashboard.counts("job-row", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_comes_back_when_it_is_undone_and_goes_without_the_page_when_not() {
    let mut dashboard = Dashboard::open().await;
    let id = dashboard.server.submit(&shell(&format!("echo {}", unique()))).await;
    dashboard.server.finished(&id).await;
    dashboard.sees("job-row").await;
    dashboard.clicks("job-menu").await;
    dashboard.clicks("job-menu-delete").await;
    dashboard.misses("job-row").await;
    dashboard.clicks("toast-action").await;
    dashboard.sees("job-row").await;
    dashboard.clicks("job-menu").await;
    dashboard.clicks("job-menu-delete").await;
    dashboard.misses("job-row").await;
    // Nobody looks any more; the server deletes it all the same.
    dashboard.value("location.replace('about:blank'); 0").await;
    let door = dashboard.door.clone();
    let job = format!("/api/jobs/{id}");
    eventually("it is gone", async || door.ask("GET", &job, &Value::Null).await.0 == 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_kept_always_and_run_again_from_its_page() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("cat /proc/sys/kernel/random/uuid > /outputs/when; : {}", unique());
    let id = dashboard.server.submit(&shell(&script)).await;
    let first = dashboard.server.finished(&id).await;
    let door = dashboard.door.clone();
    let started = async || door.get(&format!("/api/jobs/{id}")).await["startedAt"].clone();
    let before = started().await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.clicks("job-menu").await;
    dashboard.clicks("job-menu-pin").await;
    dashboard.reads("Kept always").await;
    dashboard.clicks("job-again").await;
    // A good result is not replaced without a question.
    dashboard.clicks("question-again").await;
    eventually("it runs again", async || ![&before, &Value::Null].contains(&&started().await)).await;
    let second = dashboard.server.finished(&id).await;
    assert_ne!(dashboard.server.output(&first, "when").await, dashboard.server.output(&second, "when").await);
}
