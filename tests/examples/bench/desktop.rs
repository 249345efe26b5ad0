//! The desktop app: from its start to the icon in the tray, from the wish for a window to one that is drawn, what it
//! keeps in memory, and whether it sleeps when there is nothing to do.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use deskgrid_tests::desktop::{Desktop, desktop_program};
use deskgrid_tests::session::Session;
use deskgrid_tests::tray::Tray;
use serde_json::json;
use tokio::process::Command;

use crate::Scale;
use crate::command_line::finished;
use crate::memory::Resident;
use crate::samples::Samples;
use crate::table::{Row, megabytes};

const MOST_TO_TRAY: Duration = Duration::from_millis(500);
const MOST_TO_WINDOW: Duration = Duration::from_millis(700);
const MOST_MEMORY: f64 = 90e6;
/// What starting and closing leave to do is over by then.
const CALM: Duration = Duration::from_secs(5);
/// The second look for what an earlier life left in the engine is over by then; the third and last comes a minute later.
const SETTLED: Duration = Duration::from_secs(8);
/// How long its sleep is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// Colours of a display on which nothing is but an empty window.
const FEW_COLOURS: usize = 24;

pub(crate) async fn measure(scale: Scale) -> Vec<Row> {
    let session = tokio::task::block_in_place(|| Session::start().with_window_manager());
    let mut rows = start(scale, &session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let _icon = tray.icon().await;
    tokio::time::sleep(CALM).await;
    rows.push(memory("tray, window never opened", app.pid()));
    tokio::time::sleep(SETTLED.saturating_sub(CALM)).await;
    rows.push(sleep("tray, idle", app.pid()).await);
    rows.extend(window(scale, &session, &app).await);
    tokio::time::sleep(CALM).await;
    rows.push(memory("tray, window closed again", app.pid()));
    rows
}

async fn start(scale: Scale, session: &Session) -> Vec<Row> {
    let (mut shown, mut version) = (Samples::default(), Samples::default());
    for _ in 0..scale.rounds.min(15) {
        let mut tray = Tray::open(session).await;
        let began = Instant::now();
        let app = Desktop::start(session);
        let _icon = tray.icon().await;
        shown.push(began.elapsed());
        drop(app);
        let mut command = Command::new(desktop_program());
        command.arg("--version").stdout(Stdio::null());
        version.push(finished(command).await);
    }
    vec![
        Row::medians("start to the icon in the tray", &shown, &version, "deskgrid-desktop --version")
            .aim_time(shown.median(), MOST_TO_TRAY),
        Row::times("start to the icon, p95", shown.p95(), version.p95(), "deskgrid-desktop --version"),
    ]
}

/// Opens and closes the window again and again.
async fn window(scale: Scale, session: &Session, app: &Desktop) -> Vec<Row> {
    let door = app.door().await;
    let (mut visible, mut drawn) = (Samples::default(), Samples::default());
    let mut largest: f64 = 0.0;
    for _ in 0..scale.long_rounds.max(3) {
        let began = Instant::now();
        door.post("/api/desk/window", &json!({ "link": null })).await;
        while session.windows().await.is_empty() {}
        visible.push(began.elapsed());
        while colours(session).await < FEW_COLOURS {}
        drawn.push(began.elapsed());
        tokio::time::sleep(CALM).await;
        largest =
            largest.max(tree(app.pid()).iter().map(|pid| Resident::of_process(*pid).proportional).sum());
        session.close_window().await;
    }
    vec![
        Row::medians("window, from the wish to drawn", &drawn, &visible, "until it is on the display")
            .aim_time(drawn.median(), MOST_TO_WINDOW),
        Row::new("app with an open window (PSS)", megabytes(largest)),
    ]
}

/// How many colours are on the display.
async fn colours(session: &Session) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("display.rgb");
    session.picture(Path::new(&format!("rgb:{}", file.display()))).await;
    let bytes = std::fs::read(file).expect("a picture");
    let pixels = bytes.as_chunks::<3>().0.iter().step_by(37);
    pixels.collect::<std::collections::HashSet<_>>().len()
}

fn memory(what: &str, pid: u32) -> Row {
    let found = Resident::of_process(pid);
    Row::new(format!("{what} (PSS)"), megabytes(found.proportional))
        .against(megabytes(found.all), "RSS")
        .aim_bytes(found.proportional, MOST_MEMORY)
}

/// How often any of its threads woke up.
async fn sleep(what: &str, pid: u32) -> Row {
    let before = wake_ups(pid);
    tokio::time::sleep(WATCHED).await;
    let after = wake_ups(pid);
    // A thread that has ended since counts no more, and one that is new woke up for all that it did.
    let woken: u64 =
        after.iter().map(|(thread, count)| count - before.get(thread).copied().unwrap_or_default()).sum();
    let named = format!("{what}: wake-ups in {} s", WATCHED.as_secs());
    Row::new(named, woken.to_string()).aim_count(woken, 0)
}

/// Of each thread.
fn wake_ups(pid: u32) -> HashMap<OsString, u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let woken = threads.filter_map(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((thread.file_name(), count.trim().parse().ok()?))
    });
    woken.collect()
}

/// A process and all that it started.
fn tree(pid: u32) -> Vec<u32> {
    let children = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = children.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(tree)).collect()
}
