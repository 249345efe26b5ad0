//! Ten thousand jobs in the list: no more of them are drawn than are seen, and the last one is as near as the first.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, long_queue};
use serde_json::{Value, json};

const JOBS: usize = 10_000;
/// Rows in view, and a few above and below them.
const MOST_DRAWN: u64 = 60;
/// How many jobs further the key Page Down leads.
const PAGE: usize = 8;

const LIST: &str = "document.querySelector('[data-testid=\"job-list\"]')";

/// Whether all of the row of a job is in view.
fn is_in_view(id: &str) -> String {
    format!(
        "(() => {{ const row = document.getElementById('row-{id}')?.getBoundingClientRect(); \
         const list = {LIST}.getBoundingClientRect(); \
         return row !== undefined && row.top >= list.top && row.bottom <= list.bottom; }})()"
    )
}

/// Whether the row of a job is the chosen one, and seen.
fn is_on(id: &str) -> String {
    format!("{LIST}.getAttribute('aria-activedescendant') === 'row-{id}' && {}", is_in_view(id))
}

async fn drawn(dashboard: &mut Dashboard) -> u64 {
    let rows = "document.querySelectorAll('[data-testid=\"job-row\"]').length";
    dashboard.value(rows).await.as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_jobs_few_are_drawn_and_the_last_is_found_by_mouse_and_keyboard() {
    let server = Deskgrid::start_without_engine().await;
    long_queue::fill(&server, JOBS).await;
    let mut dashboard = Dashboard::over(server).await;
    dashboard.until(&format!("{LIST}?.getAttribute('aria-rowcount') === '{}'", JOBS + 1)).await;
    assert!(drawn(&mut dashboard).await <= MOST_DRAWN);

    let list = dashboard.door.get("/api/jobs").await;
    let mut jobs: Vec<&Value> = list["jobs"].as_array().expect("a list").iter().collect();
    jobs.sort_by_key(|job| job["waiting"]["place"].as_u64());
    let id = |at: usize| jobs[at]["id"].as_str().expect("an id").to_owned();

    dashboard.value(&format!("{LIST}.scrollTop = {LIST}.scrollHeight")).await;
    dashboard.until(&is_in_view(&id(JOBS - 1))).await;
    assert!(drawn(&mut dashboard).await <= MOST_DRAWN);
    dashboard.value(&format!("{LIST}.scrollTop = {LIST}.scrollHeight / 2")).await;
    dashboard.until(&format!("document.getElementById('row-{}') !== null", id(JOBS / 2))).await;

    dashboard.value(&format!("{LIST}.focus()")).await;
    dashboard.page.presses("Home").await;
    dashboard.until(&is_on(&id(0))).await;
    dashboard.page.presses("PageDown").await;
    dashboard.until(&is_on(&id(PAGE))).await;
    dashboard.page.presses("End").await;
    dashboard.until(&is_on(&id(JOBS - 1))).await;
    dashboard.page.presses("PageUp").await;
    dashboard.until(&is_on(&id(JOBS - 1 - PAGE))).await;
    assert!(drawn(&mut dashboard).await <= MOST_DRAWN);
    assert_eq!(dashboard.value("document.activeElement?.dataset.testid").await, json!("job-list"));
}
