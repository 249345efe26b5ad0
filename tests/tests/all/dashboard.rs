//! The dashboard in a real browser: signing in, the first job, a live log, cancel, the cache, sites and settings.

use deskgrid_tests::browser::Browser;
use deskgrid_tests::{BUSYBOX, Deskgrid, Door, Options, PrivateEngine, Raw, eventually, shell, unique};
use serde_json::{Value, json};

/// A signed-in dashboard.
struct Dashboard {
    page: Browser,
    door: Door,
    server: Deskgrid,
}

impl Dashboard {
    async fn open() -> Self {
        Self::over(Deskgrid::start().await).await
    }

    async fn over(server: Deskgrid) -> Self {
        let door = Door::of(&server.data());
        let ticket = door.post("/api/ticket", &Value::Null).await;
        let page = Browser::open(ticket["address"].as_str().unwrap()).await;
        let mut dashboard = Self { page, door, server };
        dashboard.sees("sidebar").await;
        dashboard
    }

    async fn goes_to(&mut self, place: &str) {
        self.page.run(&format!("location.hash = '#/{place}'; 0")).await;
    }

    /// Waits until a part of the page is there.
    async fn sees(&mut self, part: &str) {
        self.page.until(&format!("document.querySelector('[data-testid=\"{part}\"]') !== null")).await;
    }

    async fn clicks(&mut self, part: &str) {
        let found = format!("document.querySelector('[data-testid=\"{part}\"]')");
        self.page.until(&format!("{found} !== null && !{found}.disabled")).await;
        self.page.run(&format!("{found}.click()")).await;
    }

    /// Waits until the page shows a text.
    async fn reads(&mut self, text: &str) {
        self.page.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Chooses a text in a field, as leaving it does.
    async fn writes(&mut self, part: &str, text: &str) {
        self.sees(part).await;
        let script = format!(
            "(() => {{ const field = document.querySelector('[data-testid=\"{part}\"]'); field.focus(); \
             field.value = {}; field.dispatchEvent(new Event('input', {{bubbles: true}})); \
             field.dispatchEvent(new Event('change', {{bubbles: true}})); field.blur(); }})()",
            json!(text)
        );
        self.page.run(&script).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_key_is_told_how_to_get_in_and_one_with_a_ticket_stays_in() {
    let server = Deskgrid::start().await;
    let mut stranger = Browser::open(&server.url("/dashboard/")).await;
    stranger.until("document.querySelector('[data-testid=\"sign-in\"]') !== null").await;
    assert!(stranger.text().await.contains("deskgrid dashboard"));
    let mut dashboard = Dashboard::over(server).await;
    dashboard.page.until("!location.href.includes('ticket')").await;
    dashboard.page.run("location.reload()").await;
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
    dashboard.reads("https://lab.example").await;
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
