//! The administration as window, tray and dashboard use it: the local door, the switch, tickets, the settings.

use std::os::unix::fs::PermissionsExt as _;

use deskgrid_tests::{Deskgrid, Door, Options, Raw, eventually, shell, unique};
use serde_json::{Value, json};

async fn started() -> (Deskgrid, Door) {
    let server = Deskgrid::start().await;
    let door = Door::of(&server.data());
    (server, door)
}

#[tokio::test]
async fn through_the_local_door_the_person_needs_no_token() {
    let (mut server, door) = started().await;
    eventually("the engine is there", async || door.get("/api/desk").await["engine"]["ready"] == true).await;
    let desk = door.get("/api/desk").await;
    assert_eq!((&desk["doors"], &desk["problem"]), (&json!("open"), &Value::Null));
    assert_eq!(desk["address"], json!(server.address));
    assert_eq!(desk["shell"], Value::Null);
    let socket = server.data().join("deskgrid.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    server.terminate().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_kill_leaves_no_door_that_stands_in_the_way() {
    let (mut server, door) = started().await;
    server.kill().await;
    assert!(server.data().join("deskgrid.sock").exists());
    server.start_again().await;
    assert_eq!(door.get("/api/desk").await["doors"], json!("open"));
}

#[tokio::test]
async fn stop_closes_the_port_and_starts_no_job_until_start() {
    let (server, door) = started().await;
    let id = server.submit(&shell(&format!("echo {}; sleep 1000", unique()))).await;
    server.until_said(&id, "\"Running\"").await;
    let waiting = shell(&format!("echo {}", unique()));
    let desk = door.post("/api/desk/stop", &json!({"running": "cancel"})).await;
    assert_eq!(desk["doors"], json!("closed"));
    assert!(server.http().get(server.url("/health")).send().await.is_err_and(|error| error.is_connect()));
    let later = door.post("/q/local", &json!({"definition": waiting})).await;
    let later = later["jobId"].as_str().unwrap().to_owned();
    assert_eq!(door.get("/api/desk").await["counts"]["waiting"], json!(1));
    let desk = door.post("/api/desk/start", &Value::Null).await;
    assert_eq!(desk["doors"], json!("open"));
    assert_eq!(server.finished(&later).await["finished"]["reason"], json!("Success"));
    assert_eq!(door.get(&format!("/j/{id}/result.json")).await["data"], Value::Null);
    let (engine, worker) = (server.engine(), server.worker_id());
    while !engine.labelled("container.mtfm.io/worker", &worker).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_stops_it_through_the_port_still_reads_the_answer() {
    let (server, door) = started().await;
    let token = std::fs::read_to_string(server.data().join("token")).unwrap();
    let stop = Raw::new("POST", "/api/desk/stop").header("Authorization", format!("Bearer {}", token.trim()));
    let answer = stop.body(json!({"running": "finish"}).to_string()).send(&server).await;
    assert_eq!((answer.status, &answer.json()["doors"]), (200, &json!("closed")));
    assert_eq!(door.post("/api/desk/start", &Value::Null).await["doors"], json!("open"));
}

#[tokio::test]
async fn whoever_stopped_a_server_in_a_terminal_gets_back_in_with_deskgrid_dashboard() {
    let (server, door) = started().await;
    let (settings, data) = (server.settings(), server.data());
    let args =
        ["dashboard", "--config", settings.to_str().unwrap(), "--data-directory", data.to_str().unwrap()];
    door.post("/api/desk/stop", &json!({"running": "finish"})).await;
    let back = deskgrid_tests::deskgrid(&args).await;
    assert_eq!((back.code, back.stdout.lines().count()), (0, 1), "{back:?}");
    assert!(back.stderr.contains("open again"), "{back:?}");
    assert!(back.stdout.starts_with(&server.url("/dashboard/#ticket=")), "{back:?}");
    let page = reqwest::get(server.url("/dashboard/")).await.unwrap();
    assert!(page.status().is_success());
    // One that is open is left as it is, without a word.
    let again = deskgrid_tests::deskgrid(&args).await;
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "{again:?}");
}

#[tokio::test]
async fn jobs_may_finish_after_a_stop() {
    let (server, door) = started().await;
    let id = server.submit(&shell(&format!("echo {}; sleep 2; echo done", unique()))).await;
    server.until_said(&id, "\"Running\"").await;
    door.post("/api/desk/stop", &json!({"running": "finish"})).await;
    let result = format!("/j/{id}/result.json");
    while door.get(&result).await["data"].is_null() {
        tokio::task::yield_now().await;
    }
    assert_eq!(door.get(&result).await["data"]["finished"]["result"]["StatusCode"], json!(0));
}

#[tokio::test]
async fn a_ticket_buys_a_key_once_and_the_key_opens_the_administration() {
    let (server, door) = started().await;
    let ticket = door.post("/api/ticket", &Value::Null).await;
    let address = ticket["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with(&server.url("/dashboard/#ticket=")), "{address}");
    let body = json!({"ticket": ticket["ticket"]}).to_string();
    let redeem = |origin: &str| {
        Raw::new("POST", "/api/ticket/redeem").header("Origin", origin.to_owned()).body(body.clone())
    };
    let foreign = redeem("https://metapage.io").send(&server).await;
    assert_eq!(foreign.status, 403, "{}", foreign.json());
    let first = redeem(&server.address).send(&server).await;
    assert_eq!(first.status, 200, "{}", first.json());
    let key = first.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(redeem(&server.address).send(&server).await.status, 401);
    let token = std::fs::read_to_string(server.data().join("token")).unwrap();
    assert_ne!(key, token.trim());
    let desk = Raw::new("GET", "/api/desk").header("Authorization", format!("Bearer {key}"));
    assert_eq!(desk.send(&server).await.status, 200);
}

#[tokio::test]
async fn the_dashboard_is_a_page_of_ours_that_runs_nothing_foreign() {
    let (server, _) = started().await;
    let page = Raw::new("GET", "/dashboard/").send(&server).await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(Raw::new("GET", "/dashboard").send(&server).await.status, 308);
    assert_eq!(Raw::new("GET", "/dashboard/%2e%2e/secret").send(&server).await.status, 404);
}

#[tokio::test]
async fn settings_are_checked_written_to_the_file_and_taken_on_at_once() {
    let (server, door) = started().await;
    std::fs::write(server.settings(), "# mine\n").unwrap();
    let (status, refused) = door.ask("PATCH", "/api/settings", &json!({"memory": "lots"})).await;
    assert_eq!((status, &refused["key"]), (400, &json!("memory")), "{refused}");
    assert_eq!(std::fs::read_to_string(server.settings()).unwrap(), "# mine\n");
    let (status, done) =
        door.ask("PATCH", "/api/settings", &json!({"memory": "2g", "max_job_duration": "5m"})).await;
    assert_eq!((status, &done["undo"]), (200, &json!({"memory": null, "max_job_duration": null})), "{done}");
    assert!(std::fs::read_to_string(server.settings()).unwrap().starts_with("# mine\n"));
    while door.get("/api/desk").await["capacity"]["memory"] != json!(2_u64 << 30) {
        tokio::task::yield_now().await;
    }
    let sheet = door.get("/api/settings/sheet").await;
    let of =
        |key: &str| sheet["settings"].as_array().unwrap().iter().find(|s| s["key"] == key).cloned().unwrap();
    assert_eq!((&of("memory")["source"], &of("memory")["chosen"]), (&json!("file"), &json!("2g")));
    assert_eq!(of("port")["isFixed"], json!(true));
    let (status, held) = door.ask("PATCH", "/api/settings", &json!({"port": 9})).await;
    assert_eq!((status, &held["code"]), (400, &json!("settings-held")), "{held}");
}

#[tokio::test]
async fn another_port_in_the_settings_is_listened_on_at_once() {
    let server = Deskgrid::start_with(Options { port_in_settings: true, ..Options::default() }).await;
    let door = Door::of(&server.data());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    // While another program has it, the state says so, and it is tried until the port is free.
    door.ask("PATCH", "/api/settings", &json!({"port": port})).await;
    while door.get("/api/desk").await["doors"] != json!("blocked") {
        tokio::task::yield_now().await;
    }
    assert_eq!(door.get("/api/desk").await["problem"]["code"], json!("port-taken"));
    drop(free);
    while door.get("/api/desk").await["doors"] != json!("open") {
        tokio::task::yield_now().await;
    }
    assert_eq!(door.get("/api/desk").await["address"], json!(format!("http://localhost:{port}")));
    let health = reqwest::get(format!("http://localhost:{port}/health")).await.unwrap();
    assert_eq!(health.text().await.unwrap(), "OK");
}

#[tokio::test]
async fn engines_and_checks_are_told() {
    let (server, door) = started().await;
    let checks = door.get("/api/doctor").await;
    let of_port = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "port").unwrap();
    assert_eq!(of_port["message"], json!(format!("Deskgrid listens on port {}.", server.port())));
    let names: Vec<_> = checks["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert!(names.contains(&&json!("engine")) && names.contains(&&json!("port")), "{names:?}");
    assert!(door.get("/api/engines").await["engines"].is_array());
}

#[tokio::test]
async fn without_the_desktop_app_there_is_nothing_to_quit() {
    let (_server, door) = started().await;
    let (status, answer) = door.ask("POST", "/api/desk/quit", &json!({"running": "keep"})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("no-shell")));
}
