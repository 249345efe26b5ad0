//! The queue: finding jobs, and what is done with them from their rows.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, eventually, long_queue, shell, unique};
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

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_keyboard_or_is_open_in_a_row_stays_that_jobs_while_others_leave_the_list() {
    let server = Deskgrid::start_without_engine().await;
    long_queue::fill(&server, 200).await;
    let mut dashboard = Dashboard::over(server).await;
    let list = dashboard.door.get("/api/jobs").await;
    let mut jobs: Vec<&Value> = list["jobs"].as_array().expect("a list").iter().collect();
    jobs.sort_by_key(|job| job["waiting"]["place"].as_u64());
    let id = |at: usize| jobs[at]["id"].as_str().expect("an id");
    let waits = |at: usize| format!("document.getElementById('row-{}')?.dataset.phase === 'queued'", id(at));
    let part = |part: &str| format!("document.querySelector('#row-{} [data-testid=\"{part}\"]')", id(3));
    dashboard.until(&waits(3)).await;

    dashboard.value(&format!("(window.pressed = {}).focus()", part("job-cancel"))).await;
    let door = dashboard.door.clone();
    let leaves = async |at: usize| door.post(&format!("/api/jobs/{}/cancel", id(at)), &Value::Null).await;
    leaves(0).await;
    dashboard.until(&format!("!({})", waits(0))).await;
    let pressed = "document.activeElement === pressed && pressed.closest('[data-job]')?.dataset.job";
    assert_eq!(dashboard.value(pressed).await, id(3));

    dashboard.value(&format!("{}.click()", part("job-menu"))).await;
    let menu = "document.querySelector(':popover-open')?.closest('[data-job]')?.dataset.job ?? null";
    dashboard.until(&format!("({menu}) === '{}'", id(3))).await;
    leaves(1).await;
    dashboard.until(&format!("!({})", waits(1))).await;
    assert_eq!(dashboard.value(menu).await, id(3));

    // Far from the chosen job, its key opens the menu of no other one.
    dashboard.value("document.querySelector(':popover-open').hidePopover()").await;
    let view = "document.querySelector('[data-testid=\"job-list\"]')";
    dashboard.value(&format!("{view}.scrollTop = {view}.scrollHeight")).await;
    dashboard.until(&format!("!({})", waits(3))).await;
    dashboard.value(&format!("{view}.focus()")).await;
    dashboard.page.presses("m").await;
    assert_eq!(dashboard.value(menu).await, Value::Null);

    dashboard.value(&format!("{view}.scrollTop = 0")).await;
    dashboard.until(&waits(3)).await;
    dashboard
        .value(&format!("{{ const cancel = {}; cancel.focus(); cancel.click(); }}", part("job-cancel")))
        .await;
    dashboard.until(&format!("!({})", waits(3))).await;
    let pressed = "document.activeElement?.closest('[data-job]')?.dataset.job ?? null";
    assert_eq!(dashboard.value(pressed).await, Value::Null);
}
