//! The dashboard in a real browser: signing in, the first job, a live log, cancel, the cache, sites and settings.

mod cache;
mod connection;
mod copied;
mod everything;
mod job;
mod keyboard;
mod log;
mod long_queue;
mod progress;
mod queue;
mod resources;
mod settings;
mod sites;
mod start;

use deskgrid_tests::browser::Browser;
use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{BUSYBOX, Deskgrid, Options, PrivateEngine, Raw, eventually, shell, unique};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_key_is_told_how_to_get_in_and_one_with_a_ticket_stays_in() {
    let server = Deskgrid::start().await;
    let mut stranger = Browser::open(&server.url("/dashboard/")).await;
    stranger.until("document.querySelector('[data-testid=\"sign-in\"]') !== null").await;
    assert!(stranger.text().await.contains("deskgrid dashboard"));
    let mut dashboard = Dashboard::over(server).await;
    dashboard.page.until("!location.href.includes('ticket')").await;
    dashboard.reloads().await;
    dashboard.sees("screen-queue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_job_takes_one_click_and_shows_its_plot() {
    let engine = PrivateEngine::with_busybox().await;
    let tag = format!("/images/{BUSYBOX}/tag?repo=busybox&tag=stable");
    assert_eq!(engine.client().post(&tag, &Value::Null).await.0, 201);
    let options = Options { docker_host: Some(engine.host()), ..Options::default() };
    let mut dashboard = Dashboard::over(Deskgrid::start_with(options).await).await;
    dashboard.goes_to("start").await;
    dashboard.clicks("sample-run").await;
    dashboard.page.until("location.hash.startsWith('#/job/')").await;
    dashboard
        .page
        .until("[...document.images].some(i => i.src.startsWith('blob:') && i.naturalWidth > 100)")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_shown_live_and_its_job_cancelled() {
    let mut dashboard = Dashboard::open().await;
    let id = dashboard.server.submit(&shell(&format!("echo first; : {}; sleep 1000", unique()))).await;
    dashboard.sees("job-row").await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.reads("first").await;
    dashboard.clicks("job-cancel").await;
    dashboard.reads("Cancelled").await;
    let row = dashboard.door.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(row["reason"], json!("Cancelled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_is_allowed_with_a_click() {
    let mut dashboard = Dashboard::open().await;
    dashboard.goes_to("sites").await;
    let ask = || Raw::new("GET", "/q/local").header("Origin", "https://lab.example");
    assert_eq!(ask().send(&dashboard.server).await.status, 403);
    dashboard.reads("lab.example wants to run jobs").await;
    dashboard.clicks("site-allow").await;
    let server = &dashboard.server;
    eventually("the page may call", async || ask().send(server).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_takes_effect_at_once_and_is_taken_back() {
    let mut dashboard = Dashboard::open().await;
    dashboard.goes_to("settings").await;
    dashboard.writes("input-memory", "2g").await;
    let door = dashboard.door.clone();
    let memory = async || door.get("/api/desk").await["capacity"]["memory"].as_u64();
    eventually("jobs may take 2 GiB", async || memory().await == Some(2 << 30)).await;
    dashboard.clicks("toast-action").await;
    eventually("it is as before", async || memory().await != Some(2 << 30)).await;
    dashboard.writes("input-memory", "lots").await;
    dashboard.sees("setting-problem").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_from_the_cache_comes_back_when_it_is_undone() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("head -c 100000 /dev/urandom > /outputs/noise; echo {}", unique());
    dashboard.server.run(&shell(&script)).await;
    dashboard.goes_to("cache").await;
    dashboard.sees("cache-row").await;
    let door = dashboard.door.clone();
    let count = async || door.get("/api/cache").await["items"].as_array().map_or(0, Vec::len);
    let before = count().await;
    dashboard.clicks("cache-delete").await;
    eventually("it is hidden", async || count().await < before).await;
    dashboard.clicks("toast-action").await;
    eventually("it is back", async || count().await == before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_up_says_what_goes_before_it_does() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("head -c 100000 /dev/urandom > /outputs/noise; echo {}", unique());
    dashboard.server.run(&shell(&script)).await;
    dashboard.goes_to("cache").await;
    dashboard.sees("cache-row").await;
    dashboard.clicks("cache-prune").await;
    dashboard.reads_in("prune-preview", "There is nothing to delete").await;
    dashboard.clicks("prune-all").await;
    dashboard.reads_in("prune-preview", "on this disk").await;
    dashboard.clicks("prune-do").await;
    let door = dashboard.door.clone();
    let has_result = async || {
        let cache = door.get("/api/cache").await;
        cache["items"].as_array().is_some_and(|items| items.iter().any(|item| item["kind"] == "result"))
    };
    eventually("it is hidden", async || !has_result().await).await;
    dashboard.clicks("toast-action").await;
    eventually("it is back", async || has_result().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_result_stays_when_the_cache_is_cleaned_up() {
    let mut dashboard = Dashboard::open().await;
    dashboard.server.run(&shell(&format!("echo {} > /outputs/out", unique()))).await;
    dashboard.goes_to("cache").await;
    let pin = "[...document.querySelectorAll('[data-kind=\"result\"] [data-testid=\"cache-pin\"]')][0]";
    dashboard.until(&format!("{pin} !== undefined")).await;
    dashboard.value(&format!("{pin}.click()")).await;
    dashboard.until(&format!("{pin}.getAttribute('aria-pressed') === 'true'")).await;
    let would = dashboard.door.post("/api/cache/prune", &json!({"dryRun": true})).await;
    let going = would["list"].as_array().unwrap();
    assert!(going.iter().all(|item| item["kind"] != "result"), "{would}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_deletes_nothing_holds_when_the_slider_is_let_go() {
    let mut dashboard = Dashboard::open().await;
    dashboard.goes_to("cache").await;
    dashboard.writes("cache-limit", "50").await;
    let door = dashboard.door.clone();
    let is_default = async || door.get("/api/cache").await["limit"]["isDefault"].clone();
    eventually("it is chosen", async || is_default().await == json!(false)).await;
    dashboard.clicks("cache-limit-reset").await;
    eventually("it is the usual one", async || is_default().await == json!(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_leave_is_revoked_has_to_ask_again() {
    let mut dashboard = Dashboard::open().await;
    dashboard.door.post("/api/sites/allow", &json!({"origin": "https://lab.example"})).await;
    let ask = || Raw::new("GET", "/q/local").header("Origin", "https://lab.example");
    assert_eq!(ask().send(&dashboard.server).await.status, 200);
    dashboard.goes_to("sites").await;
    let site = "document.querySelector('[data-origin=\"https://lab.example\"]')";
    dashboard.until(&format!("{site} !== null")).await;
    dashboard.value(&format!("{site}.querySelector('[data-testid=\"site-details\"]').click()")).await;
    dashboard.clicks("site-network-none").await;
    dashboard.reads("No network").await;
    dashboard.clicks("site-revoke").await;
    let server = &dashboard.server;
    eventually("the page may not call", async || ask().send(server).await.status == 403).await;
    dashboard.reads("lab.example wants to run jobs").await;
}
