//! The cache by the keyboard, and many things of it at once.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{eventually, shell, unique};
use serde_json::Value;

/// The cache of a server with two results.
async fn with_two_results() -> Dashboard {
    let mut dashboard = Dashboard::open().await;
    for size in [200_000, 100_000] {
        let script = format!("head -c {size} /dev/urandom > /outputs/noise; : {}", unique());
        dashboard.server.run(&shell(&script)).await;
    }
    dashboard.goes_to("cache").await;
    dashboard.until("document.querySelectorAll('[data-kind=\"result\"]').length === 2").await;
    dashboard
}

/// The box of the map that has the keyboard, as screen readers say it; null when none has.
const AT: &str =
    "(document.activeElement?.dataset.testid === 'cache-box' ? document.activeElement.ariaLabel : null)";

#[tokio::test(flavor = "multi_thread")]
async fn the_map_is_walked_with_the_arrows_and_a_box_filters_the_table() {
    let mut dashboard = with_two_results().await;
    // One of the boxes is where the Tab key stops.
    let entry = "document.querySelectorAll('[data-testid=\"cache-box\"][tabindex=\"0\"]')";
    dashboard.until(&format!("{entry}.length === 1")).await;
    dashboard.value(&format!("{entry}[0].focus()")).await;
    dashboard.until(&format!("{AT} !== null")).await;
    let first = dashboard.value(AT).await;
    dashboard.page.presses("ArrowRight").await;
    dashboard.until(&format!("{AT} !== null && {AT} !== {first}")).await;
    let second = dashboard.value(AT).await;
    dashboard.page.presses("ArrowUp").await;
    dashboard.until(&format!("{AT} === {first}")).await;
    dashboard.page.presses("ArrowDown").await;
    dashboard.until(&format!("{AT} === {second}")).await;
    dashboard.until(&format!("{entry}.length === 1 && {entry}[0] === document.activeElement")).await;
    dashboard.page.presses("Enter").await;
    let name = second.as_str().and_then(|words| words.rsplit_once(", ")).expect("a name and a size").0;
    let field = "document.querySelector('[data-testid=\"cache-search\"]')";
    dashboard.until(&format!("{field}.value === {}", Value::from(name))).await;
    dashboard.reads_in("cache-row", name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_things_are_chosen_deleted_at_once_and_brought_back_at_once() {
    let mut dashboard = with_two_results().await;
    let boxes = "[...document.querySelectorAll('[data-kind=\"result\"] [data-testid=\"cache-select\"]')]";
    dashboard.value(&format!("{boxes}.forEach(box => box.click())")).await;
    dashboard.until(&format!("{boxes}.every(box => box.checked)")).await;
    dashboard.reads("2 chosen").await;
    dashboard.clicks("cache-delete-chosen").await;
    let door = dashboard.door.clone();
    let results = async || {
        let cache = door.get("/api/cache").await;
        let items = cache["items"].as_array().expect("a list");
        items.iter().filter(|item| item["kind"] == "result").count()
    };
    eventually("both are hidden", async || results().await == 0).await;
    dashboard.until("document.querySelectorAll('[data-kind=\"result\"]').length === 0").await;
    dashboard.clicks("toast-action").await;
    eventually("both are back", async || results().await == 2).await;
    dashboard.until("document.querySelectorAll('[data-kind=\"result\"]').length === 2").await;
}
