//! Images: how they come into the engine from real registries, what is told meanwhile, and what stands in the way.

mod access;
mod accounts;
mod bases;
mod cost;
mod emulation;
mod ownership;
mod pulling;
mod trouble;

pub(crate) use access::auths;
use deskgrid_tests::{Deskgrid, unique};
use serde_json::{Value, json};

/// A job with this image that no other test has.
fn job(image: &str, script: &str) -> Value {
    json!({"image": image, "command": format!("/bin/sh -c '{script}; : {}'", unique())})
}

/// What a finished job without a container result says.
fn words(finished: &Value) -> &str {
    assert_eq!(finished["finishedReason"], "Error", "{finished}");
    finished["finished"]["result"]["error"].as_str().expect("words")
}

/// The code of a job's failure, as the administration tells it.
async fn failure_code(server: &Deskgrid, id: &str) -> Value {
    let desk = crate::administration::Desk::of(server);
    desk.row(id).await["failure"]["code"].clone()
}

/// The lines of the log of a job's image.
async fn build_log(server: &Deskgrid, id: &str) -> Vec<String> {
    let log = server.get_json(&format!("/j/{id}/build-logs.json")).await;
    let lines = log["data"].as_array().expect("lines").iter();
    lines.map(|line| line[0].as_str().or(line.as_str()).expect("text").trim_end().to_owned()).collect()
}

/// Takes an image out of the engine, as soon as no container is in the way.
async fn forget(server: &Deskgrid, image: &str) {
    let (engine, path) = (server.engine(), format!("/images/{image}/json"));
    deskgrid_tests::eventually("nothing uses the image any more", async || {
        engine.remove_image(image).await;
        !engine.has(&path).await
    })
    .await;
}
