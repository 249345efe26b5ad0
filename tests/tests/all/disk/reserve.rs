use deskgrid_tests::{OnSmallDisk, eventually, sha256, shell, unique};
use serde_json::{Value, json};

use crate::administration::Desk;

/// Megabytes that shall stay free.
const RESERVE: u64 = 60;
const MB: u64 = 1_000_000;

async fn small() -> OnSmallDisk {
    OnSmallDisk::start(&["--disk-reserve", "60m", "--cpus", "2"]).await
}

fn some_bytes(count: usize) -> Vec<u8> {
    unique().into_bytes().into_iter().cycle().take(count).collect()
}

/// Status and JSON answer of a PUT.
async fn put(on: &OnSmallDisk, key: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let answer = on.server.http().put(on.server.url(&format!("/f/{key}"))).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn below_the_reserve_uploads_are_refused_and_jobs_wait_until_there_is_room_again() {
    let on = small().await;
    let desk = Desk::of(&on.server);
    on.disk.fill_but((RESERVE - 10) * MB);
    let (status, answer) = put(&on, "a.txt", some_bytes(1000)).await;
    assert_eq!((status, &answer["code"]), (507, &json!("disk-full")), "{answer}");
    let words = answer["error"].as_str().unwrap();
    assert!(words.contains("nearly full") && words.contains("disk_reserve"), "{words}");
    let id = on.server.submit(&shell(&format!("echo {}", unique()))).await;
    eventually("the job says what it waits for", async || {
        desk.row(&id).await["waiting"]["why"].as_str().is_some_and(|why| why.contains("room on the disk"))
    })
    .await;
    let notices = desk.get("/api/desk").await["notices"].clone();
    assert_eq!(notices[0]["code"], "disk-low", "{notices}");
    on.disk.make_room();
    let finished = on.server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    assert_eq!(put(&on, "a.txt", some_bytes(1000)).await.0, 200);
    assert_eq!(desk.get("/api/desk").await["notices"], json!([]));
}

#[tokio::test]
async fn a_refused_upload_is_told_to_the_person_until_there_is_room_also_when_no_job_waits() {
    let on = small().await;
    let desk = Desk::of(&on.server);
    on.disk.fill_but((RESERVE - 10) * MB);
    assert_eq!(put(&on, "a.txt", some_bytes(1000)).await.0, 507);
    eventually("it is told", async || desk.get("/api/desk").await["notices"][0]["code"] == "disk-low").await;
    on.disk.make_room();
    eventually("it is over", async || desk.get("/api/desk").await["notices"] == json!([])).await;
}

#[tokio::test]
async fn an_upload_that_would_eat_the_reserve_is_broken_off_and_leaves_nothing() {
    let on = small().await;
    let before = on.disk.free();
    let announced = some_bytes(180 << 20);
    let (status, answer) = put(&on, "announced", announced).await;
    assert_eq!((status, &answer["code"]), (507, &json!("disk-full")), "{answer}");
    assert!(before - on.disk.free() < MB, "not a byte of it was taken");
    // Nobody knows beforehand how long this one is.
    let pieces = futures_util::stream::iter((0..180).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 1 << 20])));
    let sent = on.server.http().put(on.server.url("/f/unannounced")).body(reqwest::Body::wrap_stream(pieces));
    if let Ok(answer) = sent.send().await {
        assert_eq!(answer.status(), 507);
    }
    eventually("what came of it is gone", async || before - on.disk.free() < MB).await;
    assert_eq!(put(&on, "small", some_bytes(1000)).await.0, 200);
}

#[tokio::test]
async fn a_job_that_fills_the_disk_is_stopped_before_the_reserve_is_eaten_and_others_go_on() {
    let on = small().await;
    let quiet =
        on.server.submit(&shell(&format!("echo {}; sleep 8; echo end > /outputs/end", unique()))).await;
    // 20 MB a second, as a slow disk writes.
    let script = format!(
        "echo {}; while true; do head -c 1000000 /dev/zero >> /outputs/big; sleep 0.05; done",
        unique()
    );
    let greedy = on.server.submit(&shell(&script)).await;
    let finished = on.server.finished(&greedy).await;
    assert_eq!(finished["finishedReason"], "Error", "{finished}");
    let words = finished["finished"]["result"]["error"].as_str().unwrap();
    assert!(words.contains("filling the disk") && words.contains("disk_reserve"), "{words}");
    assert_eq!(Desk::of(&on.server).row(&greedy).await["failure"]["code"], "disk-full");
    eventually("what it wrote is gone", async || on.disk.free() > 2 * RESERVE * MB).await;
    let finished = on.server.finished(&quiet).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    assert_eq!(on.server.output(&finished, "end").await, b"end\n");
}

#[tokio::test]
async fn what_was_used_least_makes_room_and_what_is_needed_or_pinned_stays() {
    let on = small().await;
    let desk = Desk::of(&on.server);
    let mut keys = Vec::new();
    for _ in 0..3 {
        let bytes = some_bytes(20 << 20);
        let key = sha256(&bytes);
        assert_eq!(put(&on, &key, bytes).await.0, 200);
        keys.push(key);
    }
    let [spare, pinned, needed] = &keys[..] else { unreachable!() };
    desk.done("/api/cache/pin", &json!({"kind": "blob", "id": pinned, "on": true})).await;
    on.disk.fill_but((RESERVE + 5) * MB);
    let mut definition = shell(&format!("wc -c < /inputs/big; echo {}", unique()));
    definition["inputs"] = json!({"big": {"type": "key", "value": needed}});
    // It cannot start before there is room, and names its input meanwhile.
    on.disk.fill_but((RESERVE - 10) * MB);
    let id = on.server.submit(&definition).await;
    for key in &keys {
        let path = on.server.data().join("blobs").join(&key[..2]).join(key);
        let file = std::fs::File::open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    // Several at once, while the job wants room too: none may count on what another is about to remove.
    let names: Vec<_> = (0..8).map(|n| format!("more-{n}")).collect();
    let puts = names.iter().map(|name| put(&on, name, some_bytes(1000)));
    for (status, answer) in futures_util::future::join_all(puts).await {
        assert_eq!(status, 200, "room is made for it: {answer}");
    }
    let finished = on.server.finished(&id).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    for (key, status) in [(spare, 404), (pinned, 200), (needed, 200)] {
        assert_eq!(on.server.get(&format!("/f/{key}/exists")).await.0, status, "{key}");
    }
}
