//! A client at work: hands jobs of every kind in, waits for their ends, asks again, cancels and deletes, and has all
//! that it is told written down.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::marks::{self, Marks};
use super::random::Random;
use super::record::{Hardship, Record, stream_texts};
use super::work::{BUILDING, Kind, Sources, Work};
use crate::{Hook, Manner, Page, Web, sha256, unique};

/// Between two looks, where the protocol tells of nothing.
const PAUSE: Duration = Duration::from_millis(60);

/// How a client goes about one job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// It wants to be told of the end by a webhook.
    pub is_hooked: bool,
    /// It hands the job in through the socket, without an answer.
    pub by_socket: bool,
    /// It hands the job in again when it is over.
    pub again: bool,
    /// It waits so long before it cancels.
    pub patience: Duration,
}

impl Manners {
    fn by_chance(random: &mut Random) -> Self {
        let patience = random.time(Duration::ZERO, Duration::from_secs(2));
        let is_hooked = random.below(3) == 0;
        Self {
            is_hooked,
            by_socket: !is_hooked && random.below(2) == 0,
            again: random.below(3) == 0,
            patience,
        }
    }
}

/// A load that many tasks share.
#[derive(Clone)]
pub struct Load {
    client: Client,
    sources: Sources,
    /// Where ends of jobs are told.
    hook: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    record: Record,
    /// The jobs whose end is told to the hook.
    hooked: BTreeSet<String>,
}

/// What outlives the load: the servers that it uses.
pub struct Surroundings {
    web: Web,
    hook: Hook,
    downloaded: Vec<u8>,
    contexts: Web,
    /// What the file `data` of the contexts has.
    data: Vec<u8>,
}

impl Surroundings {
    /// Starts them.
    pub async fn start() -> Self {
        let downloaded = vec![b'd'; 70_000];
        let web = Web::serve("200 OK", downloaded.clone()).await;
        let data = b"from the context\n".to_vec();
        let contexts = Web::serve("200 OK", archive(&data)).await;
        Self { web, hook: Hook::listen(&[Manner::Answers(204)]).await, downloaded, contexts, data }
    }

    /// A load on the server that `client` speaks to.
    pub fn load(&self, client: Client) -> Load {
        let upload = format!("uploaded {}\n", unique()).repeat(60_000).into_bytes();
        let sources = Sources {
            place: format!("crash-{}", unique()),
            image: crate::BUSYBOX.to_owned(),
            url: (self.web.url("/file"), self.downloaded.clone()),
            context: (self.contexts.url("/context.tar.gz"), self.data.clone()),
            upload,
        };
        Load { client, sources, hook: self.hook.url("/finished"), state: Arc::default() }
    }
}

/// An archive with the one file `data`.
fn archive(data: &[u8]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "data", data).expect("it is in memory");
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("it is in memory")
}

impl Load {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has jobs run in `image` instead of the usual one.
    #[must_use]
    pub fn in_image(mut self, image: String) -> Self {
        self.sources.image = image;
        self
    }

    /// Whether a file is none that jobs read.
    pub fn is_no_source(&self, hash: &str) -> bool {
        ![&self.sources.upload, &self.sources.url.1].iter().any(|bytes| sha256(bytes) == hash)
    }

    /// The disk has damaged a file.
    pub fn harmed(&self, hash: String) {
        self.state().record.harmed(hash);
    }

    /// Uploads what jobs read, once before all of them.
    pub async fn upload(&self) {
        let bytes = &self.sources.upload;
        let key = sha256(bytes);
        if self.client.put(&key, bytes).await {
            self.state().record.uploaded(&key, bytes);
        }
    }

    /// Uploads something small under a name of the client's choice.
    pub async fn upload_named(&self) {
        let (name, bytes) = (format!("named-{}.txt", unique()), unique().into_bytes());
        if self.client.put(&name, &bytes).await {
            self.state().record.uploaded(&name, &bytes);
        }
    }

    /// One job after the other, of kinds that chance chooses, until `is_over`.
    pub async fn go_on(&self, mut random: Random, is_over: impl Fn() -> bool) {
        while !is_over() {
            let kinds = Kind::ALL.len() as u64;
            let kind = Kind::ALL[usize::try_from(random.below(kinds)).unwrap_or_default()];
            let manners = Manners::by_chance(&mut random);
            self.one(kind, manners).await;
            if random.below(3) == 0 {
                self.upload_named().await;
            }
        }
    }

    /// A job from its submission to its end.
    pub async fn one(&self, kind: Kind, manners: Manners) {
        let work = Work::new(kind, &unique(), &self.sources);
        let id = work.id.clone();
        let mut control = json!({"namespace": id});
        if manners.is_hooked {
            control["callbacks"] = json!({"finished": {"url": self.hook, "payload": null}});
            self.state().hooked.insert(id.clone());
        }
        if manners.by_socket {
            self.submit_by_socket(&id, &work.definition, &control).await;
        } else {
            self.client.submit(&id, &work.definition, &control).await;
        }
        self.state().record.accepted(work.clone());
        if kind.is_cancelled() {
            if kind == Kind::CancelledBuild {
                self.until_it_builds(&id).await;
            } else {
                tokio::time::sleep(manners.patience).await;
            }
            return self.cancel(&id).await;
        }
        let follow = async {
            if kind == Kind::Writes {
                let texts = self.follow_log(&id).await;
                self.state().record.followed(&id, texts);
            }
        };
        let (result, ()) = tokio::join!(self.client.finished(&id), follow);
        // An error that was this computer's is no answer to another submission: the job runs again.
        let is_answer = result["finishedReason"] != "Error";
        self.state().record.reported(&id, result);
        if kind == Kind::Deleted {
            self.delete(&id).await;
        } else if manners.again && is_answer {
            // Answered from the result, at once and without another run.
            self.client.submit(&id, &work.definition, &control).await;
            let again = self.client.finished(&id).await;
            self.state().record.reported(&id, again);
        }
    }

    /// As the browser: without an answer, again and again until the job is seen.
    async fn submit_by_socket(&self, id: &str, definition: &Value, control: &Value) {
        let value = json!({"type": "Queued", "time": 1,
            "enqueued": {"id": id, "definition": definition, "control": control}});
        let change = json!({"tag": "", "state": "Queued", "job": id, "value": value});
        let frame = json!({"type": "StateChange", "payload": change}).to_string();
        let path = format!("/j/{id}/definition.json");
        self.send_until(&frame, async || !self.client.get_json(&path).await["data"].is_null()).await;
    }

    /// Waits until the image of a job is being built, or the job is over without.
    async fn until_it_builds(&self, id: &str) {
        let log = format!("/j/{id}/build-logs.json");
        loop {
            let text = String::from_utf8_lossy(&self.client.get(&log).await.1).into_owned();
            // The instruction goes on after it, and what it writes does not.
            if text.contains(&format!(r#"{BUILDING}\n""#)) || !self.client.result(id).await.is_null() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn delete(&self, id: &str) {
        let value = json!({"type": "Finished", "reason": "Deleted", "time": 1, "namespace": "*"});
        let change = json!({"tag": "", "state": "Finished", "job": id, "value": value});
        let frame = json!({"type": "StateChange", "payload": change}).to_string();
        self.send_until(&frame, async || self.client.result(id).await.is_null()).await;
        self.state().record.deleted(id);
    }

    async fn send_until(&self, frame: &str, mut is_done: impl AsyncFnMut() -> bool) {
        loop {
            if let Some(mut page) = Page::try_open(&self.client.url("/q/local/client")).await {
                page.try_send_text(frame).await;
                for _ in 0..10 {
                    if is_done().await {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn cancel(&self, id: &str) {
        let (status, answer) =
            self.client.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!({})).await;
        if status == 200 && answer["success"] == true {
            self.state().record.reported(id, json!({"finishedReason": "Cancelled"}));
        } else {
            self.state()
                .record
                .violated(format!("{id} was accepted; its cancelling is answered with {answer}"));
        }
    }

    /// Reads a log with a cursor while it grows, as a page does.
    async fn follow_log(&self, id: &str) -> [String; 2] {
        let (mut texts, mut cursor) = ([String::new(), String::new()], 0);
        loop {
            let slice = self.client.get_json(&format!("/j/{id}/run-logs.json?since={cursor}")).await;
            for (text, more) in texts.iter_mut().zip(stream_texts(&slice["data"])) {
                text.push_str(&more);
            }
            cursor = slice["nextCursor"].as_u64().unwrap_or(cursor);
            if slice["isFinal"] == true && slice["data"].as_array().is_none_or(Vec::is_empty) {
                return texts;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the load: reads the marks of all runs and holds the record against them. Returns the number of jobs and
    /// the broken promises.
    pub async fn check(self, surroundings: &mut Surroundings, hardship: Hardship) -> (usize, Vec<String>) {
        let marks = self.marks().await;
        let state = std::mem::take(&mut *self.state());
        surroundings.hook.until_all(state.hooked).await;
        let jobs = state.record.len();
        (jobs, state.record.check(&self.client, &marks, hardship).await)
    }

    async fn marks(&self) -> Marks {
        let id = unique();
        self.client.submit(&id, &marks::reader(&self.sources.place), &json!({})).await;
        let read = self.client.finished(&id).await;
        let (status, text) = self.client.get(&format!("/j/{id}/outputs/marks")).await;
        assert_eq!(status, 200, "{read}");
        Marks::read(&String::from_utf8_lossy(&text))
    }
}
