//! What holds on every screen.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Raw, shell, unique};
use serde_json::{Value, json};

/// More than any screen has to stop at.
const MOST_STOPS: usize = 400;

/// Parts that can be acted on and that the Tab key did not stop at, though they are seen. Of parts that belong together,
/// such as tabs or the rows of a list, it stops at one, and arrows lead to the others.
const UNREACHED: &str = r#"[...document.querySelectorAll(
        'a[href], button, input, select, textarea, summary, [role="button"], [role="slider"], [role="switch"]')]
    .filter(part => !part.disabled && !part.dataset.walked && part.checkVisibility({visibilityProperty: true}))
    .filter(part => {
        const together = part.closest('[role="radiogroup"], [role="tablist"], [role="grid"], [role="group"], nav');
        return !together?.dataset.walked && !together?.querySelector('[data-walked]');
    })
    .map(part => part.outerHTML.slice(0, 160))"#;

/// Presses Tab until it comes by the same part again, marking each that it stops at.
async fn walk(dashboard: &mut Dashboard) {
    let mark = "(() => { const at = document.activeElement; if (at === null || at === document.body) return 'edge'; \
                if (at.dataset.walked) return 'again'; at.dataset.walked = 'yes'; return 'new'; })()";
    dashboard
        .value("document.querySelectorAll('[data-walked]').forEach(part => delete part.dataset.walked)")
        .await;
    for _ in 0..MOST_STOPS {
        dashboard.page.presses("Tab").await;
        if dashboard.value(mark).await == json!("again") {
            return;
        }
    }
    panic!("the Tab key comes to no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_can_be_acted_on_has_a_name_and_is_reached_by_the_tab_key() {
    let mut dashboard = Dashboard::open().await;
    let script = format!(
        "echo said; echo wrong >&2; echo 1,2 > /outputs/a.csv; echo b > /outputs/b.txt; : {}",
        unique()
    );
    let id = dashboard.server.submit(&shell(&script)).await;
    dashboard.server.finished(&id).await;
    dashboard.door.post("/api/sites/allow", &json!({"origin": "https://allowed.example"})).await;
    dashboard.door.post("/api/sites/block", &json!({"origin": "https://blocked.example"})).await;
    Raw::new("GET", "/q/local").header("Origin", "https://asks.example").send(&dashboard.server).await;
    let job = format!("job/{id}");
    let places = [
        ("queue", "job-row", None),
        (&*job, "preview-table", Some("job-tab-files")),
        (&*job, "log-line", Some("job-tab-log")),
        (&*job, "definition", Some("job-tab-definition")),
        (&*job, "job-tab-resources", Some("job-tab-resources")),
        ("cache", "cache-row", None),
        ("sites", "site-network-none", Some("site-details")),
        ("settings", "input-listen", None),
        ("start", "doctor-check", None),
    ];
    for (place, part, click) in places {
        dashboard.goes_to(place).await;
        if let Some(click) = click {
            dashboard.clicks(click).await;
        }
        dashboard.sees(part).await;
        dashboard.value("document.querySelectorAll('details').forEach(part => { part.open = true; })").await;
        assert_eq!(dashboard.page.nameless().await, Vec::<String>::new(), "{place} {part}");
        walk(&mut dashboard).await;
        let unreached: Value = dashboard.value(UNREACHED).await;
        assert_eq!(unreached, json!([]), "{place} {part}");
    }
}
