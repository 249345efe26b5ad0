//! What the dashboard shows while its server is away, and that it comes back by itself.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, unique};
use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread")]
async fn stop_in_a_page_that_goes_through_the_port_asks_first_and_says_how_to_get_back() {
    let mut dashboard = Dashboard::open().await;
    let door = dashboard.door.clone();
    let doors = async || door.get("/api/desk").await["doors"].take();
    dashboard.clicks("server-stop").await;
    dashboard.reads_in("question", "run deskgrid dashboard in a terminal").await;
    dashboard.clicks("question-back").await;
    dashboard.misses("question").await;
    assert_eq!(doors().await, json!("open"));

    dashboard.clicks("server-stop").await;
    dashboard.clicks("question-stop").await;
    dashboard.reads_in("banner-offline", "Deskgrid is stopped").await;
    dashboard.reads_in("banner-offline", "run deskgrid dashboard in a terminal").await;
    assert_eq!(doors().await, json!("closed"));
    dashboard.misses("server-start").await;
    door.post("/api/desk/start", &Value::Null).await;
    dashboard.misses("banner-offline").await;
    dashboard.sees("server-stop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_with_a_running_job_says_that_the_page_is_cut_off_too() {
    let mut dashboard = Dashboard::open().await;
    let id = dashboard.server.submit(&shell(&format!("echo on; sleep 1000; : {}", unique()))).await;
    dashboard.server.until_said(&id, "on").await;
    dashboard.until("document.querySelector('[data-testid=\"job-row\"]')?.dataset.phase === 'running'").await;
    dashboard.clicks("server-stop").await;
    dashboard.reads_in("question", "1 job is running").await;
    dashboard.reads_in("question", "run deskgrid dashboard in a terminal").await;
    dashboard.clicks("question-cancel").await;
    dashboard.reads_in("banner-offline", "Deskgrid is stopped").await;
}
