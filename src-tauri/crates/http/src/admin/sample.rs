//! The sample job: with one click a person sees a job run, its log and a plot.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use deskgrid_job::{Caller, Outlook, Phase};
use deskgrid_wire::Submission;
use serde::Deserialize;
use serde_json::json;

use super::jobs::run_again;
use super::understood;
use crate::Site;
use crate::access::Administrator;
use crate::body::{JsonText, Written};
use crate::error::HttpError;
use crate::names::read;
use crate::submission::to_worker;

/// Small, known to everyone, and with all that the script needs.
const IMAGE: &str = "busybox:stable";
/// What the job runs.
const SCRIPT: &str = include_str!("sample.sh");

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/api/sample", post(start))
}

#[derive(Default, Deserialize)]
struct Wish {
    /// Another image with a shell and awk, for a computer without a network.
    image: Option<String>,
}

/// Submits the sample, or runs it again when it ran before.
async fn start(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let wish: Wish = if text.trim().is_empty() { Wish::default() } else { understood(&text)? };
    let submission = Submission::parse(&body(wish.image.as_deref().unwrap_or(IMAGE)))?;
    let id = submission.id.clone();
    match site.worker().job(&id).await? {
        Some(job) if matches!(job.phase, Phase::Finished(_)) => run_again(&site, &id).await?,
        _ => {
            let outlook = Outlook { queue: read("local")?, caller: Caller::Program };
            site.worker().submit(to_worker(submission, outlook)).await?;
        }
    }
    Ok(Written(json!({ "jobId": id.as_str() }).to_string()))
}

fn body(image: &str) -> String {
    let definition = json!({
        "image": image,
        "command": ["sh", "/inputs/sample.sh"],
        "inputs": { "sample.sh": { "type": "utf8", "value": SCRIPT } },
        "tags": { "name": "Sample" },
    });
    json!({ "definition": definition }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_job_that_can_run() {
        let submission = Submission::parse(&body(IMAGE)).unwrap();
        let definition = submission.definition.unwrap();
        assert_eq!(definition.inputs.len(), 1);
    }
}
