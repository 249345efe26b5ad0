//! Jobs as the person sees them, whoever submitted them.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{Caller, JobId, Outlook, QueueName};
use deskgrid_worker::Release;
use serde_json::json;

use crate::Site;
use crate::access::Administrator;
use crate::body::Written;
use crate::error::HttpError;
use crate::jobs::known;
use crate::names::{Named, read};

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/jobs/{id}/delete", post(delete))
}

/// Removes a job for everyone, in every queue that has it.
async fn delete(
    _: Administrator,
    State(site): State<Site>,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    let job = known(&site, &id).await?;
    let mut queues: Vec<QueueName> = job.holds.iter().map(|hold| hold.queue.clone()).collect();
    queues.dedup();
    if queues.is_empty() {
        queues.push(read("local")?);
    }
    for queue in queues {
        let outlook = Outlook { queue, caller: Caller::Program };
        let release = Release { id: id.clone(), outlook, slots: Released::All, why: Withdrawal::Delete };
        site.worker().release(release).await?;
    }
    Ok(Written(json!({ "success": true, "jobId": id.as_str() }).to_string()))
}
