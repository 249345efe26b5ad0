//! Choosing the engine among those that were found, and which settings there are without the app.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, Options, eventually, shell, test_engine, unique};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_chosen_among_those_that_were_found_and_left_to_deskgrid_again() {
    let host = test_engine().expect("the set-up names an engine");
    let env = vec![("DOCKER_HOST".to_owned(), host)];
    let server = Deskgrid::start_with(Options { env, ..Options::default() }).await;
    let mut dashboard = Dashboard::over(server).await;
    let found = dashboard.door.get("/api/engines").await;
    let used = dashboard.door.get("/api/desk").await["engine"]["address"].clone();
    let engines = found["engines"].as_array().expect("a list");
    assert!(
        engines.iter().any(|engine| engine["address"] == used && engine["state"] == "engine-ready"),
        "{found}"
    );

    dashboard.goes_to("settings").await;
    let choice = |address: &str| {
        format!("document.querySelector('[data-testid=\"engine-choice\"][data-address={address}]')")
    };
    let (ours, automatic) = (choice(&used.to_string()), choice("\"\""));
    dashboard.until(&format!("{automatic}?.ariaChecked === 'true' && {ours}?.ariaChecked === 'false'")).await;
    dashboard.until(&format!("{ours}.innerText.includes('In use')")).await;
    dashboard.value(&format!("{ours}.click()")).await;
    dashboard.until(&format!("{ours}.ariaChecked === 'true'")).await;
    let settings = dashboard.server.settings();
    let chosen = format!("docker_host = {used}");
    let is_written = async || std::fs::read_to_string(&settings).is_ok_and(|text| text.contains(&chosen));
    eventually("it stands in the settings", is_written).await;
    let door = dashboard.door.clone();
    eventually("it is used", async || {
        let engine = door.get("/api/desk").await["engine"].take();
        engine["ready"] == json!(true) && engine["address"] == used
    })
    .await;
    dashboard.clicks("toast-action").await;
    dashboard.until(&format!("{automatic}.ariaChecked === 'true'")).await;
    assert!(!is_written().await, "it is left to Deskgrid again");
    dashboard.server.run(&shell(&format!(": {}", unique()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_app_nothing_is_offered_that_only_the_app_does() {
    let mut dashboard = Dashboard::over(Deskgrid::start_without_engine().await).await;
    dashboard.goes_to("settings").await;
    dashboard.sees("input-memory").await;
    for part in ["group-general", "input-login", "input-notifications", "input-keep_awake"] {
        dashboard.misses(part).await;
    }
}
