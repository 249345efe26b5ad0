//! What a job takes of the computer, drawn over its run.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, unique};

/// Both plots are drawn, and the run that they show is longer than `seconds`, of which there are less than sixty.
fn are_drawn(seconds: u32) -> String {
    format!(
        "['cpu', 'memory'].every(kind => {{ \
         const plot = document.querySelector(`[data-testid=\"resources-${{kind}}\"]`); \
         const shown = plot?.querySelector('.unseen').textContent ?? ''; \
         return plot?.querySelector('canvas')?.width > 0 && (/min/.test(shown) || parseFloat(shown) > {seconds}); }})"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_and_memory_are_drawn_while_a_job_runs_and_stay_when_it_is_cancelled() {
    let mut dashboard = Dashboard::open().await;
    let id = dashboard.server.submit(&shell(&format!("echo on; while :; do :; done; : {}", unique()))).await;
    dashboard.server.until_said(&id, "on").await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.clicks("job-tab-resources").await;
    dashboard.until(&are_drawn(0)).await;
    // They go on by themselves.
    dashboard.until(&are_drawn(5)).await;
    let most = "document.querySelector('[data-testid=\"resources-cpu\"] dd').innerText";
    dashboard.until(&format!("parseFloat({most}) > 0.2")).await;
    dashboard.clicks("job-cancel").await;
    dashboard
        .until("document.querySelector('[data-testid=\"job-status\"]').dataset.phase === 'finished'")
        .await;
    dashboard.until(&are_drawn(5)).await;
    dashboard.reads_in("timeline", "Run").await;
    let trace = dashboard.door.get(&format!("/api/jobs/{id}")).await["trace"].take();
    let count = |kind: &str| trace[kind].as_array().map_or(0, Vec::len);
    assert!(count("cpu") > 2 && count("cpu") == count("memory"), "{trace}");
    dashboard.reloads().await;
    dashboard.clicks("job-tab-resources").await;
    dashboard.until(&are_drawn(5)).await;
}
