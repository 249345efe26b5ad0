//! What a job left, looked at on its page.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, unique};

/// Chooses a file of the outputs.
async fn picks(dashboard: &mut Dashboard, path: &str) {
    let file = format!("document.querySelector('[data-path=\"{path}\"]')");
    dashboard.until(&format!("{file} !== null")).await;
    dashboard.value(&format!("{file}.click()")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_json_are_shown_as_what_they_are() {
    let mut dashboard = Dashboard::open().await;
    let script = format!(
        "printf 'time,height\\n1,10\\n2,20\\n' > /outputs/fit.csv; \
         printf '{{\"model\": {{\"slope\": 10.5}}}}' > /outputs/fit.json; : {}",
        unique()
    );
    let id = dashboard.server.submit(&shell(&script)).await;
    dashboard.server.finished(&id).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    picks(&mut dashboard, "fit.csv").await;
    dashboard.reads_in("preview-table", "height").await;
    dashboard.reads("2 rows, 2 columns").await;
    dashboard.clicks("table-as-plot").await;
    dashboard.until("document.querySelector('[data-testid=\"plot\"] canvas')?.width > 0").await;
    dashboard
        .until("document.querySelector('[data-testid=\"plot\"]').ariaLabel.includes('height over time')")
        .await;
    picks(&mut dashboard, "fit.json").await;
    dashboard.reads_in("preview-json", "slope").await;
    dashboard.reads_in("preview-json", "10.5").await;
    dashboard.clicks("preview-as-raw").await;
    dashboard.reads_in("preview-text", "{\"model\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_picture_says_its_size_and_a_definition_is_shown_as_json_too() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("head -c 12345 /dev/urandom > /outputs/model.bin; : {}", unique());
    let definition = shell(&script);
    let id = dashboard.server.submit(&definition).await;
    dashboard.server.finished(&id).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    picks(&mut dashboard, "model.bin").await;
    dashboard.reads_in("preview-none", "12.3 KB").await;
    dashboard.clicks("job-tab-definition").await;
    dashboard.clicks("definition-as-json").await;
    let shown = "JSON.parse(document.querySelector('[data-testid=\"definition\"] pre').innerText)";
    dashboard.until(&format!("{shown}.command === {}", definition["command"])).await;
    dashboard.clicks("definition-as-tree").await;
    dashboard.until("document.querySelector('[data-testid=\"definition\"] pre') === null").await;
}
