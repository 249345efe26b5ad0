//! What the benchmark asks of a page beyond what the tests do: short definitions, and waits for the next news of a job.

use std::collections::HashSet;

use deskgrid_tests::{Page, shell, unique};
use serde_json::{Value, json};

/// A job that ends as soon as it runs and equals no other.
pub(crate) fn small_job() -> Value {
    shell(&format!(": {}", unique()))
}

/// Submits under a fresh id and waits for the finished record.
pub(crate) async fn run(page: &mut Page, definition: &Value) -> String {
    let id = unique();
    page.submit(&id, definition, &json!({})).await;
    told_finished(page, &id).await;
    id
}

/// Reads frames until one says that the job is finished, whatever was known of it before.
pub(crate) async fn told_finished(page: &mut Page, id: &str) {
    all_told_finished(page, HashSet::from([id.to_owned()])).await;
}

/// Reads frames until each of the jobs was said to be finished.
pub(crate) async fn all_told_finished(page: &mut Page, mut ids: HashSet<String>) {
    while !ids.is_empty() {
        let frame = page.next().await;
        let Some(jobs) = frame["payload"]["state"]["jobs"].as_object() else { continue };
        for (id, job) in jobs.iter().filter(|(_, job)| job["state"] == "Finished") {
            if ids.remove(id) {
                assert_eq!(job["finishedReason"], "Success", "{id}: {job}");
            }
        }
    }
}
