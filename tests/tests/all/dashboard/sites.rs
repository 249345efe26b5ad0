//! What is chosen for one site.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::eventually;
use deskgrid_tests::ui::Ui;
use serde_json::json;

const PAGE: &str = "https://lab.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_made_compatible_and_strict_again() {
    let mut dashboard = Dashboard::open().await;
    dashboard.door.post("/api/sites/allow", &json!({"origin": PAGE})).await;
    dashboard.goes_to("sites").await;
    let row = format!("document.querySelector('[data-origin=\"{PAGE}\"]')");
    dashboard.until(&format!("{row} !== null")).await;
    dashboard.value(&format!("{row}.querySelector('[data-testid=\"site-details\"]').click()")).await;
    let door = dashboard.door.clone();
    let is_compatible = async || {
        let sites = door.get("/api/sites").await;
        let allowed = sites["allowed"].as_array().expect("a list");
        allowed.iter().find(|site| site["origin"] == PAGE).expect("it is allowed")["compatible"].clone()
    };
    assert_eq!(is_compatible().await, json!(false));
    for on in [true, false] {
        dashboard.clicks("site-compatible").await;
        eventually("it is chosen", async || is_compatible().await == json!(on)).await;
        dashboard.until(&format!("({row}.querySelector('.tag') !== null) === {on}")).await;
        let settings = std::fs::read_to_string(dashboard.server.settings()).expect("it is there");
        assert_eq!(settings.contains("compatible = true"), on, "{settings}");
    }
}
