use deskgrid_tests::{Deskgrid, Door, eventually, sha256, shell, unique};
use serde_json::{Value, json};

use super::Desk;

fn find<'a>(cache: &'a Value, kind: &str, id: &str) -> Option<&'a Value> {
    cache["items"].as_array().unwrap().iter().find(|item| item["kind"] == kind && item["id"] == id)
}

/// A finished job with an output of its own of so many bytes.
async fn with_output(server: &Deskgrid, bytes: usize) -> String {
    let script = format!("head -c {bytes} /dev/urandom > /outputs/bytes; echo {}", unique());
    let id = server.submit(&shell(&script)).await;
    let record = server.finished(&id).await;
    assert_eq!(record["finished"]["result"]["StatusCode"], 0, "{record}");
    id
}

#[tokio::test]
async fn the_cache_shows_results_with_their_logs_and_files_that_no_job_refers_to() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let id = with_output(&server, 5000).await;
    let bytes = unique().into_bytes();
    let (key, size) = (sha256(&bytes), bytes.len());
    assert_eq!(server.put(&key, bytes).await, 200);
    let cache = desk.get("/api/cache").await;
    let result = find(&cache, "result", &id).unwrap();
    assert_eq!(
        (&result["bytes"], &result["isDeletable"], &result["jobs"]),
        (&json!(5000), &json!(true), &json!([id]))
    );
    assert!(result["name"].as_str().unwrap().contains("/dev/urandom"), "{result}");
    assert!(find(&cache, "log", &id).unwrap()["bytes"].as_u64() > Some(10));
    assert_eq!(find(&cache, "blob", &key).unwrap()["bytes"], json!(size));
    assert!(cache["disk"]["total"].as_u64() > cache["disk"]["free"].as_u64());
    assert!(cache["disk"]["used"].as_u64() > Some(5000) && cache["limit"]["isDefault"] == json!(true));
    let kinds: Vec<_> = cache["kinds"].as_array().unwrap().iter().map(|kind| kind["kind"].clone()).collect();
    assert_eq!(json!(kinds), json!(["result", "blob", "log", "context", "image", "jobcache"]));
    assert!(cache["items"].as_array().unwrap().iter().any(|item| item["kind"] == "jobcache"), "{cache}");
    // Nobody pulled it for us, so it is not ours to remove.
    assert!(cache["items"].as_array().unwrap().iter().all(|item| item["kind"] != "image"), "{cache}");
}

#[tokio::test]
async fn what_is_deleted_is_hidden_at_once_comes_back_when_undone_and_else_goes_for_good() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let id = with_output(&server, 3000).await;
    let items = json!({"items": [{"kind": "result", "id": id}]});
    let answer = desk.done("/api/cache/delete", &items).await;
    assert_eq!(answer["bytes"], 3000);
    assert_eq!(find(&desk.get("/api/cache").await, "result", &id), None);
    desk.done("/api/cache/undo", &json!({"undo": answer["undo"]})).await;
    assert!(find(&desk.get("/api/cache").await, "result", &id).is_some());
    assert_eq!(desk.post("/api/cache/undo", &json!({"undo": answer["undo"]})).await.0, 409);
    desk.done("/api/cache/delete", &items).await;
    eventually("the job is gone", async || desk.row(&id).await == Value::Null).await;
    // Its file goes a moment after its record.
    eventually("no file of it is shown", async || {
        let cache = desk.get("/api/cache").await;
        cache["items"].as_array().unwrap().iter().all(|item| item["bytes"] != json!(3000))
    })
    .await;
}

#[tokio::test]
async fn a_pinned_result_is_neither_deleted_nor_pruned_until_it_is_let_go() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let (kept, other) = (with_output(&server, 2000).await, with_output(&server, 1000).await);
    let pin = |on: bool| json!({"kind": "result", "id": kept, "on": on});
    desk.done("/api/cache/pin", &pin(true)).await;
    assert_eq!(desk.row(&kept).await["pinned"], true);
    let (status, answer) =
        desk.post("/api/cache/delete", &json!({"items": [{"kind": "result", "id": kept}]})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("not-deletable")), "{answer}");
    let all = json!({"olderThan": null, "dryRun": true});
    let dry = desk.done("/api/cache/prune", &all).await;
    assert_eq!(dry["undo"], Value::Null);
    desk.done("/api/cache/pin", &pin(false)).await;
    let more = desk.done("/api/cache/prune", &all).await;
    assert_eq!(more["bytes"].as_u64().unwrap() - dry["bytes"].as_u64().unwrap(), 2000);
    let old = desk.done("/api/cache/prune", &json!({"olderThan": 3_600_000, "dryRun": true})).await;
    assert_eq!((&old["items"], &old["bytes"]), (&json!(0), &json!(0)));
    assert!(find(&desk.get("/api/cache").await, "result", &other).is_some());
}

/// A finished job with an output of its own of so many mebibytes, most of them a hole.
pub(crate) async fn with_large_output(server: &Deskgrid, megabytes: usize) -> String {
    let id = server
        .submit(&shell(&format!("cd /outputs; echo {} > a; truncate -s {megabytes}M a", unique())))
        .await;
    let record = server.finished(&id).await;
    assert_eq!(record["finished"]["result"]["StatusCode"], 0, "{record}");
    id
}

/// Has a job end so long ago, and its outputs read never since, which the stopped server then knows no better.
pub(crate) fn age(server: &Deskgrid, id: &str, hours: u32) {
    let records = rusqlite::Connection::open(server.data().join("deskgrid.sqlite3")).unwrap();
    let sql = "UPDATE job SET changed_at = changed_at - 3600000 * ?1 WHERE id = ?2";
    assert_eq!(records.execute(sql, rusqlite::params![hours, id]).unwrap(), 1);
    let sql = "SELECT value ->> '$[0]' FROM result, json_each(result.json, '$.outputs') WHERE job = ?1";
    let mut outputs = records.prepare(sql).unwrap();
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(3600) * hours;
    for hash in outputs.query_map([id], |row| row.get::<_, String>(0)).unwrap() {
        let hash = hash.unwrap();
        let file = std::fs::File::open(server.data().join("blobs").join(&hash[..2]).join(&hash)).unwrap();
        file.set_modified(then).unwrap();
    }
}

#[tokio::test]
async fn over_its_limit_the_cache_loses_what_was_used_least_and_nothing_pinned_or_needed() {
    let mut server = Deskgrid::start().await;
    let (pinned, oldest) = (with_large_output(&server, 110).await, with_large_output(&server, 60).await);
    let (newer, newest) = (with_large_output(&server, 50).await, with_large_output(&server, 10).await);
    Desk::of(&server).done("/api/cache/pin", &json!({"kind": "result", "id": pinned, "on": true})).await;
    assert_eq!(server.terminate().await, Some(0));
    // What was used in the last minutes never goes.
    for (id, hours) in [(&pinned, 4), (&oldest, 3), (&newer, 2)] {
        age(&server, id, hours);
    }
    server.start_again().await;
    let desk = Desk::of(&server);
    let bytes = unique().into_bytes();
    let key = sha256(&bytes);
    server.put(&key, bytes).await;
    let mut definition = shell("echo on; sleep 1000");
    definition["inputs"] = json!({"in": {"type": "key", "value": key}});
    let running = server.submit(&definition).await;
    server.until_said(&running, "on").await;

    let limit = async |megabytes: u32| {
        let change = json!({"cache_limit": format!("{megabytes}m")});
        Door::of(&server.data()).ask("PATCH", "/api/settings", &change).await.0
    };
    assert_eq!(limit(200).await, 200);
    eventually("the oldest goes", async || desk.row(&oldest).await == Value::Null).await;
    assert_ne!(desk.row(&newer).await, Value::Null, "no more goes than has to");
    // Where even that is too much, all goes that may.
    assert_eq!(limit(100).await, 200);
    eventually("the next one goes", async || desk.row(&newer).await == Value::Null).await;
    assert_ne!(desk.row(&pinned).await, Value::Null);
    assert_ne!(desk.row(&newest).await, Value::Null);
    assert_eq!(desk.row(&running).await["phase"], "running");
    assert_eq!(server.get(&format!("/f/{key}")).await.0, 200);
}

#[tokio::test]
async fn what_a_running_job_needs_cannot_be_deleted_and_a_stop_deletes_nothing_more() {
    let mut server = Deskgrid::start().await;
    let bytes = unique().into_bytes();
    let key = sha256(&bytes);
    server.put(&key, bytes).await;
    let desk = Desk::of(&server);
    let mut definition = shell("echo on; sleep 1000");
    definition["inputs"] = json!({"in": {"type": "key", "value": key}});
    let id = server.submit(&definition).await;
    server.until_said(&id, "on").await;
    let cache = desk.get("/api/cache").await;
    assert_eq!(find(&cache, "blob", &key).unwrap()["isDeletable"], false);
    let (status, _) = desk.post("/api/cache/delete", &json!({"items": [{"kind": "blob", "id": key}]})).await;
    assert_eq!(status, 409);
    desk.done(&format!("/api/jobs/{id}/cancel"), &json!({})).await;
    desk.done("/api/cache/delete", &json!({"items": [{"kind": "blob", "id": key}]})).await;
    assert_eq!(server.terminate().await, Some(0));
    server.start_again().await;
    assert_eq!(server.get(&format!("/f/{key}")).await.0, 200);
}

#[tokio::test]
async fn a_site_shows_its_jobs_and_the_bytes_of_their_outputs() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let origin = "https://app.metapage.io";
    let definition = shell(&format!("head -c 700 /dev/zero > /outputs/zeros; : {}", unique()));
    let request = server.http().post(server.url("/q/local")).header("Origin", origin);
    let answer = request.json(&json!({"definition": definition})).send().await.unwrap();
    let id = answer.json::<Value>().await.unwrap()["jobId"].as_str().unwrap().to_owned();
    server.finished(&id).await;
    assert_eq!(desk.row(&id).await["sites"], json!([origin]));
    let sites = desk.get("/api/sites").await;
    let site = sites["allowed"].as_array().unwrap().iter().find(|site| site["origin"] == origin).unwrap();
    assert_eq!((&site["jobs"], &site["bytes"]), (&json!(1), &json!(700)));
}

#[tokio::test]
async fn the_limit_follows_the_settings_file() {
    let server = Deskgrid::start_without_engine().await;
    let desk = Desk::of(&server);
    std::fs::write(server.settings(), "cache_limit = \"3g\"\n").unwrap();
    let is_chosen = async || desk.get("/api/cache").await["limit"]["isDefault"] == json!(false);
    eventually("the limit is taken on", is_chosen).await;
    let limit = desk.get("/api/cache").await["limit"]["bytes"].as_u64().unwrap();
    assert!([3_000_000_000, 3 << 30].contains(&limit), "{limit}");
}

#[tokio::test]
async fn a_result_was_last_used_when_somebody_read_it_or_one_of_its_outputs() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let (read, fetched, left) =
        (with_output(&server, 100).await, with_output(&server, 100).await, with_output(&server, 100).await);
    let used = async |id: &str| {
        find(&desk.get("/api/cache").await, "result", id).unwrap()["lastUsed"].as_u64().unwrap()
    };
    let before = [used(&read).await, used(&fetched).await, used(&left).await];
    server.get(&format!("/j/{read}/result.json")).await;
    server.get(&format!("/j/{fetched}/outputs/bytes")).await;
    assert!(used(&read).await > before[0] && used(&fetched).await > before[1]);
    assert_eq!(used(&left).await, before[2]);
}
