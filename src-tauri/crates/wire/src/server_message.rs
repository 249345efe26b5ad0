//! Frames that the server sends to clients (protocol section 4, *server -> client*), ready to go out as text.

use std::borrow::Borrow;
use std::time::Duration;

use deskgrid_job::{Job, JobId, LogLine, Time, WorkerId};

use crate::json::{push, push_each, push_text};
use crate::record::{self, View};
use crate::{duration, log};

/// A worker as clients see it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerDescription {
    /// The version of the program.
    pub version: String,
    /// Its name.
    pub id: WorkerId,
    /// CPUs it offers.
    pub cpus: f64,
    /// GPUs it offers.
    pub gpus: u32,
    /// When it was last known to be there.
    pub time: Time,
    /// The longest run it allows. Clients get it as text such as `1h30m`.
    pub max_job_duration: Duration,
}

/// Which step of a job wrote a live line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The image is brought here.
    Pull,
    /// The build's context is brought here.
    Clone,
    /// The image is built.
    Build,
    /// The image is stored elsewhere.
    Push,
    /// The container runs.
    Run,
}

impl Step {
    /// The protocol's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "docker image pull",
            Self::Clone => "cloning repo",
            Self::Build => "docker build",
            Self::Push => "docker image push",
            Self::Run => "Running",
        }
    }
}

/// `Workers`: who runs jobs.
pub fn workers<'a>(workers: impl IntoIterator<Item = &'a WorkerDescription>) -> String {
    let mut out = String::from(r#"{"type":"Workers","payload":{"workers":["#);
    push_each(&mut out, workers, append_worker);
    out.push_str("]}}");
    out
}

/// `JobStates`: the whole queue, which replaces what the client has.
pub fn job_states<'a>(jobs: impl IntoIterator<Item = &'a Job>, view: View) -> String {
    states(r#"{"type":"JobStates","payload":{"isSubset":false,"state":{"jobs":"#, jobs, view)
}

/// `JobStateUpdates`: changed jobs only, which the client merges.
pub fn job_state_updates<'a>(jobs: impl IntoIterator<Item = &'a Job>, view: View) -> String {
    states(r#"{"type":"JobStateUpdates","payload":{"isSubset":true,"state":{"jobs":"#, jobs, view)
}

/// `JobStatusPayload`, live lines of one job, up to its lines. Those follow as [`live_lines`] writes them, with commas
/// between; then [`JOB_STATUS_END`]. So lines that go to many clients are written once.
pub fn job_status_begin(job: &JobId, step: Step) -> String {
    let mut out = String::from(r#"{"type":"JobStatusPayload","payload":{"jobId":"#);
    push_text(&mut out, job.as_str());
    push(&mut out, format_args!(r#","step":"{}","logs":["#, step.as_str()));
    out
}

/// What follows the lines.
pub const JOB_STATUS_END: &str = "]}}";

/// Lines with commas between.
pub fn live_lines<L: Borrow<LogLine>>(lines: impl IntoIterator<Item = L>) -> String {
    let mut out = String::new();
    push_each(&mut out, lines, |out, line: L| log::append(out, line.borrow()));
    out
}

fn states<'a>(opening: &str, jobs: impl IntoIterator<Item = &'a Job>, view: View) -> String {
    let mut out = String::from(opening);
    record::append_all(&mut out, jobs, view);
    out.push_str("}}}");
    out
}

fn append_worker(out: &mut String, worker: &WorkerDescription) {
    out.push_str("{\"version\":");
    push_text(out, &worker.version);
    out.push(',');
    append_worker_members(out, worker);
    out.push('}');
}

/// The members that the status document has too.
pub(crate) fn append_worker_members(out: &mut String, worker: &WorkerDescription) {
    push(
        out,
        format_args!(
            r#""id":"{}","cpus":{},"gpus":{},"time":{},"maxJobDuration":"{}""#,
            worker.id,
            worker.cpus,
            worker.gpus,
            worker.time.0,
            duration::text(worker.max_job_duration)
        ),
    );
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::tests::{job, viewed};
    use deskgrid_job::Phase;
    use serde_json::{Value, json};

    pub(crate) fn worker() -> WorkerDescription {
        WorkerDescription {
            version: "0.1.0".into(),
            id: WorkerId::new("w-1").unwrap(),
            cpus: 2.0,
            gpus: 0,
            time: Time(7),
            max_job_duration: Duration::from_secs(3600),
        }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn workers_are_described() {
        assert_eq!(
            read(&workers([&worker()])),
            json!({"type": "Workers", "payload": {"workers": [{"version": "0.1.0", "id": "w-1", "cpus": 2,
                "gpus": 0, "time": 7, "maxJobDuration": "1h"}]}})
        );
    }

    #[test]
    fn the_whole_queue_and_changes_differ_in_type_and_subset() {
        let jobs = [job("a", Phase::Queued), job("b", Phase::Running)];
        let whole = read(&viewed(|view| job_states(&jobs, view)));
        let changes = read(&viewed(|view| job_state_updates(&jobs[1..], view)));
        assert_eq!((&whole["type"], &whole["payload"]["isSubset"]), (&json!("JobStates"), &json!(false)));
        assert_eq!(whole["payload"]["state"]["jobs"]["a"]["state"], "Queued");
        assert_eq!(
            (&changes["type"], &changes["payload"]["isSubset"]),
            (&json!("JobStateUpdates"), &json!(true))
        );
        assert_eq!(changes["payload"]["state"]["jobs"].as_object().unwrap().len(), 1);
        let empty = read(&viewed(|view| job_states([], view)));
        assert_eq!(empty["payload"]["state"]["jobs"], json!({}));
    }

    #[test]
    fn live_lines_name_job_and_step() {
        let line = LogLine { text: "x\n".into(), time: Time(1), is_stderr: true };
        let begin = job_status_begin(&JobId::new("j").unwrap(), Step::Pull);
        let (one, two) = (live_lines([&line]), live_lines([&line, &line]));
        assert_eq!(
            read(&format!("{begin}{one},{two}{JOB_STATUS_END}")),
            json!({"type": "JobStatusPayload",
                "payload": {"jobId": "j", "step": "docker image pull", "logs": vec![json!(["x\n", 1, true]); 3]}})
        );
        assert_eq!(read(&format!("{begin}{JOB_STATUS_END}"))["payload"]["logs"], json!([]));
    }
}
