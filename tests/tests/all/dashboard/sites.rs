//! Who may run jobs, decided by clicks, and what is chosen for one site.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, Raw, eventually, shell, unique};
use serde_json::{Value, json};

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

/// The status that a page of `origin` is answered with, which asks for leave by that.
async fn asks(server: &Deskgrid, origin: &str) -> u16 {
    Raw::new("GET", "/q/local").header("Origin", origin).send(server).await.status
}

/// The row of the site among the allowed ones, or the blocked ones.
fn row(verdict: &str) -> String {
    format!("[data-testid=\"site-row\"][data-origin=\"{PAGE}\"][data-verdict=\"{verdict}\"]")
}

async fn is_listed(dashboard: &mut Dashboard, verdict: &str) {
    dashboard.until(&format!("document.querySelector('{}') !== null", row(verdict))).await;
}

/// Clicks on a part of that row.
async fn clicks_in(dashboard: &mut Dashboard, verdict: &str, part: &str) {
    let found = format!("document.querySelector('{} [data-testid=\"{part}\"]')", row(verdict));
    let click = format!("(() => {{ const found = {found}; found?.click(); return found !== null; }})()");
    dashboard.until(&click).await;
}

/// Waits until the site stands in neither list.
async fn is_unlisted(dashboard: &mut Dashboard) {
    let none = format!("document.querySelector('{}, {}') === null", row("allowed"), row("blocked"));
    dashboard.until(&none).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_allowed_once_blocked_unblocked_forgotten_and_added_by_clicks() {
    let mut dashboard = Dashboard::open().await;
    dashboard.goes_to("sites").await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 403);
    dashboard.clicks("site-allow-once").await;
    is_listed(&mut dashboard, "allowed").await;
    dashboard.reads("Until the next start").await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 200);
    let job = json!({"definition": shell(&format!("echo said > /outputs/a; : {}", unique()))});
    let request = dashboard.server.http().post(dashboard.server.url("/q/local")).header("Origin", PAGE);
    let answer: Value = request.json(&job).send().await.expect("an answer").json().await.expect("JSON");
    dashboard.server.finished(answer["jobId"].as_str().expect("an id")).await;

    clicks_in(&mut dashboard, "allowed", "site-details").await;
    clicks_in(&mut dashboard, "allowed", "site-block").await;
    is_listed(&mut dashboard, "blocked").await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 403);
    dashboard.misses("site-asking").await;
    dashboard
        .until(&format!("document.querySelector('{}').innerText.includes('1 job')", row("blocked")))
        .await;
    clicks_in(&mut dashboard, "blocked", "site-jobs").await;
    dashboard.counts("job-row", 1).await;
    dashboard.goes_to("sites").await;

    clicks_in(&mut dashboard, "blocked", "site-unblock").await;
    is_listed(&mut dashboard, "allowed").await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 200);

    clicks_in(&mut dashboard, "allowed", "site-details").await;
    clicks_in(&mut dashboard, "allowed", "site-block").await;
    clicks_in(&mut dashboard, "blocked", "site-forget").await;
    is_unlisted(&mut dashboard).await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 403);
    dashboard.sees("site-asking").await;
    // Nobody else asks, and the settings of no site are open: this is the answer to it.
    dashboard.clicks("site-block").await;
    clicks_in(&mut dashboard, "blocked", "site-forget").await;
    is_unlisted(&mut dashboard).await;

    dashboard.writes("site-address", "not an address").await;
    dashboard.clicks("site-add").await;
    dashboard.until("document.getElementById('site-problem').innerText !== ''").await;
    dashboard.writes("site-address", PAGE).await;
    dashboard.clicks("site-add").await;
    is_listed(&mut dashboard, "allowed").await;
    assert_eq!(asks(&dashboard.server, PAGE).await, 200);
}
