//! A queue of very many jobs that wait.

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::server::Deskgrid;
use crate::{sha256, unique};

/// Requests at the same time.
const AT_ONCE: usize = 64;

/// Has so many jobs wait in the queue of a server that runs none.
pub async fn fill(server: &Deskgrid, jobs: usize) {
    let mine = unique();
    let submissions = (0..jobs).map(async |number| {
        let command = format!("align --sample {number} --run {mine}");
        let body =
            json!({"id": sha256(&command), "definition": {"image": "lab/align:2", "command": command}});
        server.post("/q/local", &body).await.0
    });
    let statuses: Vec<u16> = stream::iter(submissions).buffer_unordered(AT_ONCE).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "all are accepted");
}
