//! The client's own record of what was accepted and what was reported, and the promise that it is held against.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Client;
use super::marks::{self, Marks};
use super::work::Work;
use crate::sha256;

/// Hundredths of a second for which nothing that was used is removed to make room.
const FRESH: u64 = 600 * 100;

/// What programs say of a disk that takes nothing.
const TROUBLE: [&str; 2] = ["Read-only file system", "No space left on device"];

/// What may befall a job beside its proper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardship {
    /// Only the server dies: every container is taken over, so each job runs exactly once.
    Server,
    /// The engine dies as well, and takes containers with it: a job runs again, and after four losses it fails.
    Engine,
    /// The server dies, and its disk runs full or takes nothing: a job may fail with that as its reason, and runs again
    /// where not even that could be written.
    Disk,
    /// The server dies, and its disk may only be read for a while: each job waits, and runs exactly once.
    ReadOnly,
}

impl Hardship {
    fn most_runs(self) -> usize {
        match self {
            Self::Server | Self::ReadOnly => 1,
            Self::Engine | Self::Disk => 4,
        }
    }

    /// Whether jobs may be reported as failed that would have done well.
    fn fails_jobs(self) -> bool {
        !matches!(self, Self::Server | Self::ReadOnly)
    }

    /// Whether the program itself may have made room by removing a result that was told at `told`.
    fn makes_room(self, told: u64) -> bool {
        self == Self::Disk && marks::now().saturating_sub(told) > FRESH
    }
}

/// What the client was told of a job.
#[derive(Clone, Debug)]
struct Told {
    work: Work,
    /// The finished record, and when the client had it.
    reported: Option<(Value, u64)>,
    /// Its deletion was acknowledged.
    is_deleted: bool,
    /// What a reader had collected of its log, piece by piece, when it was over.
    followed: Option<[String; 2]>,
}

/// All that the client was told.
#[derive(Debug, Default)]
pub struct Record {
    jobs: BTreeMap<String, Told>,
    uploads: BTreeSet<(String, Vec<u8>)>,
    /// Files that came to harm, by their hashes: of these there is an error or the right bytes.
    harmed: BTreeSet<String>,
    violations: Vec<String>,
}

impl Record {
    /// The server accepted a job.
    pub fn accepted(&mut self, work: Work) {
        let told = Told { work, reported: None, is_deleted: false, followed: None };
        self.jobs.entry(told.work.id.clone()).or_insert(told);
    }

    /// The server reported a job's end.
    pub fn reported(&mut self, id: &str, result: Value) {
        let now = marks::now();
        let Some(told) = self.jobs.get_mut(id) else { return };
        match &told.reported {
            Some((before, _)) if *before != result => {
                self.violations.push(format!("{id} was reported as {before} and then as {result}"));
            }
            Some(_) => {}
            None => told.reported = Some((result, now)),
        }
    }

    /// The server took a job's deletion.
    pub fn deleted(&mut self, id: &str) {
        if let Some(told) = self.jobs.get_mut(id) {
            told.is_deleted = true;
        }
    }

    /// A reader followed a job's log to its end and collected these texts of both streams.
    pub fn followed(&mut self, id: &str, texts: [String; 2]) {
        if let Some(told) = self.jobs.get_mut(id) {
            told.followed = Some(texts);
        }
    }

    /// The server acknowledged a file under `key`.
    pub fn uploaded(&mut self, key: &str, bytes: &[u8]) {
        self.uploads.insert((key.to_owned(), bytes.to_vec()));
    }

    /// The disk has damaged a file.
    pub fn harmed(&mut self, hash: String) {
        self.harmed.insert(hash);
    }

    /// A broken promise.
    pub fn violated(&mut self, what: String) {
        self.violations.push(what);
    }

    /// How many jobs were accepted.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing was accepted.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Holds all that is on record against what the server has now; waits for jobs that go on. Returns the broken
    /// promises.
    pub async fn check(mut self, client: &Client, marks: &Marks, hardship: Hardship) -> Vec<String> {
        for (id, told) in std::mem::take(&mut self.jobs) {
            for wrong in check_job(client, marks, hardship, &told, &self.harmed).await {
                self.violations.push(format!("{id} ({:?}): {wrong}", told.work.kind));
            }
        }
        for (key, bytes) in &self.uploads {
            let (status, found) = client.get(&format!("/f/{key}")).await;
            let is_harmed = status == 410 && self.harmed.contains(&sha256(bytes));
            if !is_harmed && (status, &found) != (200, bytes) {
                self.violations
                    .push(format!("the file {key} is answered with {status}, {} bytes", found.len()));
            }
        }
        self.violations
    }
}

async fn check_job(
    client: &Client,
    marks: &Marks,
    hardship: Hardship,
    told: &Told,
    harmed: &BTreeSet<String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let work = &told.work;
    let runs = marks.runs(&work.id);
    if marks.overlap(&work.id) {
        wrong.push("it ran twice at the same time".to_owned());
    }
    if runs.len() > hardship.most_runs() {
        wrong.push(format!("it ran {} times: {runs:?}", runs.len()));
    }
    if told.is_deleted {
        if !client.result(&work.id).await.is_null() {
            wrong.push("it was deleted and has a result".to_owned());
        }
        return wrong;
    }
    if work.kind.is_cancelled() {
        wrong.extend(check_cancelled(client, hardship, &work.id).await);
        return wrong;
    }
    let Some((reported, at)) = &told.reported else {
        wrong.push("its end was never reported".to_owned());
        return wrong;
    };
    if let Some((_, begun)) = runs.iter().find(|(_, begun)| begun > at) {
        wrong.push(format!("it ran again at {begun} after its end was reported at {at}"));
    }
    let now = client.result(&work.id).await;
    if now.is_null() && hardship.makes_room(*at) {
        return wrong;
    }
    if now != *reported {
        wrong.push(format!("reported was {reported}, now it is {now}"));
    }
    wrong.extend(check_end(client, hardship, told, reported, &runs, harmed).await);
    wrong
}

/// A job that was cancelled never comes to another end, and nobody sees it any more. That its containers are gone is
/// seen where all of them are looked for.
async fn check_cancelled(client: &Client, hardship: Hardship, id: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let result = client.result(id).await;
    let failed_before = hardship.fails_jobs() && result["finishedReason"] == "Error";
    if !result.is_null() && !failed_before {
        wrong.push(format!("it was cancelled and has the result {result}"));
    }
    let listed = client.get_json("/q/local/j").await["data"][id].take();
    if !listed.is_null() && !failed_before {
        wrong.push(format!("it was cancelled and is listed as {listed}"));
    }
    let (_, final_event) = client.get(&format!("/q/local/j/{id}/stream")).await;
    let final_event = String::from_utf8_lossy(&final_event).into_owned();
    let is_told = final_event.contains(r#""reason":"Cancelled""#);
    if !is_told && !failed_before {
        wrong.push(format!("it was cancelled and its events end with {final_event}"));
    }
    wrong
}

async fn check_end(
    client: &Client,
    hardship: Hardship,
    told: &Told,
    reported: &Value,
    runs: &[(String, u64)],
    harmed: &BTreeSet<String>,
) -> Vec<String> {
    let work = &told.work;
    let result = &reported["finished"]["result"];
    let reason = reported["finishedReason"].as_str().unwrap_or_default();
    if reason == "Error" && hardship.fails_jobs() && result["error"].is_string() {
        // Reported as failed with the reason, which is within the promise.
        return Vec::new();
    }
    let found = stream_texts(&result["logs"]);
    if matches!(hardship, Hardship::Disk | Hardship::ReadOnly)
        && TROUBLE.iter().any(|words| found[1].contains(words))
    {
        // The job itself met the disk in its folder for outputs, and went on or failed as its own rules have it.
        return Vec::new();
    }
    let mut wrong = Vec::new();
    if reason != work.reason || result["StatusCode"].as_i64() != work.code {
        wrong.push(format!("it ended as {reported}"));
        return wrong;
    }
    if work.code.is_some() && runs.is_empty() {
        wrong.push("it has a result and never ran".to_owned());
    }
    let expected = [work.stdout.clone(), work.stderr.clone()];
    let mut logs = vec![("result", found)];
    if hardship.most_runs() == 1 {
        // A job that runs again has a new log.
        logs.extend(told.followed.clone().map(|texts| ("followed log", texts)));
    }
    for (name, found) in logs {
        for (text, found) in expected.iter().zip(found) {
            if let Some(difference) = text.as_ref().and_then(|text| difference(text, &found)) {
                wrong.push(format!("the {name}, {difference}"));
            }
        }
    }
    let outputs = result["outputs"].as_object().cloned().unwrap_or_default();
    if !outputs.keys().eq(work.outputs.keys()) {
        wrong.push(format!("the outputs are {:?}", outputs.keys()));
    }
    for (path, bytes) in &work.outputs {
        let (status, found) = client.get(&format!("/j/{}/outputs/{path}", work.id)).await;
        if status == 410 && harmed.contains(&sha256(bytes)) {
            continue;
        }
        if (status, &found) != (200, bytes)
            || outputs.get(path).is_none_or(|file| file["hash"] != sha256(bytes))
        {
            wrong.push(format!("the output {path} is answered with {status}, {} bytes", found.len()));
        }
    }
    wrong
}

/// Where two texts part, and what follows there.
fn difference(expected: &str, found: &str) -> Option<String> {
    let same = expected.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
    let rest =
        |text: &str| String::from_utf8_lossy(&text.as_bytes()[same..]).chars().take(60).collect::<String>();
    (expected != found)
        .then(|| format!("from byte {same} on: {:?} instead of {:?}", rest(found), rest(expected)))
}

/// The texts of output and errors among lines of a log.
pub fn stream_texts(lines: &Value) -> [String; 2] {
    let mut texts = [String::new(), String::new()];
    for line in lines.as_array().into_iter().flatten() {
        texts[usize::from(line[2] == true)].push_str(line[0].as_str().unwrap_or_default());
    }
    texts
}
