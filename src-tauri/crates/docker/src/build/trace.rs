//! What `BuildKit` tells: records of vertices (steps and what it does besides), their logs and their sizes. Told as the
//! docker command line does in its plain form.

use std::collections::HashMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};
use bollard::models::{BuildInfo, BuildInfoAux};

use super::{BuildProgress, LONGEST_LINE, Reader};

/// The stream number of a step's standard error.
const STDERR: i64 = 2;

/// Reads the records of one build.
#[derive(Default)]
pub(super) struct Trace {
    vertices: HashMap<String, Seen>,
    /// Vertices that have begun: they are numbered in this order.
    begun: usize,
    /// Steps of each stage.
    stages: HashMap<String, u64>,
    done: u64,
    /// The step that failed, or else the one that began last.
    failed: Option<String>,
    last: Option<String>,
    /// The image that could not be had.
    missing: Option<String>,
}

/// What is known of a vertex.
#[derive(Default)]
struct Seen {
    number: usize,
    started: f64,
    is_over: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Parts whose size was told.
    told: Vec<String>,
}

/// The place of a step in its stage, as in `[stage-1 2/3] RUN make`.
struct Place<'a> {
    stage: &'a str,
    number: u64,
    total: u64,
    words: &'a str,
}

impl<'a> Place<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (place, words) = name.strip_prefix('[')?.split_once(']')?;
        let (stage, numbers) = place.trim().rsplit_once(' ').unwrap_or(("", place.trim()));
        let (number, total) = numbers.split_once('/')?;
        Some(Self { stage, number: number.parse().ok()?, total: total.parse().ok()?, words: words.trim() })
    }

    fn shown(&self) -> String {
        let stage = if self.stage.is_empty() { String::new() } else { format!(" of stage {}", self.stage) };
        format!("{}/{}{stage} ({})", self.number, self.total, self.words)
    }
}

impl Trace {
    fn status(&mut self, status: StatusResponse, told: &mut Vec<BuildProgress>) {
        for vertex in status.vertexes {
            self.vertex(&vertex, told);
        }
        for status in status.statuses {
            self.part(&status, told);
        }
        for log in status.logs {
            self.log(&log, told);
        }
    }

    fn tell(&self, told: &mut Vec<BuildProgress>, line: String, is_stderr: bool) {
        let total = self.stages.values().sum();
        told.push(BuildProgress { line, is_stderr, done: self.done.min(total), total, base: None });
    }

    fn vertex(&mut self, vertex: &Vertex, told: &mut Vec<BuildProgress>) {
        let place = Place::parse(&vertex.name);
        if let Some(place) = &place {
            self.stages.insert(place.stage.to_owned(), place.total);
        }
        let Some(started) = vertex.started else { return };
        let shown = place.as_ref().map(Place::shown);
        let seen = self.vertices.entry(vertex.digest.clone()).or_default();
        if seen.number == 0 {
            self.begun += 1;
            (seen.number, seen.started) = (self.begun, seconds(started.seconds, started.nanos));
            let line = format!("#{} {}", self.begun, vertex.name);
            self.last = shown.clone().or(self.last.take());
            self.tell(told, line, false);
        }
        if let Some(completed) = vertex.completed {
            self.end(vertex, seconds(completed.seconds, completed.nanos), shown, told);
        }
    }

    fn end(&mut self, vertex: &Vertex, completed: f64, shown: Option<String>, told: &mut Vec<BuildProgress>) {
        self.rest(&vertex.digest, told);
        let Some(seen) = self.vertices.get_mut(&vertex.digest).filter(|seen| !seen.is_over) else { return };
        seen.is_over = true;
        let number = seen.number;
        let took = (completed - seen.started).max(0.0);
        self.done += u64::from(shown.is_some() && vertex.error.is_empty());
        let end = if !vertex.error.is_empty() {
            self.failed = self.failed.take().or(shown);
            self.missing = asked_for(&vertex.name).map(str::to_owned).or(self.missing.take());
            format!("ERROR: {}", vertex.error)
        } else if vertex.cached {
            "CACHED".to_owned()
        } else {
            format!("DONE {took:.1}s")
        };
        self.tell(told, format!("#{number} {end}"), false);
    }

    /// The size of a part, such as a layer; told once it is whole.
    fn part(&mut self, status: &VertexStatus, told: &mut Vec<BuildProgress>) {
        let Some(seen) = self.vertices.get_mut(&status.vertex) else { return };
        if status.completed.is_none() || seen.told.contains(&status.id) {
            return;
        }
        seen.told.push(status.id.clone());
        let size = if status.current > 0 { format!(" {} bytes", status.current) } else { String::new() };
        let name = if status.id.is_empty() { &status.name } else { &status.id };
        let line = format!("#{} {name}{size} done", seen.number);
        self.tell(told, line, false);
    }

    fn log(&mut self, log: &VertexLog, told: &mut Vec<BuildProgress>) {
        let Some(seen) = self.vertices.get_mut(&log.vertex) else { return };
        let is_stderr = log.stream == STDERR;
        let waiting = if is_stderr { &mut seen.stderr } else { &mut seen.stdout };
        waiting.extend_from_slice(&log.msg);
        let whole = match waiting.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if waiting.len() >= LONGEST_LINE => waiting.len(),
            None => 0,
        };
        let lines: Vec<u8> = waiting.drain(..whole).collect();
        let since =
            log.timestamp.map_or(0.0, |time| (seconds(time.seconds, time.nanos) - seen.started).max(0.0));
        let number = seen.number;
        for line in String::from_utf8_lossy(&lines).lines() {
            self.tell(told, format!("#{number} {since:.3} {line}"), is_stderr);
        }
    }

    /// What a vertex wrote without a newline at its end.
    fn rest(&mut self, digest: &str, told: &mut Vec<BuildProgress>) {
        let Some(seen) = self.vertices.get_mut(digest) else { return };
        let number = seen.number;
        let rests = [(std::mem::take(&mut seen.stdout), false), (std::mem::take(&mut seen.stderr), true)];
        for (rest, is_stderr) in rests.into_iter().filter(|(rest, _)| !rest.is_empty()) {
            self.tell(told, format!("#{number} {}", String::from_utf8_lossy(&rest)), is_stderr);
        }
    }
}

impl Reader for Trace {
    fn take(&mut self, message: BuildInfo, told: &mut Vec<BuildProgress>) {
        if let Some(BuildInfoAux::BuildKit(status)) = message.aux {
            self.status(status, told);
        }
    }

    fn finish(&mut self, told: &mut Vec<BuildProgress>) {
        let digests: Vec<_> = self.vertices.keys().cloned().collect();
        for digest in digests {
            self.rest(&digest, told);
        }
    }

    fn step(&self) -> Option<String> {
        self.failed.clone().or_else(|| self.last.clone())
    }

    fn missing(&self) -> Option<String> {
        self.missing.clone()
    }
}

/// Seconds since the epoch.
fn seconds(whole: i64, nanos: i32) -> f64 {
    whole as f64 + f64::from(nanos) / 1e9
}

/// The image of a vertex such as `[internal] load metadata for docker.io/library/x:latest`.
fn asked_for(name: &str) -> Option<&str> {
    name.strip_prefix("[internal] load metadata for ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as an engine sent them, in base64, for a build of two stages whose last step fails with 3.
    const FAILING: &str = include_str!("trace.fixture.jsonl");

    fn read(records: &str) -> (Vec<BuildProgress>, Trace) {
        let (mut trace, mut told) = (Trace::default(), Vec::new());
        for record in records.lines() {
            trace.take(serde_json::from_str(record).unwrap(), &mut told);
        }
        trace.finish(&mut told);
        (told, trace)
    }

    #[test]
    fn lines_read_as_those_of_docker_build_and_the_failing_step_is_named() {
        let (told, trace) = read(FAILING);
        let lines: Vec<_> = told.iter().map(|told| told.line.as_str()).collect();
        let has = |start: &str, end: &str| {
            assert!(lines.iter().any(|line| line.starts_with(start) && line.ends_with(end)), "{lines:#?}");
        };
        has("#", "[a 2/2] RUN echo hi; sleep 1");
        has("#", " hi");
        has("#", "ERROR: executor failed running [/bin/sh -c echo out; echo err >&2; exit 3]: exit code: 3");
        let err = told.iter().find(|told| told.line.ends_with(" err")).unwrap();
        assert!(err.is_stderr);
        assert_eq!((err.done, err.total), (2, 3));
        assert_eq!(
            trace.step().as_deref(),
            Some("1/1 of stage stage-1 (RUN echo out; echo err >&2; exit 3)")
        );
    }

    #[test]
    fn a_line_without_end_is_told_in_parts() {
        let mut trace = Trace::default();
        trace.vertices.insert("v".to_owned(), Seen { number: 1, ..Seen::default() });
        let log = VertexLog {
            vertex: "v".to_owned(),
            msg: vec![b'x'; LONGEST_LINE / 2 + 1],
            ..VertexLog::default()
        };
        let mut told = Vec::new();
        (0..5).for_each(|_| trace.log(&log, &mut told));
        assert_eq!(told.len(), 2);
        assert_eq!(trace.vertices["v"].stdout.len(), log.msg.len());
    }

    #[test]
    fn a_place_is_read_with_and_without_a_stage() {
        let place = |name| Place::parse(name).map(|place| place.shown());
        assert_eq!(place("[2/3] RUN make").as_deref(), Some("2/3 (RUN make)"));
        assert_eq!(place("[build 2/3] RUN a [b]").as_deref(), Some("2/3 of stage build (RUN a [b])"));
        assert_eq!(place("[internal] load build context"), None);
        assert_eq!(place("exporting to image"), None);
    }
}
