//! Jobs that build their image, with either builder of a real engine.

mod contexts;
mod deleting;
mod failing;
mod fields;
mod private;
mod secrets;
mod sharing;

use deskgrid_tests::{Deskgrid, EngineClient, Options};
use serde_json::{Value, json};

/// The two builders of the engine, by the word by which the docker command line chooses them.
const BUILDERS: [(&str, &str); 2] =
    [("BuildKit", "DOCKER_BUILDKIT=1"), ("the classic builder", "DOCKER_BUILDKIT=0")];

/// A server that builds as `choice` says.
async fn server_with(choice: &str) -> Deskgrid {
    let launcher = vec!["env".to_owned(), choice.to_owned()];
    let args = vec!["--cpus".to_owned(), "4".to_owned()];
    Deskgrid::start_with(Options { launcher, args, ..Options::default() }).await
}

/// A job that builds and then runs `command`.
fn job(build: &Value, command: &str) -> Value {
    json!({"build": build, "command": command})
}

/// The name of a block's image; its members are given in the order of the alphabet.
fn image_of(build: &Value) -> String {
    format!("deskgrid/build:{}", deskgrid_tests::sha256(build.to_string()))
}

/// The lines of a job's build log.
async fn build_log(server: &Deskgrid, id: &str) -> String {
    let log = server.get_json(&format!("/j/{id}/build-logs.json")).await;
    log["data"].as_array().expect("lines").iter().filter_map(|line| line[0].as_str()).collect()
}

async fn has_image(engine: &EngineClient, image: &str) -> bool {
    engine.get(&format!("/images/{image}/json")).await["Id"].is_string()
}

/// What a job says of its failure.
fn error_of(finished: &Value) -> &str {
    assert_eq!(finished["finishedReason"], "Error", "{finished}");
    finished["finished"]["result"]["error"].as_str().expect("an error")
}
