//! Bodies of the answers over HTTP (protocol section 5). Not their status codes or headers, and not the metrics.

use std::borrow::Borrow;

use deskgrid_job::{Job, JobId, LogLine, Namespace, Phase, QueueName, Reason};

use crate::json::{push, push_each, push_text};
use crate::log;
use crate::record::{self, View, state_word};
use crate::server_message::{WorkerDescription, append_worker_members};

/// The answer to an accepted submission.
pub fn submitted(job: &JobId) -> String {
    format!(r#"{{"success":true,"jobId":"{job}"}}"#)
}

/// The answer to whatever could not be done.
pub fn error(message: &str) -> String {
    with_text("error", message)
}

/// The answer for an id that nothing is known of, where the protocol wants `error`.
pub fn no_such_job() -> String {
    error("Job not found")
}

/// `{"data": ..}` around JSON that is there already, or around `null`.
pub fn data(json: Option<&str>) -> String {
    format!(r#"{{"data":{}}}"#, json.unwrap_or("null"))
}

/// Every job of a queue.
pub fn jobs<'a>(jobs: impl IntoIterator<Item = &'a Job>, view: View) -> String {
    let mut out = String::from("{\"data\":");
    record::append_all(&mut out, jobs, view);
    out.push('}');
    out
}

/// A definition, as JSON, and the document of [`record::finished_document`] when there is one.
pub fn job(definition: &str, results: Option<&str>) -> String {
    match results {
        None => format!(r#"{{"data":{{"definition":{definition}}}}}"#),
        Some(results) => format!(r#"{{"data":{{"definition":{definition},"results":{results}}}}}"#),
    }
}

/// Bytes that a line takes beyond its text: brackets, commas, the time, and what is escaped in most.
const AROUND_LINE: usize = 32;

/// Log lines from `start` on, out of `total` known ones; `is_final` when no more will come.
pub fn log_slice(lines: &[LogLine], start: u64, total: u64, is_final: bool) -> String {
    // A text of megabytes that grows takes twice its room, and its old room too while it moves.
    let mut out = String::with_capacity(lines.iter().map(|line| line.text.len() + AROUND_LINE).sum());
    out.push_str("{\"data\":");
    log::append_list(&mut out, lines);
    push(&mut out, format_args!(r#","sliceStart":{start},"nextCursor":{total},"isFinal":{is_final}}}"#));
    out
}

/// Whether a file is stored.
pub fn exists(is_stored: bool) -> String {
    format!(r#"{{"exists":{is_stored}}}"#)
}

/// The namespaces that hold a job.
pub fn namespaces<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> String {
    let mut out = String::from("{\"data\":[");
    push_each(&mut out, namespaces, |out, namespace| push_text(out, namespace.as_str()));
    out.push_str("]}");
    out
}

/// The answer to a cancellation of a live job; `namespace` is the client's word, `*` included.
pub fn cancelled(job: &JobId, namespace: &str) -> String {
    let mut out = format!(r#"{{"success":true,"jobId":"{job}","namespace":"#);
    push_text(&mut out, namespace);
    out.push('}');
    out
}

/// The answer to a cancellation that changes nothing, since the job is over.
pub fn already_over() -> String {
    r#"{"success":true}"#.to_owned()
}

/// The answer to a cancellation of a job that nothing is known of.
pub fn nothing_to_cancel() -> String {
    with_text("message", "Job not found")
}

/// The data of the events `build-log` and `run-log`; `cursor` counts the lines sent so far, these included.
pub fn stream_lines<L: Borrow<LogLine>>(lines: impl IntoIterator<Item = L>, cursor: u64) -> String {
    let mut out = String::from("{\"lines\":");
    log::append_list(&mut out, lines);
    push(&mut out, format_args!(",\"cursor\":{cursor}}}"));
    out
}

/// The data of the event `state`.
pub fn stream_state(phase: Phase) -> String {
    let mut out = String::new();
    append_phase(&mut out, phase, "reason");
    out
}

/// The data of the event `final`.
pub fn stream_final(reason: Reason) -> String {
    stream_state(Phase::Finished(reason))
}

/// The container engine, as the status document shows it: an addition of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineDescription {
    /// A stable word.
    pub state: &'static str,
    /// What it means and what to do, for people.
    pub message: String,
}

/// `{jobs, otherServers, localWorkers, clientCount, queueInfo, engine}` of one queue, whose only worker is this
/// computer.
pub fn status(
    queue: &QueueName,
    jobs: &[&Job],
    worker: &WorkerDescription,
    engine: &EngineDescription,
    clients: usize,
) -> String {
    let mut out = String::from("{\"jobs\":{");
    push_each(&mut out, jobs, |out, job| {
        push_text(out, job.id.as_str());
        out.push(':');
        append_phase(out, job.phase, "finishedReason");
    });
    push(&mut out, format_args!(r#"}},"otherServers":{{}},"localWorkers":{{"{}":{{"#, worker.id));
    append_worker_members(&mut out, worker);
    out.push_str(",\"queue\":{");
    let running = jobs.iter().filter(|job| job.phase == Phase::Running);
    push_each(&mut out, running, |out, job| {
        push(out, format_args!(r#""{0}":{{"jobId":"{0}","finished":false}}"#, job.id));
    });
    push(&mut out, format_args!(r#"}}}}}},"clientCount":{clients},"queueInfo":{{"address":"#));
    push_text(&mut out, queue.as_str());
    push(
        &mut out,
        format_args!(
            r#","serverId":"{}","jobCount":{},"localWorkerCount":1,"otherWorkerCount":0,"clientCount":{clients},"#,
            worker.id,
            jobs.len()
        ),
    );
    out.push_str("\"jobStates\":[");
    push_each(&mut out, jobs, |out, job| push_text(out, state_word(job.phase)));
    push(&mut out, format_args!(r#"]}},"engine":{{"state":"{}","message":"#, engine.state));
    push_text(&mut out, &engine.message);
    out.push_str("}}");
    out
}

fn with_text(name: &str, text: &str) -> String {
    let mut out = format!("{{\"{name}\":");
    push_text(&mut out, text);
    out.push('}');
    out
}

fn append_phase(out: &mut String, phase: Phase, reason_name: &str) {
    push(out, format_args!(r#"{{"state":"{}""#, state_word(phase)));
    if let Phase::Finished(reason) = phase {
        push(out, format_args!(r#","{reason_name}":"{}""#, reason.as_str()));
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::viewed;
    use deskgrid_job::Time;
    use serde_json::{Value, json};

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn line(text: &str) -> LogLine {
        LogLine { text: text.into(), time: Time(1), is_stderr: false }
    }

    #[test]
    fn short_answers_have_the_shapes_of_the_protocol() {
        let job = JobId::new("j").unwrap();
        let shared = Namespace::shared();
        for (answer, wanted) in [
            (submitted(&job), json!({"success": true, "jobId": "j"})),
            (error("a \"b\""), json!({"error": "a \"b\""})),
            (no_such_job(), json!({"error": "Job not found"})),
            (data(None), json!({"data": null})),
            (data(Some("{\"a\":1}")), json!({"data": {"a": 1}})),
            (super::job("{\"image\":\"a\"}", None), json!({"data": {"definition": {"image": "a"}}})),
            (super::job("{}", Some("{}")), json!({"data": {"definition": {}, "results": {}}})),
            (exists(true), json!({"exists": true})),
            (namespaces([&shared]), json!({"data": ["_"]})),
            (cancelled(&job, "*"), json!({"success": true, "jobId": "j", "namespace": "*"})),
            (already_over(), json!({"success": true})),
            (nothing_to_cancel(), json!({"message": "Job not found"})),
        ] {
            assert_eq!(read(&answer), wanted);
        }
    }

    #[test]
    fn a_slice_of_a_log_says_where_the_next_begins() {
        assert_eq!(
            read(&log_slice(&[line("c")], 2, 3, true)),
            json!({"data": [["c", 1]], "sliceStart": 2, "nextCursor": 3, "isFinal": true})
        );
    }

    #[test]
    fn events_of_the_stream_carry_lines_and_states() {
        assert_eq!(
            read(&stream_lines([line("a"), line("b")], 2)),
            json!({"lines": [["a", 1], ["b", 1]], "cursor": 2})
        );
        assert_eq!(read(&stream_state(Phase::Running)), json!({"state": "Running"}));
        assert_eq!(read(&stream_final(Reason::Success)), json!({"state": "Finished", "reason": "Success"}));
    }

    #[test]
    fn the_jobs_of_a_queue_are_listed_by_id() {
        let jobs = [crate::record::tests::job("a", Phase::Queued)];
        assert_eq!(read(&viewed(|view| super::jobs(&jobs, view)))["data"]["a"]["state"], "Queued");
    }

    #[test]
    fn the_status_tells_of_jobs_worker_and_clients() {
        let jobs = [
            crate::record::tests::job("a", Phase::Running),
            crate::record::tests::job("b", Phase::Finished(Reason::Error)),
        ];
        let queue = QueueName::new("local").unwrap();
        let jobs: Vec<&Job> = jobs.iter().collect();
        let worker = crate::server_message::tests::worker();
        let engine = EngineDescription { state: "engine-ready", message: "It is.".into() };
        assert_eq!(
            read(&status(&queue, &jobs, &worker, &engine, 3)),
            json!({
                "jobs": {"a": {"state": "Running"}, "b": {"state": "Finished", "finishedReason": "Error"}},
                "otherServers": {},
                "localWorkers": {"w-1": {"id": "w-1", "cpus": 2, "gpus": 0, "time": 7, "maxJobDuration": "1h",
                    "queue": {"a": {"jobId": "a", "finished": false}}}},
                "clientCount": 3,
                "queueInfo": {"address": "local", "serverId": "w-1", "jobCount": 2, "localWorkerCount": 1,
                    "otherWorkerCount": 0, "clientCount": 3, "jobStates": ["Running", "Finished"]},
                "engine": {"state": "engine-ready", "message": "It is."}
            })
        );
    }
}
