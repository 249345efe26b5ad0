//! Stored files that are not the files any more that were put there: nobody is given wrong bytes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use deskgrid_tests::crash::damage::spoil_database;
use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, Options, Outcome, deskgrid, sha256, shell, unique};
use serde_json::{Value, json};

use crate::administration::Desk;

fn place(server: &Deskgrid, key: &str) -> PathBuf {
    server.data().join("blobs").join(&key[..2]).join(key)
}

/// Flips a byte in the middle, as a failing disk does.
fn flip(server: &Deskgrid, key: &str) {
    let place = place(server, key);
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = std::fs::read(&place).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&place, bytes).unwrap();
}

/// Stores bytes of its own and returns them with their hash.
async fn stored(server: &Deskgrid, count: usize) -> (String, Vec<u8>) {
    let bytes: Vec<u8> = unique().into_bytes().into_iter().cycle().take(count).collect();
    let key = sha256(&bytes);
    assert_eq!(server.put(&key, bytes.clone()).await, 200);
    (key, bytes)
}

fn code(answer: &[u8]) -> Value {
    serde_json::from_slice::<Value>(answer).unwrap_or_default()["code"].clone()
}

async fn verify(server: &Deskgrid, more: &[&str]) -> Outcome {
    let (data, settings) = (server.data(), server.settings());
    let (data, settings) = (data.to_string_lossy(), settings.to_string_lossy());
    let args = ["verify", "--data-directory", &*data, "--config", &*settings];
    deskgrid(&[&args, more].concat()).await
}

#[tokio::test]
async fn not_a_byte_of_a_damaged_small_file_is_given_and_bringing_it_again_heals_it() {
    let server = Deskgrid::start_without_engine().await;
    let (key, bytes) = stored(&server, 5000).await;
    flip(&server, &key);
    for _ in 0..2 {
        let (status, answer) = server.get(&format!("/f/{key}")).await;
        assert_eq!(
            (status, code(&answer)),
            (410, json!("file-damaged")),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(server.get(&format!("/f/{key}/exists")).await.0, 404);
    assert!(server.data().join("damaged").join(&key).exists());
    let notices = Desk::of(&server).get("/api/desk").await["notices"].clone();
    assert_eq!(notices[0]["code"], "files-damaged", "{notices}");
    assert_eq!(server.put(&key, bytes.clone()).await, 200);
    assert_eq!(server.get(&format!("/f/{key}")).await, (200, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_found_after_the_person_read_of_another_is_told_again() {
    let mut dashboard = Dashboard::over(Deskgrid::start_without_engine().await).await;
    for files in ["1 stored file was", "2 stored files were"] {
        let (key, _) = stored(&dashboard.server, 5000).await;
        flip(&dashboard.server, &key);
        assert_eq!(dashboard.server.get(&format!("/f/{key}")).await.0, 410);
        dashboard.reads_in("banner-files-damaged", files).await;
        dashboard.clicks("notice-dismiss").await;
        dashboard.misses("banner-files-damaged").await;
    }
}

#[tokio::test]
async fn not_a_byte_of_a_damaged_large_file_is_given() {
    let mut server = Deskgrid::start_without_engine().await;
    let (key, bytes) = stored(&server, 20 << 20).await;
    let (kept, others) = stored(&server, 20 << 20).await;
    assert_eq!(server.terminate().await, Some(0));
    flip(&server, &key);
    server.start_again().await;
    for _ in 0..2 {
        let (status, answer) = server.get(&format!("/f/{key}")).await;
        assert_eq!((status, code(&answer)), (410, json!("file-damaged")));
    }
    assert_eq!(server.get(&format!("/f/{kept}")).await, (200, others));
    assert_eq!(server.put(&key, bytes.clone()).await, 200);
    assert_eq!(server.get(&format!("/f/{key}")).await, (200, bytes));
}

#[tokio::test]
async fn no_part_of_a_damaged_file_is_given() {
    let server = Deskgrid::start_without_engine().await;
    let (key, _) = stored(&server, 20 << 20).await;
    let part = async || {
        let request = server.http().get(server.url(&format!("/f/{key}"))).header("Range", "bytes=0-9");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(part().await, 206);
    flip(&server, &key);
    assert_eq!(part().await, 410);
}

#[tokio::test]
async fn a_job_with_a_damaged_input_names_it_and_runs_when_it_was_brought_again() {
    let server = Deskgrid::start().await;
    let (key, bytes) = stored(&server, 3 << 20).await;
    flip(&server, &key);
    let mut definition = shell(&format!("wc -c < /inputs/data.bin; echo {}", unique()));
    definition["inputs"] = json!({"data.bin": {"type": "key", "value": key}});
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    let words = finished["finished"]["result"]["error"].as_str().unwrap();
    assert!(words.contains("data.bin") && words.contains(&key) && words.contains("damaged"), "{words}");
    let desk = Desk::of(&server);
    assert_eq!(desk.row(&id).await["failure"]["code"], "input-damaged");
    assert_eq!(server.put(&key, bytes).await, 200);
    desk.done(&format!("/api/jobs/{id}/again"), &json!({})).await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
}

#[tokio::test]
async fn an_output_that_is_gone_or_damaged_is_named_and_comes_back_when_the_job_runs_again() {
    let server = Deskgrid::start().await;
    let text = unique();
    let id = server.submit(&shell(&format!("echo {text} > /outputs/out.txt"))).await;
    let finished = server.finished(&id).await;
    let key = finished["finished"]["result"]["outputs"]["out.txt"]["hash"].as_str().unwrap().to_owned();
    flip(&server, &key);
    for _ in 0..2 {
        let (status, answer) = server.get(&format!("/j/{id}/outputs/out.txt")).await;
        let words = String::from_utf8_lossy(&answer);
        assert_eq!((status, code(&answer)), (410, json!("output-gone")), "{words}");
        assert!(words.contains("out.txt") && words.contains("Run the job again"), "{words}");
    }
    Desk::of(&server).done(&format!("/api/jobs/{id}/again"), &json!({})).await;
    let again = server.finished(&id).await;
    assert_eq!(server.output(&again, "out.txt").await, format!("{text}\n").into_bytes());
}

#[tokio::test]
async fn verify_finds_what_is_wrong_with_a_running_server_and_without_one() {
    // Its port stands in the settings, where the command finds it.
    let options = Options {
        docker_host: Some("unix:///nonexistent/engine.sock".to_owned()),
        port_in_settings: true,
        ..Options::default()
    };
    let mut server = Deskgrid::start_with(options).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(stored(&server, 50_000).await.0);
    }
    std::fs::write(server.settings(), format!("port = {}\n", server.port())).unwrap();
    let sound = verify(&server, &[]).await;
    assert_eq!((sound.code, sound.stdout.as_str()), (0, "4 files, 200.0 KB: all are sound.\n"), "{sound:?}");
    flip(&server, &keys[0]);
    let found = verify(&server, &[]).await;
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.contains(&format!("{} was damaged and has been set aside", keys[0])), "{found:?}");
    assert_eq!(server.terminate().await, Some(0));
    flip(&server, &keys[1]);
    let found = verify(&server, &["--json"]).await;
    assert_eq!(found.code, 1, "{found:?}");
    let json: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&json["files"], &json["faults"][0]["hash"]), (&json!(3), &json!(keys[1])), "{json}");
    assert_eq!(json["faults"][0]["wrong"], "damaged");
    let sound = verify(&server, &[]).await;
    assert_eq!((sound.code, sound.stdout.as_str()), (0, "2 files, 100.0 KB: all are sound.\n"), "{sound:?}");
}

#[tokio::test]
async fn verify_without_a_server_tells_that_it_has_rebuilt_the_records() {
    let mut server = Deskgrid::start_without_engine().await;
    stored(&server, 100).await;
    server.submit(&shell(&unique())).await;
    assert_eq!(server.terminate().await, Some(0));
    spoil_database(&server.data());
    let found = verify(&server, &[]).await;
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.contains("have been rebuilt: 1 job is known"), "{found:?}");
    let sound = verify(&server, &[]).await;
    assert_eq!((sound.code, sound.stdout.as_str()), (0, "1 file, 100 B: all are sound.\n"), "{sound:?}");
    server.start_again().await;
    let notices = Desk::of(&server).get("/api/desk").await["notices"].clone();
    assert_eq!(notices[0]["code"], "records-rebuilt", "{notices}");
}

#[tokio::test]
async fn a_verification_is_told_how_far_it_is_and_can_be_cancelled() {
    let server = Deskgrid::start_without_engine().await;
    stored(&server, 100).await;
    let desk = Desk::of(&server);
    desk.done("/api/verify", &json!({})).await;
    deskgrid_tests::eventually("it is over", async || {
        !desk.get("/api/verify").await["running"].as_bool().unwrap()
    })
    .await;
    let state = desk.get("/api/verify").await;
    assert_eq!((&state["files"]["done"], &state["findings"]["sound"]), (&json!(1), &json!(true)), "{state}");
    let token = std::fs::read_to_string(server.data().join("token")).unwrap();
    let cancel =
        server.http().delete(server.url("/api/verify")).bearer_auth(token.trim()).send().await.unwrap();
    assert_eq!(cancel.json::<Value>().await.unwrap()["cancelled"], true);
    let stranger = server.http().post(server.url("/api/verify")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
