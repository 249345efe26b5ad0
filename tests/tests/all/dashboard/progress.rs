//! Bars that fill while a job waits for its image to be pulled or built.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::line::Line;
use deskgrid_tests::registry::{Picture, Registry};
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{BUSYBOX, eventually, unique};
use serde_json::json;

const MEGABYTE: usize = 1 << 20;

/// How full the only bar on the screen is, in hundredths.
const FILLED: &str =
    "Number(document.querySelector('[role=\"progressbar\"]')?.getAttribute('aria-valuenow') ?? 0)";
/// What it says beside that.
const WORDS: &str = "document.querySelector('[role=\"progressbar\"]')?.getAttribute('aria-valuetext')";
const IS_GONE: &str = "document.querySelector('[role=\"progressbar\"]') === null";

/// Lets bytes come on the line, some at a time, until the bar is fuller than so many hundredths. The engine tells of them
/// a few times a second, and of none while none come; of a layer it tells how large it is when that begins to come.
async fn fills_beyond(dashboard: &mut Dashboard, line: &Line, hundredths: f64) {
    eventually("the bar fills", async || {
        if line.is_held() {
            line.give(100_000);
        }
        let filled = dashboard.value(FILLED).await.as_f64().unwrap_or_default();
        filled > hundredths && filled < 100.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_shows_in_the_queue_and_on_the_jobs_page_how_far_the_pull_of_an_image_is() {
    let mut dashboard = Dashboard::open().await;
    let registry = Registry::open();
    let name = registry.push(Picture { bytes: 40 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 0).await;
    let image = format!("{}/{name}:latest", line.address);
    dashboard.goes_to("queue").await;
    let id = dashboard.server.submit(&json!({"image": image, "command": "/bin/true"})).await;
    fills_beyond(&mut dashboard, &line, 10.0).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    fills_beyond(&mut dashboard, &line, 30.0).await;
    dashboard.until(&format!("{WORDS}?.includes(' of ')")).await;
    line.release();
    dashboard.server.finished(&id).await;
    dashboard.until(IS_GONE).await;
    let (engine, path) = (dashboard.server.engine(), format!("/images/{image}/json"));
    eventually("nothing uses the image any more", async || {
        engine.remove_image(&image).await;
        !engine.has(&path).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_shows_which_step_of_a_build_goes_on() {
    let mut dashboard = Dashboard::open().await;
    let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {}\nRUN sleep 1000\nRUN true\n", unique());
    let id = dashboard.server.submit(&json!({"build": {"dockerfile": dockerfile}})).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.until(&format!("{FILLED} > 0 && {FILLED} < 100")).await;
    dashboard.until(&format!("{WORDS} === 'step 3 of 4'")).await;
    dashboard.clicks("job-cancel").await;
    dashboard.until(IS_GONE).await;
}
