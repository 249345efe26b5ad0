//! What a finished job came to, with as much of its log as fits into one document.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use deskgrid_job::{Job, JobId, LogLine, Outlook, Phase, QueueName, Time};
use deskgrid_store::{Cut, Excerpt};
use deskgrid_wire::{answer, record};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{find, view};
use crate::Site;
use crate::body::Written;
use crate::error::HttpError;
use crate::names::{Named, Seen};

/// The most of a log that a result document carries, in bytes.
const MOST_LOG: u64 = 8 * 1024 * 1024;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/j/{id}/result.json", get(show))
        .route("/j/{id}/results.json", get(show))
        .route("/q/{queue}/j/{id}/result.json", get(show))
        .route("/q/{queue}/j/{id}/results.json", get(show))
}

async fn show(
    State(site): State<Site>,
    Seen(outlook): Seen,
    Named(id): Named<JobId>,
) -> Result<Written, HttpError> {
    let document = match find(&site, &id).await? {
        Some(job) => document(&site, &outlook, &job).await?,
        None => None,
    };
    if document.is_some() {
        site.worker().note_result_read(&id);
    }
    Ok(Written(answer::data(document.as_deref())))
}

/// The record of a job that is over, with its result where it has one; none while it is not over.
pub(super) async fn record(
    site: &Site,
    outlook: &Outlook,
    job: &Arc<Job>,
) -> Result<Option<String>, HttpError> {
    match document(site, outlook, job).await? {
        Some(document) => Ok(Some(document)),
        // A job that was cancelled has no result; without its record, nobody who asks would see that it is over.
        None if matches!(job.phase, Phase::Finished(_)) => {
            let mut out = String::new();
            record::append(&mut out, job, view(site, outlook));
            Ok(Some(out))
        }
        None => Ok(None),
    }
}

/// The record of a job with its result; none while it has none, and none for a job that was cancelled.
async fn document(site: &Site, outlook: &Outlook, job: &Arc<Job>) -> Result<Option<String>, HttpError> {
    if !matches!(job.phase, Phase::Finished(reason) if reason.is_kept()) {
        return Ok(None);
    }
    let Some(result) = site.store().result(&job.id).await? else { return Ok(None) };
    let excerpt = site.store().logs().excerpt(&job.id, MOST_LOG).await?;
    let address = format!("{}/q/{}/j/{}/run-logs.json", site.base_url(), encoded(&outlook.queue), job.id);
    let lines = lines(excerpt, &address);
    let view = view(site, outlook);
    Ok(record::finished_document(job, view, &result, lines, &site.base_url()))
}

fn encoded(queue: &QueueName) -> String {
    utf8_percent_encode(queue.as_str(), NON_ALPHANUMERIC).to_string()
}

/// The lines of an excerpt, with one that says what was left out between them.
fn lines(excerpt: Excerpt, address: &str) -> Vec<LogLine> {
    let mut lines = excerpt.head;
    if let Some(Cut { lines: count, bytes }) = excerpt.cut {
        let time = lines.last().or(excerpt.tail.first()).map_or(Time(0), |line| line.time);
        let size = bytes.div_ceil(1_000_000);
        let text = format!("… {count} lines ({size} MB) are left out here; the whole log is at {address}\n");
        lines.push(LogLine { text, time, is_stderr: true });
    }
    lines.extend(excerpt.tail);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine { text: text.into(), time: Time(5), is_stderr: false }
    }

    #[test]
    fn a_cut_log_says_how_much_is_missing_and_where_all_of_it_is() {
        let cut = Some(Cut { lines: 7, bytes: 2_500_000 });
        let lines = lines(Excerpt { head: vec![line("a\n")], cut, tail: vec![line("z\n")] }, "http://h/x");
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        let note = "… 7 lines (3 MB) are left out here; the whole log is at http://h/x\n";
        assert_eq!(texts, ["a\n", note, "z\n"]);
    }

    #[test]
    fn a_whole_log_is_left_as_it_is() {
        let excerpt = Excerpt { head: vec![line("a\n")], cut: None, tail: vec![] };
        assert_eq!(lines(excerpt, "x"), [line("a\n")]);
    }
}
