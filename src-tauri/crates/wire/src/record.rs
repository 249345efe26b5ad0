//! A job's record as clients see it, and the result document (protocol section 3). Writing only: clients never send
//! records. Lists of 10,000 of them are written at once, so that each is short and nothing is built on the way.

use std::borrow::Borrow;

use deskgrid_job::{FilePath, Job, LogLine, Outlook, OutputFile, Phase, RunResult, WorkerId};

use crate::json::{push, push_each, push_text};
use crate::log;

/// Whose view of a job a record is: a job looks different in each queue that holds it, and to each page.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The queue and the reader whose namespaces are shown.
    pub outlook: &'a Outlook,
    /// The worker that runs the jobs here.
    pub worker: &'a WorkerId,
}

/// Appends the record of `job`.
pub fn append(out: &mut String, job: &Job, view: View) {
    out.push('{');
    members(out, job, view);
    out.push('}');
}

/// Appends `{id: record, ..}`.
pub fn append_all<'a>(out: &mut String, jobs: impl IntoIterator<Item = &'a Job>, view: View) {
    out.push('{');
    push_each(out, jobs, |out, job| {
        push_text(out, job.id.as_str());
        out.push(':');
        append(out, job, view);
    });
    out.push('}');
}

/// The record of a finished job with its result; none while the job is not finished.
///
/// The lines of `log` are those of the container; our own remarks in `result` follow them. Output addresses start
/// with `base_url`, for example `http://localhost:8000`.
pub fn finished_document<L: Borrow<LogLine>>(
    job: &Job,
    view: View,
    result: &RunResult,
    log: impl IntoIterator<Item = L>,
    base_url: &str,
) -> Option<String> {
    let Phase::Finished(reason) = job.phase else { return None };
    let mut out = String::from("{");
    members(&mut out, job, view);
    push(
        &mut out,
        format_args!(
            r#","finished":{{"type":"Finished","reason":"{}","time":{}"#,
            reason.as_str(),
            job.changed_at.0
        ),
    );
    if let Some(worker) = shown_worker(job, view) {
        push(&mut out, format_args!(r#","worker":"{worker}""#));
    }
    out.push_str(",\"result\":");
    append_result(&mut out, result, log, base_url);
    out.push_str("}}");
    Some(out)
}

/// The protocol's word for where a job is.
pub(crate) fn state_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "Queued",
        Phase::Running => "Running",
        Phase::Finished(_) => "Finished",
        Phase::Removed => "Removed",
    }
}

fn members(out: &mut String, job: &Job, view: View) {
    // Ids and phase words have no character that JSON escapes.
    let worker = shown_worker(job, view).map_or("", WorkerId::as_str);
    push(
        out,
        format_args!(
            r#""queuedTime":{},"state":"{}","time":{},"worker":"{worker}""#,
            job.queued_at.0,
            state_word(job.phase),
            job.changed_at.0
        ),
    );
    if let Phase::Finished(reason) = job.phase {
        push(out, format_args!(r#","finishedReason":"{}""#, reason.as_str()));
    }
    out.push_str(",\"namespaces\":[");
    push_each(out, job.namespaces(view.outlook), |out, namespace| push_text(out, namespace.as_str()));
    out.push(']');
    if let Some(carried) = &job.carried {
        for (name, json) in
            [("requirements", &carried.requirements), ("tags", &carried.tags), ("debug", &carried.debug)]
        {
            if let Some(json) = json {
                push(out, format_args!(",\"{name}\":{json}"));
            }
        }
    }
}

/// The worker of a job that runs, or that ended after it had run.
fn shown_worker<'a>(job: &Job, view: View<'a>) -> Option<&'a WorkerId> {
    let had_a_run = match job.phase {
        Phase::Running => true,
        Phase::Finished(_) => job.run > 0,
        Phase::Queued | Phase::Removed => false,
    };
    had_a_run.then_some(view.worker)
}

fn append_result<L: Borrow<LogLine>>(
    out: &mut String,
    result: &RunResult,
    log: impl IntoIterator<Item = L>,
    base_url: &str,
) {
    out.push('{');
    if let Some(code) = result.exit_code {
        push(out, format_args!("\"StatusCode\":{code},"));
    }
    out.push_str("\"logs\":[");
    let mut is_first = true;
    for line in log {
        append_line(out, &mut is_first, line.borrow(), line.borrow().is_stderr);
    }
    for note in &result.notes {
        append_line(out, &mut is_first, note, true);
    }
    out.push(']');
    if let Some(duration) = result.duration {
        push(out, format_args!(",\"duration\":{}", duration.as_millis()));
    }
    if let Some(failure) = &result.failure {
        out.push_str(",\"error\":");
        push_text(out, &failure.message);
    }
    // An addition of ours, for clients that have shown the container's own lines already.
    if !result.notes.is_empty() {
        out.push_str(",\"notes\":");
        log::append_list(out, &result.notes);
    }
    push(out, format_args!(",\"isTimedOut\":{},\"outputs\":{{", result.timed_out));
    push_each(out, &result.outputs, |out, (path, file)| append_output(out, path, *file, base_url));
    out.push_str("}}");
}

fn append_line(out: &mut String, is_first: &mut bool, line: &LogLine, is_stderr: bool) {
    if !std::mem::take(is_first) {
        out.push(',');
    }
    log::append_as(out, line, is_stderr);
}

fn append_output(out: &mut String, path: &FilePath, file: OutputFile, base_url: &str) {
    push_text(out, path.as_str());
    out.push_str(":{\"type\":\"url\",\"value\":");
    push_text(out, &format!("{base_url}/f/{}", file.hash));
    push(out, format_args!(",\"hash\":\"{}\"}}", file.hash));
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use deskgrid_job::{
        BlobHash, Caller, Carried, Failure, FailureCode, Hold, JobId, Namespace, Needs, QueueName, Reason,
        Time,
    };
    use serde_json::{Value, json};

    /// A job that carries nothing, in the shared namespace of the queue `local`.
    pub(crate) fn job(id: &str, phase: Phase) -> Job {
        let queue = QueueName::new("local").unwrap();
        Job {
            id: JobId::new(id).unwrap(),
            phase,
            queued_at: Time(1_763_806_000_000),
            changed_at: Time(1_763_806_001_000),
            turn: 1,
            run: u32::from(phase != Phase::Queued),
            losses: 0,
            holds: vec![Hold { queue, namespace: Namespace::shared(), caller: Caller::Program }],
            needs: Needs::default(),
            carried: None,
            runs_again: false,
        }
    }

    /// Calls `read` with the view of the queue `local`.
    pub(crate) fn viewed<T>(read: impl FnOnce(View) -> T) -> T {
        let outlook = Outlook::whole(QueueName::new("local").unwrap());
        let worker = WorkerId::new("w-1").unwrap();
        read(View { outlook: &outlook, worker: &worker })
    }

    fn record(job: &Job) -> Value {
        let mut out = String::new();
        viewed(|view| append(&mut out, job, view));
        serde_json::from_str(&out).unwrap()
    }

    #[test]
    fn a_queued_job_has_no_worker_and_no_reason() {
        assert_eq!(
            record(&job("j", Phase::Queued)),
            json!({"queuedTime": 1_763_806_000_000_u64, "state": "Queued", "time": 1_763_806_001_000_u64,
                "worker": "", "namespaces": ["_"]})
        );
    }

    #[test]
    fn a_finished_job_says_why_and_where_it_ran() {
        let mut job = job("j", Phase::Finished(Reason::TimedOut));
        assert_eq!(record(&job)["finishedReason"], "TimedOut");
        assert_eq!((&record(&job)["state"], &record(&job)["worker"]), (&json!("Finished"), &json!("w-1")));
        job.run = 0;
        assert_eq!(record(&job)["worker"], "");
    }

    #[test]
    fn only_the_namespaces_of_the_queue_are_shown() {
        let mut job = job("j", Phase::Running);
        for (queue, namespace) in [("local", "a \"b\""), ("other", "c")] {
            let (queue, namespace) = (QueueName::new(queue).unwrap(), Namespace::new(namespace).unwrap());
            job.hold(Hold { queue, namespace, caller: Caller::Program });
        }
        assert_eq!(record(&job)["namespaces"], json!(["_", "a \"b\""]));
    }

    #[test]
    fn what_the_job_carries_comes_back() {
        let mut job = job("j", Phase::Running);
        job.carried = Some(Arc::new(Carried {
            requirements: Some(r#"{"cpus":2}"#.into()),
            tags: None,
            debug: Some("true".into()),
        }));
        let record = record(&job);
        assert_eq!((&record["requirements"], &record["debug"]), (&json!({"cpus": 2}), &json!(true)));
        assert_eq!(record.get("tags"), None);
    }

    #[test]
    fn ten_thousand_records_stay_small() {
        let jobs: Vec<Job> = (0..10_000).map(|n| job(&format!("{n:064}"), Phase::Queued)).collect();
        let mut out = String::new();
        viewed(|view| append_all(&mut out, &jobs, view));
        assert!(out.len() < 170 * jobs.len(), "{}", out.len() / jobs.len());
        assert_eq!(serde_json::from_str::<BTreeMap<String, Value>>(&out).unwrap().len(), 10_000);
    }

    #[test]
    fn the_document_of_a_finished_job_has_logs_remarks_and_outputs() {
        let job = job("j", Phase::Finished(Reason::Success));
        let hash = BlobHash([0xab; 32]);
        let line = |text: &str| LogLine { text: text.into(), time: Time(5), is_stderr: false };
        let result = RunResult {
            exit_code: Some(3),
            duration: Some(Duration::from_millis(1234)),
            outputs: BTreeMap::from([(FilePath::new("a/ü \".txt").unwrap(), OutputFile { hash, size: 9 })]),
            notes: vec![line("left out\n")],
            ..RunResult::default()
        };
        let text = viewed(|view| {
            finished_document(&job, view, &result, [line("one\n")], "http://localhost:8000").unwrap()
        });
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&document["state"], &document["finishedReason"]),
            (&json!("Finished"), &json!("Success"))
        );
        assert_eq!(
            document["finished"],
            json!({"type": "Finished", "reason": "Success", "time": 1_763_806_001_000_u64, "worker": "w-1",
                "result": {"StatusCode": 3, "logs": [["one\n", 5], ["left out\n", 5, true]], "duration": 1234,
                    "notes": [["left out\n", 5]],
                    "isTimedOut": false, "outputs": {"a/ü \".txt": {"type": "url",
                        "value": format!("http://localhost:8000/f/{hash}"), "hash": hash.to_string()}}}})
        );
    }

    #[test]
    fn a_failure_is_told_as_text_without_a_status_code() {
        let mut job = job("j", Phase::Finished(Reason::Error));
        job.run = 0;
        let result = RunResult::failed(Failure::new(FailureCode::ImageUnavailable, "no \"such\" image"));
        let none: [LogLine; 0] = [];
        let text = viewed(|view| finished_document(&job, view, &result, none, "").unwrap());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            document["finished"]["result"],
            json!({"logs": [], "error": "no \"such\" image", "isTimedOut": false, "outputs": {}})
        );
        assert_eq!(document["finished"].get("worker"), None);
    }

    #[test]
    fn an_unfinished_job_has_no_document() {
        let none: [LogLine; 0] = [];
        let job = job("j", Phase::Running);
        assert_eq!(viewed(|view| finished_document(&job, view, &RunResult::default(), none, "")), None);
    }
}
