//! The first screen: what is still missing, and that it is noticed without a click when it is there.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, Options, PrivateEngine};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_is_noticed_by_itself() {
    let engine = PrivateEngine::new();
    let options = Options { docker_host: Some(engine.host()), ..Options::default() };
    let mut dashboard = Dashboard::over(Deskgrid::start_with(options).await).await;
    dashboard.goes_to("start").await;
    let is_done = "document.querySelector('[data-testid=\"step-engine\"]')?.dataset.done";
    dashboard.until(&format!("{is_done} === 'false'")).await;
    dashboard.reads_in("step-engine", "Looks again by itself").await;
    dashboard.until("document.querySelector('[data-testid=\"sample-run\"]').disabled").await;
    dashboard.until("document.querySelectorAll('[data-testid=\"doctor-check\"][data-verdict=\"problem\"]').length > 0").await;
    engine.start().await;
    dashboard.until(&format!("{is_done} === 'true'")).await;
    dashboard.reads_in("engine-facts", "CPU").await;
    dashboard.until("!document.querySelector('[data-testid=\"sample-run\"]').disabled").await;
    // What it says in plain words follows.
    dashboard.until("document.querySelectorAll('[data-testid=\"doctor-check\"][data-verdict=\"problem\"]').length === 0").await;
}
