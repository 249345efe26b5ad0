//! An image is ours by what it is and by the engine that has it, not by its name. What is ours is found again after a
//! crash, and what cannot be shown to be ours is not touched.

use deskgrid_tests::{
    BUSYBOX, Deskgrid, Line, Page, Picture, PrivateEngine, Registry, eventually, log_text, sha256, unique,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::cost::{cache, find, is_here, pulled};
use super::{forget, job};
use crate::administration::Desk;

/// Removes everything that may go.
async fn prune(desk: &Desk<'_>) {
    desk.done("/api/cache/prune", &json!({"olderThan": null, "atOnce": true})).await;
}

/// The image in the list of what is kept, once the engine is there.
pub(super) async fn listed(desk: &Desk<'_>, image: &str) -> Value {
    let mut item = Value::Null;
    eventually("the image is listed", async || {
        item = find(&desk.get("/api/cache").await["items"], "image", image).cloned().unwrap_or_default();
        item.is_object()
    })
    .await;
    item
}

/// A finished job with an image of its own; the job, its definition's block and the image.
async fn built(server: &Deskgrid) -> (String, String) {
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let id = server.submit(&json!({"build": build, "command": "cat /id"})).await;
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
    (id, format!("deskgrid/build:{}", sha256(build.to_string())))
}

/// The records of a server.
fn records(server: &Deskgrid) -> Connection {
    Connection::open(server.data().join("deskgrid.sqlite3")).unwrap()
}

#[tokio::test]
async fn an_image_of_the_person_that_got_the_name_of_one_of_ours_is_neither_listed_nor_removed() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (desk, engine) = (Desk::of(&server), server.engine());
    let (image, _) = pulled(&server, &registry).await;
    // Nobody looks at the cache in between.
    forget(&server, &image).await;
    engine.tag(BUSYBOX, &image).await;
    prune(&desk).await;
    assert_eq!(engine.image_id(&image).await, engine.image_id(BUSYBOX).await);
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
    let delete = json!({"items": [{"kind": "image", "id": image}], "atOnce": true});
    assert_eq!(desk.post("/api/cache/delete", &delete).await.0, 409);
    assert!(is_here(&server, &image).await);
    forget(&server, &image).await;
}

/// How many images are on record.
fn noted(server: &Deskgrid) -> u32 {
    records(server).query_row("SELECT count(*) FROM image", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_image_that_the_person_pulls_too_is_theirs_from_then_on() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let desk = Desk::of(&server);
    let (image, _) = pulled(&server, &registry).await;
    let (other, _) = pulled(&server, &registry).await;
    assert_eq!(listed(&desk, &image).await["isDeletable"], true);
    server.engine().pull(&image).await;
    let is_ours = async |image: &str| find(&desk.get("/api/cache").await["items"], "image", image).is_some();
    eventually("it is the person's", async || !is_ours(&image).await).await;
    assert!(is_ours(&other).await, "what we alone pulled stays ours");
    prune(&desk).await;
    assert!(is_here(&server, &image).await && !is_here(&server, &other).await);
    forget(&server, &image).await;
}

#[tokio::test]
async fn an_image_that_the_person_loads_from_a_file_too_is_theirs_from_then_on() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (image, _) = pulled(&server, &registry).await;
    let (other, _) = pulled(&server, &registry).await;
    server.engine().load(&image).await;
    eventually("it is the person's", async || noted(&server) == 1).await;
    prune(&Desk::of(&server)).await;
    assert!(is_here(&server, &image).await && !is_here(&server, &other).await);
    forget(&server, &image).await;
}

#[tokio::test]
async fn an_image_that_the_person_removed_and_brought_back_is_theirs_although_nobody_looked_in_between() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (image, _) = pulled(&server, &registry).await;
    let id = server.engine().image_id(&image).await;
    assert_eq!(noted(&server), 1);
    forget(&server, &image).await;
    server.engine().pull(&image).await;
    assert_eq!(server.engine().image_id(&image).await, id, "it is the very same");
    eventually("it is the person's", async || noted(&server) == 0).await;
    prune(&Desk::of(&server)).await;
    assert!(is_here(&server, &image).await);
    forget(&server, &image).await;
}

#[tokio::test]
async fn an_image_of_the_name_in_another_engine_is_not_ours_and_ours_is_still_known_where_it_is() {
    let (registry, mut server) = (Registry::open(), Deskgrid::start().await);
    let (image, _) = pulled(&server, &registry).await;
    let other = PrivateEngine::with_busybox().await;
    other.client().tag(BUSYBOX, &image).await;
    server.kill().await;
    server.use_engine(Some(other.host()));
    server.start_again().await;
    assert_eq!(log_text(&server.run(&job(&image, "echo there")).await), "there\n");
    let desk = Desk::of(&server);
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
    prune(&desk).await;
    assert!(other.client().image_id(&image).await.is_string());
    server.kill().await;
    server.use_engine(None);
    server.start_again().await;
    let item = listed(&Desk::of(&server), &image).await;
    assert_eq!(item["isDeletable"], true, "{item}");
    let said = cache(&server, &["delete", "image", &image]).await;
    assert!(said.stdout.contains("1 thing went.") && !is_here(&server, &image).await, "{said:?}");
}

#[tokio::test]
async fn an_image_that_was_built_and_never_noted_is_found_at_the_next_start_and_goes_with_its_result() {
    let mut server = Deskgrid::start().await;
    let (id, image) = built(&server).await;
    server.kill().await;
    // As if we had died between the end of the build and the note of it.
    assert_eq!(records(&server).execute("DELETE FROM image", []).unwrap(), 1);
    server.start_again().await;
    eventually("it is noted", async || noted(&server) == 1).await;
    let item = listed(&Desk::of(&server), &image).await;
    assert_eq!((&item["origin"], &item["jobs"]), (&json!("built"), &json!([id])));
    let mut page = Page::open(&server, "local").await;
    page.end(&id, "Deleted", None).await;
    eventually("the image goes", async || !is_here(&server, &image).await).await;
}

#[tokio::test]
async fn what_an_older_program_noted_by_name_alone_is_shown_and_removed_only_where_it_is_surely_ours() {
    let (registry, mut server) = (Registry::open(), Deskgrid::start().await);
    let (image, _) = pulled(&server, &registry).await;
    let (_, built) = built(&server).await;
    server.kill().await;
    assert_eq!(records(&server).execute("UPDATE image SET engine = '', id = NULL", []).unwrap(), 2);
    server.start_again().await;
    let desk = Desk::of(&server);
    let item = listed(&desk, &image).await;
    assert_eq!(item["isDeletable"], false);
    assert!(item["why"].as_str().unwrap().contains("It may be yours"), "{item}");
    // This one has the labels of our builds.
    eventually("its container is removed", async || listed(&desk, &built).await["isDeletable"] == true).await;
    prune(&desk).await;
    assert!(is_here(&server, &image).await && !is_here(&server, &built).await);
    // What the person has removed is not spoken of any more.
    forget(&server, &image).await;
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
}

#[tokio::test]
async fn an_image_that_came_after_we_died_while_it_was_pulled_is_shown_and_left_to_the_person() {
    let (registry, mut server) = (Registry::open(), Deskgrid::start().await);
    let name = registry.push(Picture { bytes: 20 << 20, ..Picture::new() }).await;
    let line = Line::holding_after(&registry.address, 10 << 20).await;
    let image = format!("{}/{name}:latest", line.address);
    let id = server.submit(&job(&image, "echo on")).await;
    server.until_said(&id, "Pulling from").await;
    line.until_held().await;
    server.kill().await;
    line.release();
    server.engine().pull(&image).await;
    server.start_again().await;
    assert_eq!(log_text(&server.finished(&id).await), "on\n");
    let desk = Desk::of(&server);
    let item = listed(&desk, &image).await;
    assert_eq!((&item["origin"], &item["isDeletable"]), (&json!("pulled"), &json!(false)), "{item}");
    prune(&desk).await;
    assert!(is_here(&server, &image).await);
    forget(&server, &image).await;
}
