//! The cache by the keyboard, many things of it at once, and a limit below what it takes.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::small_disk::OnSmallDisk;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Door, Options, eventually, shell, unique};
use serde_json::{Value, json};

use crate::administration::{age, with_large_output};

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
async fn the_map_is_as_wide_as_its_window_also_when_that_becomes_narrower() {
    let mut dashboard = with_two_results().await;
    let edge = "document.querySelector('[data-testid=\"cache-map\"]')?.getBoundingClientRect().right";
    for width in [1080, 720] {
        dashboard.page.looks(false, width, 700).await;
        dashboard.until(&format!("{edge} > innerWidth - 120 && {edge} < innerWidth")).await;
    }
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

/// Lowers the limit, and takes that back as soon as it is offered.
const LOWERED_AND_TAKEN_BACK: &str = "new Promise(done => { \
    document.querySelector('[data-testid=\"cache-limit-lower\"]').click(); \
    const look = setInterval(() => { \
        const back = document.querySelector('[data-testid=\"toast-action\"]'); \
        if (back === null) return; \
        clearInterval(look); back.click(); done(true); \
    }, 20); })";

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_below_what_is_used_deletes_after_a_click_only_and_until_then_it_is_taken_back() {
    // The usual limit is a tenth of the disk.
    let OnSmallDisk { disk, mut server } = OnSmallDisk::start_with(1200, Options::default()).await;
    let limit = json!({"cache_limit": "1g"});
    assert_eq!(Door::of(&server.data()).ask("PATCH", "/api/settings", &limit).await.0, 200);
    let (oldest, newest) = (with_large_output(&server, 80).await, with_large_output(&server, 60).await);
    assert_eq!(server.terminate().await, Some(0));
    age(&server, &oldest, 3);
    age(&server, &newest, 2);
    server.start_again().await;
    let mut dashboard = Dashboard::over(server).await;
    // It goes before what lies on it does.
    let _disk = disk;
    let door = dashboard.door.clone();
    let is_usual = async || door.get("/api/cache").await["limit"]["isDefault"] == json!(true);
    let is_kept = async |id: &str| door.ask("GET", &format!("/api/jobs/{id}"), &Value::Null).await.0 == 200;
    dashboard.goes_to("cache").await;

    dashboard.clicks("cache-limit-reset").await;
    dashboard.reads_in("cache-limit-going", "would be deleted").await;
    dashboard.clicks("cache-limit-back").await;
    dashboard.misses("cache-limit-going").await;
    assert!(!is_usual().await, "nothing was chosen");

    dashboard.clicks("cache-limit-reset").await;
    // Within the time that there is for that, however slow the test is.
    dashboard.sees("cache-limit-lower").await;
    dashboard.value(LOWERED_AND_TAKEN_BACK).await;
    dashboard.reads("Changed back").await;
    assert!(!is_usual().await, "the chosen one holds again");
    assert!(is_kept(&oldest).await && is_kept(&newest).await);

    dashboard.misses("cache-limit-going").await;
    dashboard.clicks("cache-limit-reset").await;
    dashboard.clicks("cache-limit-lower").await;
    eventually("the usual limit holds", is_usual).await;
    eventually("what was used least is gone", async || !is_kept(&oldest).await).await;
    assert!(is_kept(&newest).await, "no more goes than has to");
}
