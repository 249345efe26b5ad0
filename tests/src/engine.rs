//! Looks at the container engine itself, and starts engines of a test's own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::server::{Deskgrid, PATIENCE};
use crate::user::is_root;

/// The label that names a container's worker.
pub const WORKER_LABEL: &str = "container.mtfm.io/worker";
/// The label that names a container's job.
pub const JOB_LABEL: &str = "container.mtfm.io/id";

/// Speaks the engine's own API.
#[derive(Clone, Debug)]
pub struct EngineClient {
    http: reqwest::Client,
    base: String,
}

impl EngineClient {
    /// A client of the engine at `host`: `unix://` and a path, or `tcp://` and an address.
    pub fn new(host: &str) -> Self {
        let builder = reqwest::Client::builder().no_proxy();
        let (builder, base) = match host.strip_prefix("unix://") {
            Some(path) => (builder.unix_socket(PathBuf::from(path)), "http://localhost".to_owned()),
            None => (builder, host.replacen("tcp", "http", 1)),
        };
        Self { http: builder.build().expect("a client"), base }
    }

    /// The JSON that a GET answers.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).timeout(PATIENCE).send().await;
        answer.expect("the engine answers").json().await.expect("JSON")
    }

    /// Status and JSON answer of a POST.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.http.post(format!("{}{path}", self.base)).json(body).timeout(PATIENCE).send().await;
        let answer = answer.expect("the engine answers");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// All containers, running or not, with this label.
    pub async fn labelled(&self, label: &str, value: &str) -> Vec<Value> {
        self.try_labelled(label, value).await.expect("the engine answers")
    }

    async fn try_labelled(&self, label: &str, value: &str) -> Result<Vec<Value>, reqwest::Error> {
        let filters = json!({"label": [format!("{label}={value}")]}).to_string();
        let request = self.http.get(format!("{}/containers/json", self.base));
        request.query(&[("all", "true"), ("filters", &filters)]).timeout(PATIENCE).send().await?.json().await
    }

    /// The engine's whole description of the one container of a job.
    pub async fn container_of(&self, job: &str) -> Value {
        let found = self.labelled(JOB_LABEL, job).await;
        assert_eq!(found.len(), 1, "one container of {job}: {found:?}");
        self.get(&format!("/containers/{}/json", found[0]["Id"].as_str().expect("an id"))).await
    }

    /// Has the job of [`crate::until_told`] come to its end.
    pub async fn tell(&self, job: &str) {
        let id = self.container_of(job).await["Id"].as_str().expect("an id").to_owned();
        let told = self.post(&format!("/containers/{id}/kill?signal=USR1"), &Value::Null).await;
        assert_eq!(told.0, 204, "{}", told.1);
    }

    /// What happens to the containers of a server from now on.
    pub async fn events(&self, server: &Deskgrid) -> Events {
        let label = format!("{WORKER_LABEL}={}", server.worker_id());
        let filters = json!({"type": ["container"], "label": [label]}).to_string();
        let request = self.http.get(format!("{}/events", self.base)).query(&[("filters", filters)]);
        Events { stream: request.send().await.expect("the engine answers"), text: String::new() }
    }

    /// Whether there is an answer to a GET that is no error.
    pub async fn has(&self, path: &str) -> bool {
        let answer = self.http.get(format!("{}{path}", self.base)).timeout(PATIENCE).send().await;
        answer.expect("the engine answers").status().is_success()
    }

    /// The status of a DELETE.
    pub async fn delete(&self, path: &str) -> u16 {
        let answer = self.http.delete(format!("{}{path}", self.base)).timeout(PATIENCE).send().await;
        answer.expect("the engine answers").status().as_u16()
    }

    /// Gives an image a further name.
    pub async fn tag(&self, image: &str, name: &str) {
        let (repository, tag) = name.rsplit_once(':').expect("a name with a tag");
        let path = format!("/images/{image}/tag?repo={repository}&tag={tag}");
        let (status, answer) = self.post(&path, &Value::Null).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// The id of the image of this name; null when there is none.
    pub async fn image_id(&self, name: &str) -> Value {
        self.get(&format!("/images/{name}/json")).await["Id"].clone()
    }

    /// Takes a name away from an image; the image goes with the last one.
    pub async fn remove_image(&self, name: &str) {
        let request = self.http.delete(format!("{}/images/{name}", self.base));
        // It may be gone already.
        let _ = request.timeout(PATIENCE).send().await;
    }

    /// The names of the images that were built for a worker.
    async fn images_of(&self, worker: &str) -> Vec<String> {
        let filters = json!({"label": [format!("deskgrid.worker={worker}")]}).to_string();
        let request = self.http.get(format!("{}/images/json", self.base)).query(&[("filters", filters)]);
        let Ok(answer) = request.timeout(PATIENCE).send().await else { return Vec::new() };
        let images: Value = answer.json().await.unwrap_or_default();
        let tags = images.as_array().into_iter().flatten().filter_map(|image| image["RepoTags"].as_array());
        tags.flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
    }

    /// Pulls an image as the person does.
    pub async fn pull(&self, name: &str) {
        let request = self.http.post(format!("{}/images/create?fromImage={name}", self.base));
        let answer = request.timeout(PATIENCE).send().await.expect("the engine answers");
        // It is over when all of its messages are read.
        answer.bytes().await.expect("it is pulled");
    }

    /// Loads an image from a file as the person does: the very one of this name, which is there already.
    pub async fn load(&self, name: &str) {
        let saved = self.http.get(format!("{}/images/{name}/get", self.base)).timeout(PATIENCE).send().await;
        let saved = saved.expect("the engine answers").bytes().await.expect("it is saved");
        let request = self.http.post(format!("{}/images/load", self.base)).body(saved);
        let answer = request.timeout(PATIENCE).send().await.expect("the engine answers");
        answer.bytes().await.expect("it is loaded");
    }

    /// Removes a volume.
    pub async fn remove_volume(&self, name: &str) {
        let request = self.http.delete(format!("{}/volumes/{name}", self.base));
        // It may be gone already.
        let _ = request.timeout(PATIENCE).send().await;
    }

    /// Removes a container, running or not.
    pub async fn remove(&self, id: &str) {
        let request = self.http.delete(format!("{}/containers/{id}?force=true&v=true", self.base));
        // It may be gone already.
        let _ = request.timeout(PATIENCE).send().await;
    }
}

/// Events of the engine as they come.
pub struct Events {
    stream: reqwest::Response,
    text: String,
}

impl Events {
    /// Waits for the next event of this kind, such as `destroy`, of a container of `job`.
    pub async fn until(&mut self, action: &str, job: &str) {
        self.until_all(action, HashSet::from([job.to_owned()])).await;
    }

    /// Waits until there was an event of this kind for each of `jobs`.
    pub async fn until_all(&mut self, action: &str, mut jobs: HashSet<String>) {
        while !jobs.is_empty() {
            jobs.remove(&self.next_of(action).await);
        }
    }

    /// Waits for the next event of this kind and returns the job that it is about.
    pub async fn next_of(&mut self, action: &str) -> String {
        self.next_among(&[action]).await.1
    }

    /// Waits for the next event of one of these kinds and returns which it is, and the job that it is about.
    pub async fn next_among<'a>(&mut self, actions: &[&'a str]) -> (&'a str, String) {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.next()).await;
            let event = event.unwrap_or_else(|_| panic!("the event {actions:?} comes in time"));
            if let Some(action) = actions.iter().find(|action| event["Action"] == **action) {
                let job = event["Actor"]["Attributes"][JOB_LABEL].as_str().unwrap_or_default();
                return (action, job.to_owned());
            }
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line: String = self.text.drain(..=end).collect();
                return serde_json::from_str(&line).expect("JSON");
            }
            let piece = self.stream.chunk().await.expect("the engine lives").expect("its events go on");
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
    }
}

/// Removes the containers of a worker, and the images that were built for it. For destructors, which cannot await.
pub(crate) fn remove_containers_of(host: &str, worker: &str) {
    let removal = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let engine = EngineClient::new(host);
            // An engine that does not answer has nothing that we could remove.
            for container in engine.try_labelled(WORKER_LABEL, worker).await.unwrap_or_default() {
                engine.remove(container["Id"].as_str().unwrap_or_default()).await;
            }
            for image in engine.images_of(worker).await {
                engine.remove_image(&image).await;
            }
        });
    };
    std::thread::scope(|scope| drop(scope.spawn(removal).join()));
}

/// An engine of one test, which may stop and kill it. It ends with all its data when dropped.
pub struct PrivateEngine {
    folder: TempDir,
}

impl PrivateEngine {
    /// A place for an engine; none is started yet.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A place for an engine whose disk holds no more than `size`, such as `100m`. For root alone.
    pub async fn on_disk_of(size: &str) -> Self {
        let engine = Self::new();
        let disk = engine.disk();
        std::fs::create_dir(&disk).expect("ours");
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(disk).status().await;
        assert!(mounted.is_ok_and(|status| status.success()), "we are root");
        engine
    }

    /// Starts an engine that has the image busybox and leaves containers alone when it ends, as one may that is upgraded
    /// under them.
    pub async fn that_leaves_containers_alone() -> Self {
        let engine = Self::new();
        let settings = json!({"live-restore": true}).to_string();
        std::fs::write(engine.folder.path().join("settings.json"), settings).expect("ours");
        engine.start().await;
        engine.make_busybox().await;
        engine
    }

    /// Where it keeps everything.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts an engine that has the image busybox.
    pub async fn with_busybox() -> Self {
        let engine = Self::new();
        engine.start().await;
        engine.make_busybox().await;
        engine
    }

    /// Makes the image busybox in it.
    pub async fn make_busybox(&self) {
        let images = set_up("images").arg("busybox").env("DESKGRID_TEST_DOCKER_HOST", self.host()).status();
        assert!(images.await.expect("the set-up starts").success(), "the image is made");
    }

    /// Its address.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// Speaks its API.
    pub fn client(&self) -> EngineClient {
        EngineClient::new(&self.host())
    }

    /// Starts it, again after it was stopped or killed, and waits until it answers.
    pub async fn start(&self) {
        self.control("start").await;
    }

    /// Ends it as a crash does.
    pub async fn kill(&self) {
        self.control("kill").await;
    }

    /// Stops it as a service manager does: it asks its containers to end and then ends itself.
    pub async fn stop(&self) {
        let process = self.signal("TERM").await;
        let folder = PathBuf::from(format!("/proc/{process}"));
        crate::eventually("the engine ends", async || !folder.exists()).await;
    }

    /// Lets it answer nobody, although it is there.
    pub async fn hang(&self) {
        self.signal("STOP").await;
    }

    /// Lets it answer again.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    /// Sends it a signal and returns its process id.
    async fn signal(&self, name: &str) -> String {
        let process = self.process();
        let words: &[&str] = if is_root() { &["kill"] } else { &["sudo", "-n", "kill"] };
        let signal = format!("-{name}");
        let sent = Command::new(words[0]).args(&words[1..]).args([&signal, &process]).status().await;
        assert!(sent.is_ok_and(|status| status.success()));
        process
    }

    /// Its process id.
    pub fn process(&self) -> String {
        let process = std::fs::read_to_string(self.folder.path().join("dockerd.pid")).expect("it runs");
        process.trim().to_owned()
    }

    async fn control(&self, action: &str) {
        let done = set_up("engine").arg("private").arg(self.folder.path()).arg(action).status().await;
        assert!(done.expect("the set-up starts").success(), "engine: {action}");
    }
}

impl Default for PrivateEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        let mut removal = std::process::Command::new(script("engine"));
        removal.arg("private").arg(self.folder.path()).arg("remove");
        let _ = removal.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// One of the set-up's scripts, quiet unless it fails.
fn set_up(name: &str) -> Command {
    let mut command = Command::new(script(name));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn script(name: &str) -> PathBuf {
    // Cargo tells tests at run time; what it told the compiler may be another checkout over the same target folder.
    let tests = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    tests.join("../setup").join(name)
}
