//! A server is killed while many jobs run: from its next start to the moment when it follows all of them again.

use std::time::Instant;

use deskgrid_tests::engine::WORKER_LABEL;
use deskgrid_tests::{Deskgrid, Door, eventually, shell, unique};
use serde_json::{Value, json};

use crate::Bench;
use crate::samples::{Samples, timed};
use crate::table::Row;

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let jobs = bench.scale.taken_over;
    // A hundredth of a CPU for each job, so that all of them run at once on any machine.
    let mut server = Deskgrid::start_with_cpus(1).await;
    for _ in 0..jobs {
        let mut job = shell(&format!("echo {}; sleep 1000", unique()));
        job["requirements"] = json!({"cpus": 0.01});
        server.submit(&job).await;
    }
    until_followed(&server, jobs).await;
    let label = format!("{WORKER_LABEL}={}", server.worker_id());
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..bench.scale.long_rounds {
        server.kill().await;
        let began = Instant::now();
        server.start_again().await;
        until_followed(&server, jobs).await;
        ours.push(began.elapsed());
        let (took, found) = timed(bench.engine.look_at_all(&label)).await;
        assert_eq!(found, jobs, "each job has one container");
        bare.push(took);
    }
    let limit = "list and inspect by the API";
    vec![Row::medians(format!("start to {jobs} running jobs taken over, after a kill"), &ours, &bare, limit)]
}

/// Waits until each job's log is read and its container is waited for.
async fn until_followed(server: &Deskgrid, jobs: usize) {
    let door = Door::of(&server.data());
    let follows = |job: &Value| job["live"]["step"] == "run" && job["live"]["lines"] == 1;
    eventually("all jobs are followed", async || {
        let rows = door.get("/api/jobs?running=true").await;
        rows["jobs"].as_array().is_some_and(|rows| rows.iter().filter(|job| follows(job)).count() == jobs)
    })
    .await;
}
