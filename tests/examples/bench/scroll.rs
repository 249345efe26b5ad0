//! Scrolling through a long queue in a real browser: how long frames take, beside the same in an empty page as tall.

use std::time::Duration;

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, long_queue};
use serde_json::Value;

use crate::Bench;
use crate::samples::Samples;
use crate::table::Row;

const LIMIT: &str = "an empty page as tall";
/// Nobody sees a frame that comes so late.
const MOST_P95: Duration = Duration::from_millis(20);
/// Nobody sees a single one that does.
const LONGEST: Duration = Duration::from_millis(50);
/// What is measured at once.
const FRAMES: usize = 180;
/// As a wheel that is turned quickly: pixels in each frame.
const WHEEL: &str = "top => top + 160";
/// As a scroll bar that is dragged: rows that were never near each other.
const DRAGGED: &str = "(top, room) => (top + room * 0.377) % room";

/// Brings a scroller of the same size and height about that has nothing in it, over everything else.
const EMPTY: &str = "(() => { const list = document.querySelector('[data-testid=\"job-list\"]'); \
    const empty = document.createElement('div'); const tall = document.createElement('div'); \
    Object.assign(empty.style, {position: 'fixed', inset: '0', overflow: 'auto', zIndex: '9', background: 'white'}); \
    tall.style.height = `${list.scrollHeight}px`; empty.id = 'empty'; empty.append(tall); document.body.append(empty); })()";

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let jobs = bench.scale.queued;
    let server = Deskgrid::start_without_engine().await;
    long_queue::fill(&server, jobs).await;
    let mut dashboard = Dashboard::over(server).await;
    dashboard.page.looks(false, 1080, 720).await;
    let rows = "document.querySelector('[data-testid=\"job-list\"]')?.getAttribute('aria-rowcount')";
    dashboard.until(&format!("{rows} === '{}'", jobs + 1)).await;
    let mut table = Vec::new();
    for (how, step) in [("by the wheel", WHEEL), ("by its bar", DRAGGED)] {
        let (mut ours, mut empty) = (Samples::default(), Samples::default());
        for _ in 0..bench.scale.long_rounds {
            scroll(&mut dashboard, "[data-testid=\"job-list\"]", step, &mut ours).await;
            dashboard.value(EMPTY).await;
            scroll(&mut dashboard, "#empty", step, &mut empty).await;
            dashboard.value("document.getElementById('empty').remove()").await;
        }
        let what = format!("{jobs} rows scrolled {how}: a frame");
        table.extend([
            Row::times(format!("{what}, p95"), ours.p95(), empty.p95(), LIMIT).aim_time(ours.p95(), MOST_P95),
            Row::times(format!("{what}, the longest"), ours.longest(), empty.longest(), LIMIT)
                .aim_time(ours.longest(), LONGEST),
        ]);
    }
    table
}

/// Scrolls once in each frame, and notes how long each was.
async fn scroll(dashboard: &mut Dashboard, list: &str, step: &str, frames: &mut Samples) {
    let selector = Value::from(list);
    let script = format!(
        "new Promise(done => {{ const list = document.querySelector({selector}); const next = {step}; \
         const room = list.scrollHeight - list.clientHeight; const frames = []; let last = null; let top = 0; \
         const frame = now => {{ if (last !== null) frames.push(now - last); last = now; \
         if (frames.length === {FRAMES}) return done(frames); \
         top = next(top, room) % room; list.scrollTop = top; requestAnimationFrame(frame); }}; \
         requestAnimationFrame(frame); }})"
    );
    let took = dashboard.value(&script).await;
    let took = took.as_array().expect("a list").iter().filter_map(Value::as_f64);
    took.for_each(|ms| frames.push(Duration::from_secs_f64(ms / 1e3)));
}
