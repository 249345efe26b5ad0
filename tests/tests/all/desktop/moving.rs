//! The data folder goes to another place while the app runs.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use deskgrid_tests::desktop::Desktop;
use deskgrid_tests::notifications::Notifications;
use deskgrid_tests::session::Session;
use deskgrid_tests::tray::Tray;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::window::Window;
use deskgrid_tests::{Door, eventually, shell, unique};
use serde_json::{Value, json};

use super::tray::{endless, is_idle};

#[tokio::test]
async fn the_data_folder_moves_with_all_that_is_in_it() {
    let session = Session::start();
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start_with_movable_data(&session);
    let icon = tray.icon().await;
    let door = app.door().await;
    let running = endless(&door).await;
    let to = app.folder().join("elsewhere");
    let (status, refused) = door.ask("POST", "/api/desk/move", &json!({ "to": to })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("jobs-run")), "{refused}");
    assert_eq!(door.get("/api/desk").await["doors"], json!("open"), "a refusal changes nothing");
    door.post(&format!("/api/jobs/{running}/cancel"), &Value::Null).await;
    let job = json!({ "definition": shell(&format!("echo {}", unique())) });
    let id = door.post("/q/local", &job).await["jobId"].as_str().unwrap().to_owned();
    let result = format!("/j/{id}/result.json");
    eventually("the job is over", async || !door.get(&result).await["data"].is_null()).await;

    door.post("/api/desk/move", &json!({ "to": to })).await;
    let socket = to.join("deskgrid.sock");
    eventually("the new door is open", async || tokio::net::UnixStream::connect(&socket).await.is_ok()).await;
    let door = Door::of(&to);
    assert!(!door.get(&result).await["data"].is_null());
    assert_eq!(door.get("/api/desk").await["dataDirectory"], json!(to));
    eventually("the old folder is gone", async || !app.data().exists()).await;
    icon.until("it is idle again", is_idle).await;
}

/// A place whose name leaves no room for the longer names in it: the copy begins there and fails.
fn too_long(folder: &std::path::Path) -> std::path::PathBuf {
    const LONGEST: usize = 4095;
    let mut place = folder.to_owned();
    while place.as_os_str().len() < LONGEST - 12 {
        let left = LONGEST - 11 - place.as_os_str().len();
        place.push("x".repeat(left.min(200)));
    }
    place
}

#[tokio::test]
async fn a_move_that_fails_is_told_and_leaves_all_as_it_was() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start_with_movable_data(&session);
    let icon = tray.icon().await;
    let door = app.door().await;
    icon.click(&["Stop"]).await;
    icon.until("it is stopped", |shown| shown.status_line().starts_with("Stopped")).await;
    let to = too_long(app.folder());
    door.post("/api/desk/move", &json!({ "to": to })).await;
    notifications.until("That did not work").await;
    let desk = app.door().await.get("/api/desk").await;
    assert_eq!((&desk["dataDirectory"], &desk["doors"]), (&json!(app.data()), &json!("closed")), "{desk}");
    assert!(desk["move"]["problem"].as_str().unwrap().contains("could not be copied"), "{desk}");
    assert!(!to.exists());
    let mut window = Window::open(&session, &app.data()).await;
    window.goes_to("settings").await;
    window.sees("data-move-failed").await;
}

/// A folder whose local door lies outside of it, for the length of its path, and in the way of that door a folder.
fn with_blocked_door(session: &Session, beside: &std::path::Path) -> std::path::PathBuf {
    let place = beside.join("x".repeat(120));
    let digits = &deskgrid_tests::sha256(place.as_os_str().as_encoded_bytes())[..16];
    let doors = session.home().with_file_name("run");
    std::fs::create_dir(doors.join(format!("deskgrid-{digits}.sock"))).unwrap();
    place
}

#[tokio::test]
async fn data_that_cannot_be_used_at_their_new_place_are_used_where_they_were() {
    let session = Session::start();
    let mut notifications = Notifications::open(&session).await;
    let mut tray = Tray::open(&session).await;
    let app = Desktop::start_with_movable_data(&session);
    let icon = tray.icon().await;
    let door = app.door().await;
    let job = json!({ "definition": shell(&format!("echo {}", unique())) });
    let id = door.post("/q/local", &job).await["jobId"].as_str().unwrap().to_owned();
    let result = format!("/j/{id}/result.json");
    eventually("the job is over", async || !door.get(&result).await["data"].is_null()).await;
    let to = with_blocked_door(&session, app.folder());
    door.post("/api/desk/move", &json!({ "to": to })).await;
    let told = notifications.until("That did not work").await;
    assert!(told.body.contains("local door") && told.body.contains("where they were"), "{told:?}");
    icon.until("it is idle again", is_idle).await;
    let door = app.door().await;
    let desk = door.get("/api/desk").await;
    assert_eq!(desk["dataDirectory"], json!(app.data()), "{desk}");
    assert!(desk["move"]["problem"].as_str().unwrap().contains("local door"), "{desk}");
    assert!(!door.get(&result).await["data"].is_null(), "what it had is there");
    assert!(!to.exists(), "the copy is gone");
    let settings = std::fs::read_to_string(app.folder().join("settings.toml")).unwrap();
    assert!(settings.contains(&app.data().display().to_string()), "{settings}");
}

/// Files that nobody can open for the time being: who tries waits until this is dropped, or for as long as the system lets
/// the lease of a file hold, which is 45 s.
struct Held(Child);

impl Held {
    fn new(files: &[PathBuf]) -> Self {
        // The two numbers are F_SETLEASE and F_WRLCK. Who waits is told of by a signal, which would end the program. A
        // process that another test is about to start may have a file open until it is that program.
        let lease = "$SIG{IO} = 'IGNORE'; my @held; for (@ARGV) { open(my $file, '+<', $_) or die $!; \
                     until (fcntl($file, 1024, 1)) { $!{EAGAIN} or die $!; select(undef, undef, undef, 0.05) } \
                     push @held, $file } $| = 1; print qq(held\\n); sleep";
        let mut program =
            Command::new("perl").args(["-e", lease]).args(files).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        Self(program)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn while_the_data_folder_moves_the_window_says_that_and_nothing_else() {
    let session = Session::start();
    let _tray = Tray::open(&session).await;
    let app = Desktop::start_with_movable_data(&session);
    let door = app.door().await;
    let mut window = Window::open(&session, &app.data()).await;
    window.sees("server-stop").await;
    // They are copied one after the other.
    let files: Vec<_> = (0..8).map(|number| app.data().join(format!("large-{number}"))).collect();
    for file in &files {
        std::fs::write(file, "bytes").unwrap();
    }
    let held = Held::new(&files);
    door.post("/api/desk/move", &json!({ "to": app.folder().join("elsewhere") })).await;
    window.reads_in("banner-move", "The data folder is being moved").await;
    window.reads_in("server-state", "Moves its data folder").await;
    for place in ["queue", "cache", "sites", "settings", "start"] {
        window.goes_to(place).await;
        window.sees(&format!("screen-{place}")).await;
        window.sees("banner-move").await;
        assert_eq!(window.value(BESIDE_A_MOVE).await, json!([]), "{place}");
    }
    drop(held);
    window.misses("banner-move").await;
}

/// What a window must not show or offer while the data folder moves.
const BESIDE_A_MOVE: &str = "['banner-closed', 'banner-engine', 'banner-start', 'server-start', 'server-menu', \
     'queue-outdated', 'failed'].filter(part => document.querySelector(`[data-testid=\"${part}\"]`) !== null)";
