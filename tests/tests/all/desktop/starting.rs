//! Ways into the app: the first start, the second one, links, and starts that cannot succeed.

use std::process::Stdio;

use deskgrid_tests::desktop::{Desktop, desktop, desktop_program, window_program};
use deskgrid_tests::notifications::Notifications;
use deskgrid_tests::session::Session;
use deskgrid_tests::tray::Tray;
use deskgrid_tests::{Deskgrid, Door, eventually};
use tokio::process::Command;

use super::tray::{is_idle, started};

async fn window_opens(session: &Session) {
    eventually("a window opens", async || session.windows().await.len() == 1).await;
}

#[tokio::test]
async fn a_second_start_opens_the_window_of_the_first_and_ends() {
    let (session, tray, app, icon, _door) = started().await;
    icon.until("it is idle", is_idle).await;
    let (code, said) = app.start_second(&session, &[]).await;
    assert_eq!(code, Some(0));
    assert!(said.starts_with("Deskgrid is running already"), "{said}");
    window_opens(&session).await;
    // A third one finds it open.
    assert_eq!(app.start_second(&session, &["deskgrid://job/0f3a"]).await.0, Some(0));
    assert_eq!((session.windows().await.len(), tray.count()), (1, 1));
}

#[tokio::test]
async fn two_starts_at_once_are_one_app_with_one_icon() {
    let session = Session::start();
    let tray = Tray::open(&session).await;
    let folder = tempfile::tempdir().unwrap();
    let start = || desktop(&session, folder.path(), &["--hidden"]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut one, mut other) = (start(), start());
    let (ended, mut lives) = tokio::select! {
        ended = one.wait() => (ended, other),
        ended = other.wait() => (ended, one),
    };
    assert!(ended.unwrap().success(), "whichever came second found the first");
    let door = Door::of(&folder.path().join("data"));
    eventually("one icon is left, that of the one that lives", async || {
        tray.icons().await == 1 && door.get("/api/desk").await["shell"]["tray"] == true
    })
    .await;
    assert!(lives.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_data_folder_of_an_app_that_is_still_leaving_is_waited_for() {
    let session = Session::start();
    let mut tray = Tray::open(&session).await;
    let mut app = Desktop::start(&session);
    app.door().await;
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    icon.click(&["Quit"]).await;
    assert_eq!(app.ended().await, Some(0));
    // What it has as long as it leaves: the lock, and no door.
    let lock = std::fs::File::options().write(true).open(app.data().join("deskgrid.lock")).unwrap();
    lock.lock().unwrap();
    app.start_again(&session);
    eventually("it looks again", async || app.log().contains("is looked for again")).await;
    drop(lock);
    eventually("a new icon comes", async || tray.count() == 2).await;
    let shown = tray.icon().await.until("it is idle", is_idle).await;
    assert_eq!(shown.status, "Active");
}

#[tokio::test]
async fn the_first_start_opens_the_window_and_closing_it_leaves_the_tray() {
    let session = Session::start().with_window_manager();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let mut app = Desktop::start_with(&session, &[]);
    let icon = tray.icon().await;
    window_opens(&session).await;
    session.close_window().await;
    notifications.until("Deskgrid keeps running").await;
    icon.until("it is idle", is_idle).await;
    icon.click(&["Open window"]).await;
    window_opens(&session).await;
    session.close_window().await;
    icon.click(&["Quit"]).await;
    assert_eq!(app.ended().await, Some(0));
    // The second start goes to the tray, and what was said once is not said again.
    app.start_again(&session);
    eventually("a new icon comes", async || tray.count() == 2).await;
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    assert_eq!((session.windows().await.len(), notifications.count("keeps running")), (0, 1));
}

#[tokio::test]
async fn a_click_on_the_icon_opens_the_window() {
    let (session, _tray, _app, icon, _door) = started().await;
    icon.until("it is idle", is_idle).await;
    icon.activate().await;
    window_opens(&session).await;
}

#[tokio::test]
async fn a_window_that_dies_takes_nothing_along() {
    let (session, _tray, app, icon, door) = started().await;
    icon.activate().await;
    window_opens(&session).await;
    let killed =
        Command::new("pkill").args(["-KILL", "-P", &app.pid().to_string(), "deskgrid-window"]).status().await;
    assert!(killed.unwrap().success());
    eventually("the window is closed", async || session.windows().await.is_empty()).await;
    assert_eq!(door.get("/api/desk").await["doors"], "open");
    icon.activate().await;
    window_opens(&session).await;
}

#[tokio::test]
async fn without_a_tray_another_window_follows_one_that_dies() {
    let session = Session::start().with_window_manager();
    let app = Desktop::start_with(&session, &[]);
    app.door().await;
    window_opens(&session).await;
    let pid = app.pid().to_string();
    let windows = async || {
        let found = Command::new("pgrep").args(["-P", &pid, "deskgrid-window"]).output().await.unwrap();
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    };
    let first = windows().await;
    assert!(Command::new("kill").args(["-KILL", &first]).status().await.unwrap().success());
    eventually("there is another", async || {
        let window = windows().await;
        !window.is_empty() && window != first
    })
    .await;
}

#[tokio::test]
async fn without_a_tray_the_window_stays_and_closing_it_minimises_it() {
    let session = Session::start().with_window_manager();
    let app = Desktop::start_with(&session, &[]);
    let door = app.door().await;
    window_opens(&session).await;
    session.close_window().await;
    assert_eq!(door.get("/api/desk").await["shell"]["tray"], false);
    // It is still there, and comes back when the app is started again.
    assert_eq!(app.start_second(&session, &[]).await.0, Some(0));
    window_opens(&session).await;
}

/// Whether the app's window is an entry in the task bar and nothing else.
async fn is_minimised(session: &Session) -> bool {
    let found = session.xdotool(&["search", "--name", "^Deskgrid$"]).await;
    let Some(window) = found.lines().next() else { return false };
    let mut command = Command::new("xprop");
    command.envs(session.variables()).args(["-id", window, "WM_STATE"]);
    let said = command.output().await.expect("x11-utils is installed");
    String::from_utf8_lossy(&said.stdout).contains("Iconic")
}

#[tokio::test]
async fn a_tray_that_comes_later_gets_the_icon_and_lets_the_window_close() {
    let session = Session::start().with_window_manager();
    let mut notifications = Notifications::open(&session).await;
    let app = Desktop::start(&session);
    let door = app.door().await;
    assert_eq!(door.get("/api/desk").await["shell"]["tray"], false);
    eventually("its window waits in the task bar", async || is_minimised(&session).await).await;
    let mut tray = Tray::open(&session).await;
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    eventually("the app knows", async || door.get("/api/desk").await["shell"]["tray"] == true).await;
    // The window that was opened before the tray came, and then another one.
    for _ in 0..2 {
        icon.activate().await;
        window_opens(&session).await;
        session.close_window().await;
        eventually("its process is over", async || !has_window(&app).await).await;
        notifications.until("Deskgrid keeps running").await;
    }
    assert_eq!(notifications.count("keeps running"), 1);
    icon.until("it is idle", is_idle).await;
    assert_eq!(door.get("/api/desk").await["doors"], "open");
}

#[tokio::test]
async fn a_window_that_is_asked_for_while_it_closes_opens_again() {
    let session = Session::start().with_window_manager();
    let mut tray = Tray::open(&session).await;
    let _app = Desktop::start(&session);
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    icon.activate().await;
    for _ in 0..3 {
        window_opens(&session).await;
        session.close_window().await;
        // Its process takes a moment longer to end than what is seen of it.
        icon.activate().await;
    }
    window_opens(&session).await;
}

#[tokio::test]
async fn a_window_that_is_asked_for_again_while_it_starts_stays_closed_when_the_person_closes_it() {
    let session = Session::start().with_window_manager();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start(&session);
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    icon.activate().await;
    icon.activate().await;
    window_opens(&session).await;
    session.close_window().await;
    notifications.until("Deskgrid keeps running").await;
    eventually("its process is over", async || !has_window(&app).await).await;
}

#[tokio::test]
async fn a_tray_that_goes_leaves_a_window_that_closing_only_minimises() {
    let session = Session::start().with_window_manager();
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start_with(&session, &[]);
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    window_opens(&session).await;
    drop((icon, tray));
    eventually("the icon is given up", async || app.log().contains("the window stays")).await;
    session.close_window().await;
    eventually("there still is a window", async || has_window(&app).await).await;
    assert_eq!(app.start_second(&session, &[]).await.0, Some(0));
    window_opens(&session).await;
}

/// Whether the app has a window, visible or not.
async fn has_window(app: &Desktop) -> bool {
    let search = ["-P", &app.pid().to_string(), "deskgrid-window"];
    Command::new("pgrep").args(search).stdout(Stdio::null()).status().await.is_ok_and(|found| found.success())
}

#[tokio::test]
async fn wrong_settings_are_told_and_tried_again_when_they_are_right() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.toml"), "memory = 'lots'\n").unwrap();
    let mut app = desktop(&session, folder.path(), &["--hidden"]).stdout(Stdio::null()).spawn().unwrap();
    let icon = tray.icon().await;
    let shown = icon.until("it says why", |shown| shown.status == "NeedsAttention").await;
    assert_eq!(shown.status_line(), "Deskgrid could not start");
    assert!(shown.tooltip.contains("lots"), "{}", shown.tooltip);
    notifications.until("Deskgrid could not start").await;
    std::fs::write(folder.path().join("settings.toml"), "").unwrap();
    icon.click(&["Try again"]).await;
    icon.until("it is idle", is_idle).await;
    icon.click(&["Quit"]).await;
    assert!(app.wait().await.unwrap().success());
}

#[tokio::test]
async fn without_a_tray_a_window_says_what_is_wrong_and_asks_whether_to_try_again() {
    let session = Session::start().with_window_manager();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, "memory = 'lots'\n").unwrap();
    let mut app = desktop(&session, folder.path(), &[]).stdout(Stdio::null()).spawn().unwrap();
    let asks = async || session.xdotool(&["search", "--onlyvisible", "--name", "could not start"]).await;
    eventually("a window asks", async || !asks().await.is_empty()).await;
    std::fs::write(&settings, "").unwrap();
    // The way to the one button or the other is the system's own.
    session.xdotool(&["windowactivate", "--sync", &asks().await]).await;
    session.confirms("could not start").await;
    window_opens(&session).await;
    let door = Door::of(&folder.path().join("data"));
    door.post("/api/desk/quit", &serde_json::json!({"running": "keep"})).await;
    assert!(app.wait().await.unwrap().success());
}

#[tokio::test]
async fn beside_a_server_in_a_terminal_only_its_window_opens() {
    let server = Deskgrid::start().await;
    let session = Session::start().with_window_manager();
    let tray = Tray::open(&session).await;
    let mut command = desktop(&session, server.data().parent().unwrap(), &[]);
    let app = command.stdout(Stdio::piped()).spawn().unwrap();
    window_opens(&session).await;
    session.close_window().await;
    let output = app.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("deskgrid serve"), "{said}");
    assert_eq!(tray.count(), 0);
}

#[tokio::test]
async fn beside_the_app_a_server_in_a_terminal_says_where_the_app_is_and_ends() {
    let session = Session::start();
    let app = Desktop::start_with(&session, &["--hidden"]);
    let address = app.door().await.get("/api/desk").await["address"].as_str().unwrap().to_owned();
    let data = app.data();
    let args = ["serve", "--port", "0", "--data-directory", data.to_str().unwrap()];
    let second = deskgrid_tests::deskgrid(&args).await;
    assert_eq!(second.code, 1, "{second:?}");
    assert!(
        second.stderr.contains("desktop app") && second.stderr.contains(&app.pid().to_string()),
        "{second:?}"
    );
    assert!(second.stderr.contains(&address), "{second:?}");
}

#[tokio::test]
async fn without_a_display_it_says_so() {
    for (program, args) in [(desktop_program(), &[][..]), (window_program(), &["--door", "x"][..])] {
        let mut command = Command::new(program);
        let output =
            command.args(args).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("no display") && said.contains("deskgrid serve"), "{said}");
    }
}

/// Left, top, width and height of the window.
async fn place(session: &Session) -> Vec<String> {
    let window = session.windows().await.pop().unwrap();
    let place = session.xdotool(&["getwindowgeometry", "--shell", &window]).await;
    place
        .lines()
        .filter(|line| !line.starts_with("WINDOW") && !line.starts_with("SCREEN"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_window_comes_back_where_it_was_and_as_large() {
    let session = Session::start().with_window_manager();
    let mut tray = Tray::open(&session).await;
    let _app = Desktop::start(&session);
    let icon = tray.icon().await;
    icon.until("it is idle", is_idle).await;
    icon.activate().await;
    window_opens(&session).await;
    let window = session.windows().await.pop().unwrap();
    session.xdotool(&["windowsize", "--sync", &window, "800", "560"]).await;
    session.xdotool(&["windowmove", "--sync", &window, "120", "90"]).await;
    let chosen = place(&session).await;
    assert!(chosen.contains(&"WIDTH=800".to_owned()), "{chosen:?}");
    for _ in 0..2 {
        session.close_window().await;
        icon.activate().await;
        window_opens(&session).await;
        eventually("it is where it was", async || place(&session).await == chosen).await;
    }
}

/// A display that is named and has nobody behind it.
const SILENT: (&str, &str) = ("DISPLAY", ":997");

#[tokio::test]
async fn a_display_that_does_not_answer_is_said_and_ends_what_could_not_be_seen() {
    let session = Session::start();
    let folder = tempfile::tempdir().unwrap();
    let mut app = desktop(&session, folder.path(), &[]);
    let mut window = Command::new(window_program());
    window.args(["--door", "x"]).envs(session.variables()).env_remove("WAYLAND_DISPLAY");
    for command in [&mut app, &mut window] {
        let output = command.env(SILENT.0, SILENT.1).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        let named = said.contains("does not answer (DISPLAY=:997)") && said.contains("deskgrid serve");
        assert!(named && !said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn a_window_without_a_display_leaves_the_tray_and_tells_the_person() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = desktop(&session, folder.path(), &[]);
    let mut app = command.env(SILENT.0, SILENT.1).stdout(Stdio::null()).spawn().unwrap();
    let icon = tray.icon().await;
    let told = notifications.until("There is no window").await;
    assert!(told.body.contains("display does not answer"), "{told:?}");
    icon.until("it is idle", is_idle).await;
    icon.click(&["Open window"]).await;
    eventually("it is told again", async || notifications.count("There is no window") == 2).await;
    assert_eq!(notifications.count("keeps running"), 0);
    icon.click(&["Quit"]).await;
    assert!(app.wait().await.unwrap().success());
}
