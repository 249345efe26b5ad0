//! Images that builds begin with. What the classic builder pulls stays in the engine under its name, and is ours like
//! any other that we had pulled.

use deskgrid_tests::{Deskgrid, Line, Options, Picture, Registry, eventually, unique};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::cost::{cache, is_here};
use super::forget;
use super::ownership::listed;
use crate::administration::Desk;

const MEGABYTE: usize = 1 << 20;

/// A build that fails after it has begun with `base`, in a server that is left in the middle of the pull of that.
async fn in_the_middle(base: &str, line: &Line) -> (Deskgrid, String) {
    let launcher = vec!["env".to_owned(), "DOCKER_BUILDKIT=0".to_owned()];
    let server = Deskgrid::start_with(Options { launcher, ..Options::default() }).await;
    let dockerfile = format!("ARG BASE=nothing\nFROM ${{BASE}}\nRUN : {}; exit 3\n", unique());
    let build = json!({"dockerfile": dockerfile, "buildArgs": [format!("BASE={base}")]});
    let id = server.submit(&json!({"build": build, "command": "true"})).await;
    server.until_said(&id, "Pulling from").await;
    line.until_held().await;
    (server, id)
}

/// How often the image is on record as one that is on its way.
fn coming(server: &Deskgrid, image: &str) -> u32 {
    let records = Connection::open(server.data().join("deskgrid.sqlite3")).unwrap();
    let sql = "SELECT count(*) FROM image WHERE name = ?1 AND id IS NULL";
    records.query_row(sql, [image], |row| row.get(0)).unwrap()
}

async fn held_line(registry: &Registry) -> (Line, String) {
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 10 * MEGABYTE as u64).await;
    let base = format!("{}/{name}", line.address);
    (line, base)
}

#[tokio::test]
async fn a_base_image_is_noted_while_it_is_pulled_and_is_ours_also_where_the_build_fails() {
    let registry = Registry::open();
    let (line, base) = held_line(&registry).await;
    let (server, id) = in_the_middle(&base, &line).await;
    let (desk, image) = (Desk::of(&server), format!("{base}:latest"));
    eventually("it is noted", async || coming(&server, &image) == 1).await;
    desk.get("/api/cache").await;
    assert_eq!(coming(&server, &image), 1, "a look meanwhile does not take it for gone");
    line.release();
    let finished = server.finished(&id).await;
    assert!(finished["finished"]["result"]["error"].as_str().unwrap().contains("exit code 3"), "{finished}");
    let item = listed(&desk, &image).await;
    assert_eq!((&item["origin"], &item["isDeletable"]), (&json!("pulled"), &json!(true)), "{item}");
    let said = cache(&server, &["delete", "image", &image]).await;
    assert!(said.stdout.contains("1 thing went.") && !is_here(&server, &image).await, "{said:?}");
}

#[tokio::test]
async fn a_base_image_that_came_after_we_died_is_shown_and_left_to_the_person() {
    let registry = Registry::open();
    let (line, base) = held_line(&registry).await;
    let (mut server, id) = in_the_middle(&base, &line).await;
    let image = format!("{base}:latest");
    eventually("it is noted", async || coming(&server, &image) == 1).await;
    server.kill().await;
    line.release();
    server.engine().pull(&image).await;
    server.start_again().await;
    server.finished(&id).await;
    let desk = Desk::of(&server);
    let item = listed(&desk, &image).await;
    assert_eq!((&item["origin"], &item["isDeletable"]), (&json!("pulled"), &json!(false)), "{item}");
    let pruned = desk.done("/api/cache/prune", &json!({"olderThan": null, "atOnce": true})).await;
    assert!(
        pruned["list"].as_array().unwrap().iter().all(|item: &Value| item["kind"] != "image"),
        "{pruned}"
    );
    assert!(is_here(&server, &image).await);
    forget(&server, &image).await;
}
