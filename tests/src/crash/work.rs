//! The kinds of jobs that the load is mixed of, and what each must come to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::marks::marked;
use crate::{quoted, sha256};

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Several outputs in folders, from an input in the definition.
    Outputs,
    /// Ends with an exit code and an output.
    ExitsWithCode,
    /// Names a command that does not exist.
    CannotStart,
    /// Is stopped at its time limit.
    TimesOut,
    /// Reads a file that was uploaded before.
    ReadsUpload,
    /// Reads a file from a web server.
    ReadsUrl,
    /// Writes lines all the time, to both streams.
    Writes,
    /// Has its image built first, from files of a web server.
    Builds,
    /// Is cancelled while its image is being built.
    CancelledBuild,
    /// Is cancelled while it runs, or earlier.
    Cancelled,
    /// Is deleted after its end, with its result.
    Deleted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Outputs,
        Self::ExitsWithCode,
        Self::CannotStart,
        Self::TimesOut,
        Self::ReadsUpload,
        Self::ReadsUrl,
        Self::Writes,
        Self::Builds,
        Self::CancelledBuild,
        Self::Cancelled,
        Self::Deleted,
    ];

    /// Whether it is cancelled in the end.
    pub fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::CancelledBuild)
    }
}

/// A job and what must become of it.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its id, chosen by the client.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Its definition.
    pub definition: Value,
    /// The reason of its end.
    pub reason: &'static str,
    /// The exit code of its container.
    pub code: Option<i64>,
    /// All that it writes to its output, where that is known to the letter.
    pub stdout: Option<String>,
    /// All that it writes to its errors, likewise.
    pub stderr: Option<String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, Vec<u8>>,
}

/// What jobs find outside of their definitions.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder of the marks in the shared cache.
    pub place: String,
    /// The image that they run in.
    pub image: String,
    /// A URL, and the bytes that come from there.
    pub url: (String, Vec<u8>),
    /// The URL of an archive with the file `data`, and the bytes of that.
    pub context: (String, Vec<u8>),
    /// The bytes of an upload, which the client has stored under their hash.
    pub upload: Vec<u8>,
}

/// What the build of a [`Kind::CancelledBuild`] writes to its log.
pub const BUILDING: &str = "building-now";

/// How many lines a job of the kind [`Kind::Writes`] writes.
const LINES: usize = 60;

impl Work {
    /// A job of `kind`.
    pub fn new(kind: Kind, id: &str, sources: &Sources) -> Self {
        let mut work = Self {
            id: id.to_owned(),
            kind,
            definition: Value::Null,
            reason: "Success",
            code: Some(0),
            stdout: None,
            stderr: None,
            outputs: BTreeMap::new(),
        };
        work.fill_in(sources);
        work
    }

    fn fill_in(&mut self, sources: &Sources) {
        match self.kind {
            Kind::Outputs | Kind::Deleted => self.writes_outputs(sources),
            Kind::ExitsWithCode => {
                self.runs(sources, "echo before >/outputs/before; sleep 0.3; (exit 7)");
                self.code = Some(7);
                self.gives("before", "before\n");
            }
            Kind::CannotStart => {
                self.definition = json!({"image": crate::BUSYBOX, "command": "/no/such/command"});
                (self.reason, self.code) = ("Error", None);
            }
            Kind::TimesOut => {
                self.runs(sources, "echo limited; sleep 1000");
                self.definition["maxDuration"] = json!("1s");
                (self.reason, self.code) = ("TimedOut", None);
            }
            Kind::ReadsUpload => {
                let hash = sha256(&sources.upload);
                self.reads(sources, &json!({"type": "url", "value": format!("http://localhost/f/{hash}")}));
                self.gives("copy", &*sources.upload);
            }
            Kind::ReadsUrl => {
                self.reads(sources, &json!({"type": "url", "value": sources.url.0}));
                self.gives("copy", &*sources.url.1);
            }
            Kind::Writes => self.writes_lines(sources),
            Kind::Builds => {
                self.runs(sources, "cat /data >/outputs/copy");
                self.builds(sources, "COPY data /data");
                self.gives("copy", &*sources.context.1);
            }
            Kind::CancelledBuild => {
                self.runs(sources, "true");
                self.builds(sources, &format!("RUN echo {BUILDING}; sleep 1000"));
                (self.reason, self.code) = ("Cancelled", None);
            }
            Kind::Cancelled => {
                self.runs(sources, "while sleep 0.2; do mark; done");
                (self.reason, self.code) = ("Cancelled", None);
            }
        }
    }

    fn runs(&mut self, sources: &Sources, script: &str) {
        self.definition = marked(&sources.place, &self.id, script);
        self.definition["image"] = json!(sources.image);
    }

    /// Has its image built by an instruction that is its own.
    fn builds(&mut self, sources: &Sources, instruction: &str) {
        let dockerfile = format!("FROM {}\nLABEL test={}\n{instruction}\n", crate::BUSYBOX, self.id);
        let definition = self.definition.as_object_mut().expect("an object");
        definition.remove("image");
        definition
            .insert("build".to_owned(), json!({"context": sources.context.0, "dockerfile": dockerfile}));
    }

    fn gives(&mut self, path: &str, bytes: impl AsRef<[u8]>) {
        self.outputs.insert(path.to_owned(), bytes.as_ref().to_vec());
    }

    fn writes_outputs(&mut self, sources: &Sources) {
        let input = format!("the input of {}\n", self.id);
        let script = "cat /inputs/deep/in >/outputs/copy; mkdir -p /outputs/a/b; seq 1 20000 >/outputs/a/b/numbers; \
                      : >/outputs/empty; sleep 0.2";
        self.runs(sources, script);
        self.definition["inputs"] = json!({"deep/in": {"value": input}});
        self.definition["configFiles"] = json!({"/etc/config": {"value": "config"}});
        self.gives("copy", &input);
        self.gives("empty", "");
        self.gives("a/b/numbers", lines(20_000, |number| format!("{}\n", number + 1)));
    }

    fn reads(&mut self, sources: &Sources, reference: &Value) {
        self.runs(sources, "cat /inputs/file >/outputs/copy");
        self.definition["inputs"] = json!({"file": reference});
    }

    fn writes_lines(&mut self, sources: &Sources) {
        let name = quoted(&self.id);
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do echo line $i of {name}; echo error $i >&2; i=$((i+1)); mark; sleep 0.03; \
             done; printf 'half a'; sleep 0.3; printf ' line'"
        );
        self.runs(sources, &script);
        let output = lines(LINES, |number| format!("line {number} of {}\n", self.id));
        self.stdout = Some(output + "half a line");
        self.stderr = Some(lines(LINES, |number| format!("error {number}\n")));
    }
}

/// So many lines, each by its number.
pub fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}
