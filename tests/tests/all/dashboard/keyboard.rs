//! The queue by the keyboard alone.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, unique};

/// Whether the list has the keyboard, and the row of `id` is the chosen one.
fn is_on(id: &str) -> String {
    format!(
        "document.activeElement?.dataset.testid === 'job-list' && \
         document.activeElement.getAttribute('aria-activedescendant') === 'row-{id}'"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_chosen_opened_deleted_and_brought_back_by_the_keyboard() {
    let mut dashboard = Dashboard::open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = dashboard.server.submit(&shell(&format!("echo {}", unique()))).await;
        dashboard.server.finished(&id).await;
        ids.insert(0, id);
    }
    dashboard.counts("job-row", 3).await;
    dashboard.page.presses("/").await;
    dashboard.until("document.activeElement?.dataset.testid === 'queue-search'").await;
    dashboard.page.presses("ArrowDown").await;
    dashboard.until(&is_on(&ids[0])).await;
    dashboard.page.presses("j").await;
    dashboard.until(&is_on(&ids[1])).await;

    dashboard.page.presses("Enter").await;
    dashboard.until(&format!("location.hash === '#/job/{}'", ids[1])).await;
    dashboard.sees("screen-job").await;
    dashboard.value("history.back()").await;
    dashboard.until(&is_on(&ids[1])).await;

    dashboard.page.presses("Delete").await;
    dashboard.counts("job-row", 2).await;
    dashboard.until(&is_on(&ids[2])).await;
    dashboard.page.presses("Ctrl+z").await;
    dashboard.counts("job-row", 3).await;

    dashboard.page.presses("m").await;
    dashboard.until("document.activeElement?.dataset.testid === 'job-menu-open'").await;
    dashboard.page.presses("Enter").await;
    dashboard.until(&format!("location.hash === '#/job/{}'", ids[2])).await;
}
