//! What is told of the space that becomes free, and what telling it costs.

use deskgrid_tests::relay::Relay;
use deskgrid_tests::{BUSYBOX, Deskgrid, Options, PrivateEngine, eventually, sha256, shell, unique};
use serde_json::{Value, json};

use super::cost::{cache, find, is_here};
use crate::administration::Desk;

/// A server that builds with the classic builder, which keeps nothing of an image that is removed.
async fn server_at(host: String) -> Deskgrid {
    let launcher = vec!["env".to_owned(), "DOCKER_BUILDKIT=0".to_owned()];
    Deskgrid::start_with(Options { launcher, docker_host: Some(host), ..Options::default() }).await
}

/// A block whose image has so many bytes of its own.
fn block(bytes: usize) -> Value {
    let dockerfile = format!("FROM {BUSYBOX}\nRUN head -c {bytes} /dev/urandom > /bytes; : {}\n", unique());
    json!({ "dockerfile": dockerfile })
}

/// A finished job with an output, whose image was built for `block` and has no container any more.
async fn built(server: &Deskgrid, block: &Value) -> String {
    let command = format!("/bin/sh -c 'echo {} > /outputs/a'", unique());
    let id = server.submit(&json!({"build": block, "command": command})).await;
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
    let image = image_of(block);
    eventually("its container is removed", async || {
        let all = Desk::of(server).get("/api/cache").await;
        find(&all["items"], "image", &image).is_some_and(|item| item["isDeletable"] == true)
    })
    .await;
    id
}

fn image_of(block: &Value) -> String {
    format!("deskgrid/build:{}", sha256(block.to_string()))
}

#[tokio::test]
async fn deleting_results_tells_the_bytes_of_the_image_that_goes_with_the_last_of_them() {
    // Nobody else comes and goes in it.
    let engine = PrivateEngine::with_busybox().await;
    let server = server_at(engine.host()).await;
    let desk = Desk::of(&server);
    let block = block(3_000_000);
    let ids = [built(&server, &block).await, built(&server, &block).await];
    let delete = async |ids: &[&String], how: &str| {
        let items: Vec<_> = ids.iter().map(|id| json!({"kind": "result", "id": id})).collect();
        let mut body = json!({ "items": items });
        body[how] = json!(true);
        desk.done("/api/cache/delete", &body).await
    };
    let bytes = |answer: &Value| answer["freed"]["engine"].as_u64().unwrap();
    assert_eq!(bytes(&delete(&[&ids[0]], "dryRun").await), 0, "the other one has it still");
    let both = delete(&[&ids[0], &ids[1]], "dryRun").await;
    assert!(bytes(&both) >= 3_000_000 && both["freed"]["certainty"] == "about", "{both}");
    let pruned = desk.done("/api/cache/prune", &json!({"olderThan": null, "dryRun": true})).await;
    assert_eq!(bytes(&pruned), bytes(&both), "it counts once");
    // One that is hidden and goes in a moment does not keep it any more.
    let hidden = delete(&[&ids[0]], "hidden").await;
    assert_eq!(bytes(&hidden), 0);
    assert_eq!(bytes(&delete(&[&ids[1]], "dryRun").await), bytes(&both));
    desk.done("/api/cache/undo", &json!({"undo": hidden["undo"]})).await;
    assert_eq!(bytes(&delete(&[&ids[0]], "atOnce").await), 0);
    let said = cache(&server, &["delete", "result", &ids[1], "--dry-run"]).await;
    assert!(said.stdout.contains("about 3.0 MB inside the engine"), "{said:?}");
    let layers =
        async || engine.client().get("/system/df?type=image").await["LayersSize"].as_u64().expect("bytes");
    let before = layers().await;
    let last = delete(&[&ids[1]], "atOnce").await;
    assert!(bytes(&last) >= 3_000_000 && bytes(&last) == before - layers().await, "{last}");
    assert!(engine.client().image_id(&image_of(&block)).await.is_null());
}

#[tokio::test]
async fn a_prune_measures_the_engine_as_often_for_many_images_as_for_one() {
    let engine = PrivateEngine::with_busybox().await;
    let mut relay = Relay::to(&engine.host());
    relay.count("/system/df");
    relay.open();
    let server = server_at(relay.host()).await;
    let mut measured = Vec::new();
    for images in [1, 3] {
        for _ in 0..images {
            built(&server, &block(1000)).await;
        }
        let before = relay.counted();
        let said = cache(&server, &["prune"]).await;
        assert_eq!(said.stdout.matches("image*").count(), images, "{said:?}");
        measured.push(relay.counted() - before);
    }
    // To choose what goes, right before that goes, and after it.
    assert_eq!(measured, [3, 3]);
}

#[tokio::test]
async fn a_stored_file_and_a_log_go_one_by_one() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("echo {} > /outputs/a; echo said", unique()))).await;
    server.finished(&id).await;
    let bytes = unique().into_bytes();
    let key = sha256(&bytes);
    server.put(&key, bytes).await;
    for (kind, id) in [("blob", &key), ("log", &id)] {
        let listed = async || find(&Desk::of(&server).get("/api/cache").await["items"], kind, id).is_some();
        assert!(listed().await, "{kind}");
        let said = cache(&server, &["delete", kind, &id[..12]]).await;
        assert!(said.stdout.contains("1 thing went."), "{said:?}");
        assert!(!listed().await, "{kind}");
    }
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"]["finishedReason"], "Success");
    assert!(is_here(&server, BUSYBOX).await);
}
