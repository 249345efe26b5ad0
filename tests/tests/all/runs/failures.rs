//! Jobs that cannot run: what they are told, in words.

use deskgrid_tests::{BUSYBOX, Deskgrid, Page, WITH_ENTRYPOINT, unique};
use serde_json::{Value, json};

/// What a finished job without a container result says.
fn words(finished: &Value) -> &str {
    assert_eq!(finished["finishedReason"], "Error", "{finished}");
    let result = &finished["finished"]["result"];
    assert!(result.get("StatusCode").is_none(), "{finished}");
    assert_eq!((&result["outputs"], &result["logs"]), (&json!({}), &json!([])), "{finished}");
    result["error"].as_str().expect("words")
}

#[tokio::test]
async fn a_command_that_is_not_in_the_image_is_named() {
    let server = Deskgrid::start().await;
    for (definition, names) in [
        (json!({"image": BUSYBOX, "command": "no-such-program --now"}), ["no-such-program", BUSYBOX]),
        (
            json!({"image": WITH_ENTRYPOINT, "entrypoint": "/no/such/file"}),
            ["/no/such/file", WITH_ENTRYPOINT],
        ),
        (json!({"image": BUSYBOX, "command": "/etc/passwd"}), ["/etc/passwd", BUSYBOX]),
        (json!({"image": BUSYBOX}), ["command", BUSYBOX]),
    ] {
        let mut definition = definition;
        definition["env"] = json!({"ONLY": unique()});
        let finished = server.run(&definition).await;
        let words = words(&finished);
        println!("{words}");
        assert!(names.iter().all(|name| words.contains(name)), "{words}");
    }
    deskgrid_tests::eventually("failed containers are removed", async || {
        server.engine().labelled("container.mtfm.io/worker", &server.worker_id()).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached_is_told_as_that() {
    let server = Deskgrid::start().await;
    let image = format!("localhost:1/{}:latest", unique());
    let id = server.submit(&json!({"image": image})).await;
    let finished = server.finished(&id).await;
    let words = words(&finished);
    println!("{words}");
    assert!(words.contains(&image) && words.contains("registry cannot be reached"), "{words}");
    assert!(words.contains("Check the network"), "{words}");
}

#[tokio::test]
async fn an_image_name_that_is_none_is_told_as_that() {
    let server = Deskgrid::start().await;
    let finished = server.run(&json!({"image": "Not An Image", "env": {"ONLY": unique()}})).await;
    let words = words(&finished);
    println!("{words}");
    assert!(words.contains("Not An Image") && words.contains("not a valid image name"), "{words}");
}

#[tokio::test]
async fn a_bad_definition_is_refused_by_post_and_fails_by_socket() {
    let server = Deskgrid::start().await;
    for (definition, wanted) in [
        (json!({"command": "ls"}), "neither image nor build"),
        (json!({"image": BUSYBOX, "shmSize": "much"}), "shmSize"),
        (json!({"image": BUSYBOX, "maxDuration": "soon"}), "maxDuration"),
        (json!({"image": BUSYBOX, "requirements": {"memory": "all"}}), "requirements.memory"),
        (json!({"image": BUSYBOX, "inputs": {"../x": {"value": ""}}}), "../x"),
    ] {
        let (status, answer) = server.post("/q/local", &json!({"definition": definition})).await;
        assert_eq!(status, 400, "{definition}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(wanted)), "{answer}");
        let mut page = Page::open(&server, "local").await;
        let id = unique();
        page.submit(&id, &definition, &json!({})).await;
        let record = page.until(&id, "Finished").await;
        assert_eq!(record["finishedReason"], "Error");
        let finished = server.finished(&id).await;
        assert!(words(&finished).contains(wanted), "{finished}");
        page.close().await;
    }
}
