use deskgrid_tests::{BUSYBOX, Deskgrid, eventually, shell, unique};
use serde_json::{Value, json};

use super::Desk;

fn stages(job: &Value) -> Vec<&str> {
    job["timeline"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_finished_job_shows_what_it_was_how_it_went_and_what_it_left() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let definition = json!({
        "image": BUSYBOX,
        "command": ["sh", "-c", "cat /inputs/in.csv > /outputs/out.csv; trap 'exit 3' USR1; \
            echo it\\'s done; while :; do sleep 0.1; done"],
        "env": {"ONLY": unique()},
        "inputs": {"in.csv": {"type": "utf8", "value": "a,b\n1,2\n"}},
    });
    let id = server.submit(&definition).await;
    eventually("the run is measured and heard", async || {
        let live = desk.row(&id).await["live"].clone();
        live["memory"].is_u64() && live["tail"] == "it's done"
    })
    .await;
    server.engine().tell(&id).await;
    server.finished(&id).await;
    let row = desk.row(&id).await;
    assert_eq!(
        (&row["phase"], &row["reason"], &row["exitCode"]),
        (&json!("finished"), &json!("Success"), &json!(3))
    );
    assert_eq!(
        (&row["image"], &row["sites"], &row["queues"]),
        (&json!(BUSYBOX), &json!(["program"]), &json!(["local"]))
    );
    assert!(row["command"].as_str().unwrap().starts_with("sh -c 'cat "), "{row}");
    assert!(row["startedAt"].as_u64() >= row["queuedAt"].as_u64() && row["endedAt"].is_u64(), "{row}");
    let job = desk.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(stages(&job), ["queued", "image", "inputs", "create", "run", "collect"]);
    assert!(job["timeline"].as_array().unwrap().iter().all(|span| span["end"].is_u64()), "{job}");
    assert_eq!(job["definition"], definition);
    assert_eq!(job["inputs"][0]["path"], "in.csv");
    assert_eq!((&job["outputs"][0]["path"], &job["outputs"][0]["size"]), (&json!("out.csv"), &json!(8)));
    assert_eq!(job["outputs"][0]["type"], "text/csv; charset=utf-8");
    assert!(job["dockerRun"].as_str().unwrap().starts_with("docker run --rm -e ONLY="), "{job}");
    assert!(!job["trace"]["memory"].as_array().unwrap().is_empty(), "{job}");
    let log = desk.get(&format!("/api/jobs/{id}/log?kind=run")).await;
    assert_eq!(log["lines"][0][0], "it's done\n");
    assert_eq!((&log["next"], &log["isFinal"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn a_running_job_is_shown_live_is_cancelled_and_runs_again_under_the_same_holds() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let id = server.submit(&shell(&format!("echo working; sleep 1000; : {}", unique()))).await;
    eventually("the run is measured and heard", async || {
        let live = desk.row(&id).await["live"].clone();
        live["memory"].is_u64() && live["step"] == "run" && live["tail"] == "working"
    })
    .await;
    desk.done(&format!("/api/jobs/{id}/cancel"), &json!({})).await;
    let row = desk.row(&id).await;
    assert_eq!((&row["reason"], &row["sites"]), (&json!("Cancelled"), &json!(["program"])));
    let answer = desk.done(&format!("/api/jobs/{id}/again"), &json!({})).await;
    assert_eq!(answer["jobId"], json!(id));
    eventually("it runs again", async || desk.row(&id).await["phase"] == "running").await;
    desk.done(&format!("/api/jobs/{id}/discard"), &json!({})).await;
    assert_eq!(desk.row(&id).await, Value::Null);
}

#[tokio::test]
async fn a_finished_job_runs_again_instead_of_being_answered_from_its_result() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let id = server
        .submit(&shell(&format!("cat /proc/sys/kernel/random/uuid > /outputs/when; : {}", unique())))
        .await;
    let first = server.finished(&id).await;
    desk.done(&format!("/api/jobs/{id}/again"), &json!({})).await;
    let second = server.finished(&id).await;
    assert_ne!(server.output(&first, "when").await, server.output(&second, "when").await);
}

#[tokio::test]
async fn a_discarded_job_goes_by_itself_unless_that_is_taken_back_or_it_runs_again() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = server.submit(&shell(&format!(": {}", unique()))).await;
        server.finished(&id).await;
        ids.push(id);
    }
    let discard = async |id: &str| desk.done(&format!("/api/jobs/{id}/discard"), &json!({})).await;
    let finished = async || desk.get("/api/desk").await["counts"]["finished"].clone();
    let undo = discard(&ids[0]).await["undo"].clone();
    assert_eq!(discard(&ids[0]).await["undo"], undo, "it is deleted once");
    assert_eq!(desk.row(&ids[0]).await, Value::Null, "it is hidden at once");
    assert_eq!(finished().await, 2, "it is not counted any more");
    desk.done("/api/cache/undo", &json!({"undo": undo})).await;
    assert_eq!(finished().await, 3, "it is counted again");
    discard(&ids[1]).await;
    desk.done(&format!("/api/jobs/{}/again", ids[1]), &json!({})).await;
    discard(&ids[2]).await;
    assert_eq!(desk.row(&ids[2]).await, Value::Null, "it is hidden at once");
    assert_eq!(desk.get(&format!("/api/jobs/{}", ids[2])).await["phase"], "finished", "it can be taken back");
    // The others' time is over by then.
    let path = format!("/j/{}", ids[2]);
    eventually("the last one is gone", async || server.get(&path).await.0 == 404).await;
    assert_ne!(desk.row(&ids[0]).await, Value::Null, "it was taken back");
    assert_ne!(desk.row(&ids[1]).await, Value::Null, "it has run again");
}

#[tokio::test]
async fn a_waiting_job_says_its_place_and_what_it_waits_for() {
    let server = Deskgrid::start_without_engine().await;
    let desk = Desk::of(&server);
    let id = server.submit(&shell(&unique())).await;
    let two = server.submit(&shell(&unique())).await;
    let (one, two) = (desk.row(&id).await, desk.row(&two).await);
    assert_eq!((&one["waiting"]["place"], &two["waiting"]["place"]), (&json!(1), &json!(2)));
    eventually("it is told which engine, and why it does not answer", async || {
        let why = desk.row(&id).await["waiting"]["why"].as_str().unwrap().to_owned();
        why.starts_with("The engine at unix:///nonexistent/engine.sock is not running: No such file")
    })
    .await;
}

#[tokio::test]
async fn a_log_is_read_on_from_where_the_last_part_ended() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let id = server.submit(&shell(&format!("seq 1 250; echo end >&2; : {}", unique()))).await;
    server.finished(&id).await;
    let (mut since, mut lines) = (json!(0), Vec::new());
    loop {
        let part = desk.get(&format!("/api/jobs/{id}/log?since={since}&most=100")).await;
        lines.extend(part["lines"].as_array().unwrap().clone());
        since = part["next"].clone();
        if part["isFinal"] == json!(true) {
            break;
        }
    }
    assert_eq!(lines.len(), 251);
    assert!(lines.iter().any(|line| line[0] == "end\n" && line[2] == json!(true)));
}

#[tokio::test]
async fn the_list_of_jobs_is_for_the_owner_only() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/api/jobs", "/api/events", "/api/cache", "/api/jobs/x", "/api/jobs/x/log"] {
        assert_eq!(server.get(path).await.0, 401, "{path}");
    }
}
