//! The data folder goes to another place while the app runs.

use deskgrid_tests::desktop::Desktop;
use deskgrid_tests::session::Session;
use deskgrid_tests::tray::Tray;
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
