//! What the dashboard shows while its server is away, and that it comes back by itself.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, unique};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_found_and_what_was_missed_is_fetched() {
    let mut dashboard = Dashboard::open().await;
    let first = format!("echo {}", unique());
    dashboard.server.run(&shell(&first)).await;
    dashboard.counts("job-row", 1).await;
    dashboard.server.kill().await;
    dashboard.sees("banner-offline").await;
    dashboard.counts("job-row", 1).await;
    dashboard.server.start_again().await;
    dashboard.server.run(&shell(&format!("echo {}", unique()))).await;
    dashboard.misses("banner-offline").await;
    dashboard.counts("job-row", 2).await;
}
