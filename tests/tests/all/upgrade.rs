//! Databases of other programs, and damaged ones.

use std::path::Path;

use deskgrid_tests::crash::damage::spoil_database;
use deskgrid_tests::{Deskgrid, Outcome, deskgrid, shell, unique};
use serde_json::json;

use crate::administration::Desk;

async fn serve(server: &Deskgrid) -> Outcome {
    let (data, settings) = (server.data(), server.settings());
    let (data, settings) = (data.to_string_lossy(), settings.to_string_lossy());
    deskgrid(&["serve", "--port", "0", "--data-directory", &data, "--config", &settings]).await
}

/// Every file of a folder with its content, but for the lock.
fn everything(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else if path.file_name().is_some_and(|name| name != "deskgrid.lock") {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_database_of_a_newer_deskgrid_is_refused_and_nothing_is_touched() {
    let mut server = Deskgrid::start_without_engine().await;
    server.submit(&shell(&unique())).await;
    assert_eq!(server.terminate().await, Some(0));
    let database = server.data().join("deskgrid.sqlite3");
    let mut bytes = std::fs::read(&database).unwrap();
    // The form of the tables, as the file format has it.
    bytes[60..64].copy_from_slice(&4711_u32.to_be_bytes());
    std::fs::write(&database, bytes).unwrap();
    let before = everything(&server.data());
    let outcome = serve(&server).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("newer Deskgrid") && outcome.stderr.contains("4711"), "{outcome:?}");
    assert_eq!(everything(&server.data()), before);
}

#[tokio::test]
async fn damaged_records_are_rebuilt_with_every_job_and_the_person_is_told() {
    let mut server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let done = server.submit(&shell(&format!("echo {}; echo kept > /outputs/file", unique()))).await;
    let result = server.finished(&done).await;
    let mark = unique();
    let running = server.submit(&crate::restart::in_two_halves(&mark)).await;
    server.until_said(&running, "first").await;
    let waiting = server.submit(&shell(&format!("echo {}; exit 3", unique()))).await;
    server.kill().await;
    let database = server.data().join("deskgrid.sqlite3");
    let length = std::fs::metadata(&database).unwrap().len();
    std::fs::write(&database, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    server.start_again().await;
    let desk = Desk::of(&server);
    let known = desk.get("/api/desk").await;
    let notice = &known["notices"][0];
    assert_eq!(notice["code"], "records-rebuilt", "{known}");
    assert!(notice["words"].as_str().unwrap().contains("3 jobs are known"), "{notice}");
    assert_eq!(server.get_json(&format!("/j/{done}/result.json")).await["data"], result);
    assert_eq!(server.output(&result, "file").await, b"kept\n");
    // What ran goes on.
    let mut other = Deskgrid::start().await;
    crate::restart::go_on(&other, &mark).await;
    other.terminate().await;
    assert_eq!(server.finished(&running).await["finished"]["result"]["StatusCode"], 4);
    assert_eq!(server.finished(&waiting).await["finished"]["result"]["StatusCode"], 3);
    let (data, settings) = (server.data(), server.settings());
    std::fs::write(&settings, format!("data_directory = {data:?}\nport = 0\n")).unwrap();
    let doctor = deskgrid(&["doctor", "--config", &settings.to_string_lossy()]).await;
    assert!(doctor.stdout.contains("! damage "), "{doctor:?}");
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    let desk = Desk::of(&server);
    assert_eq!(desk.get("/api/desk").await["notices"][0], *notice, "it is told until it was read");
    desk.done("/api/desk/notices/dismiss", &json!({"code": "records-rebuilt"})).await;
    assert_eq!(desk.get("/api/desk").await["notices"], json!([]));
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    assert_eq!(Desk::of(&server).get("/api/desk").await["notices"], json!([]));
}

#[tokio::test]
async fn records_that_are_damaged_while_the_server_runs_are_rebuilt_and_jobs_go_on() {
    let mut server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let done = server.submit(&shell(&format!("echo {}", unique()))).await;
    let result = server.finished(&done).await;
    // What is written anew stands in the log at first, and is not damaged there.
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    let mark = unique();
    let running = server.submit(&crate::restart::in_two_halves(&mark)).await;
    server.until_said(&running, "first").await;
    // As long as they cannot be rebuilt, nobody is promised anything.
    let obstacle = server.data().join("damaged");
    std::fs::write(&obstacle, "").unwrap();
    spoil_database(&server.data());
    let (status, answer) = server.get(&format!("/j/{done}/result.json")).await;
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&answer));
    let submission = json!({"id": unique(), "definition": shell(&unique()), "control": {}});
    let (status, answer) = server.post("/q/local", &submission).await;
    assert_eq!((status, &answer["code"]), (503, &json!("records-damaged")), "{answer}");
    let desk = Desk::of(&server);
    assert_eq!(desk.get("/api/desk").await["notices"][0]["code"], "records-damaged");
    std::fs::remove_file(&obstacle).unwrap();
    let further = server.submit(&shell(&format!("echo {}; exit 3", unique()))).await;
    assert_eq!(server.get_json(&format!("/j/{done}/result.json")).await["data"], result);
    assert_eq!(desk.get("/api/desk").await["notices"][0]["code"], "records-rebuilt");
    let mut other = Deskgrid::start().await;
    crate::restart::go_on(&other, &mark).await;
    other.terminate().await;
    assert_eq!(server.finished(&running).await["finished"]["result"]["StatusCode"], 4);
    assert_eq!(server.finished(&further).await["finished"]["result"]["StatusCode"], 3);
}
