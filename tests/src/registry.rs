//! Real registries on this computer, and images that are pushed to them without an engine, of any platform.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::engine::{PrivateEngine, script};
use crate::{eventually, sha256, unique};

/// The name that the registry with a password knows.
pub const NAME: &str = "tester";
/// Its password.
pub const PASSWORD: &str = "a secret of the tests";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A registry that runs.
pub struct Registry {
    /// Where it listens, as images are named there: `localhost:port`.
    pub address: String,
    is_locked: bool,
    own: Option<Own>,
    http: reqwest::Client,
}

/// What a registry of one test's own has.
struct Own {
    process: Child,
    folder: TempDir,
}

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// Bytes of a file `/bytes` that no other image has, in a layer of its own.
    pub bytes: usize,
    /// The processor that it claims to be for.
    pub processor: &'static str,
    /// Whether it is one of a list of images for several platforms.
    pub in_list: bool,
    /// How many such layers it has.
    pub layers: usize,
    /// Whether its first layer, with the shell, is the same in all images that share. Engines fetch such a layer once
    /// for all pulls, so that a pull that is held up on its line holds up the others.
    pub shares: bool,
}

impl Picture {
    /// A small one for this computer, which has busybox's shell.
    pub fn new() -> Self {
        Self { bytes: 1000, processor: here(), in_list: false, layers: 1, shares: false }
    }
}

impl Default for Picture {
    fn default() -> Self {
        Self::new()
    }
}

/// This computer's processor as images name it.
pub fn here() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The kind of processor that this computer has not.
pub fn elsewhere() -> &'static str {
    if here() == "arm64" { "amd64" } else { "arm64" }
}

impl Registry {
    /// The one of the set-up that is open to everybody.
    pub fn open() -> Self {
        Self::of_set_up("DESKGRID_TEST_REGISTRY", false)
    }

    /// The one of the set-up that asks for name and password.
    pub fn locked() -> Self {
        Self::of_set_up("DESKGRID_TEST_LOCKED_REGISTRY", true)
    }

    fn of_set_up(variable: &str, is_locked: bool) -> Self {
        let address = std::env::var(variable);
        let address =
            address.unwrap_or_else(|_| panic!("`setup/registry with` names a registry in {variable}"));
        Self { address, is_locked, own: None, http: client() }
    }

    /// An open one that a test may stop. It ends with the test.
    pub async fn own() -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = serve(command(), folder.path(), port);
        let address = format!("localhost:{port}");
        let registry = Self { address, is_locked: false, own: Some(Own { process, folder }), http: client() };
        registry.until_it_answers().await;
        registry
    }

    async fn until_it_answers(&self) {
        eventually("the registry answers", async || self.http.get(self.url("/v2/")).send().await.is_ok())
            .await;
    }

    /// Ends it; what it holds stays.
    pub async fn stop(&mut self) {
        self.own.as_mut().expect("it is the test's own").process.kill().await.expect("it ran");
    }

    /// Starts it again where it was, with what it held.
    pub async fn start_again(&mut self) {
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let own = self.own.as_mut().expect("it is the test's own");
        own.process = serve(command(), own.folder.path(), port);
        self.until_it_answers().await;
    }

    /// Starts it again where an engine of the test's own reaches it, which has a network of its own. For root alone.
    pub fn start_again_for(&mut self, engine: &PrivateEngine) {
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", engine.process())).arg(script("registry"));
        let own = self.own.as_mut().expect("it is the test's own");
        own.process = serve(command, own.folder.path(), port);
    }

    /// The paths below this one that somebody fetched, such as those of `/v2/name/blobs/`, in their order.
    pub fn fetched(&self, path: &str) -> Vec<String> {
        let own = self.own.as_ref().expect("it is the test's own");
        let log = std::fs::read_to_string(own.folder.path().join("log")).expect("a log");
        let request = format!("\"GET {path}");
        let fetched = log.lines().filter_map(|line| line.split_once(&request)?.1.split_once(' '));
        fetched.map(|(rest, _)| format!("{path}{rest}")).collect()
    }

    /// Makes an image that no other test has, and returns its name without the registry.
    pub async fn push(&self, picture: Picture) -> String {
        let name = format!("test/{}", unique());
        let mut layers = vec![busybox_layer(picture.shares)];
        layers.extend((0..picture.layers).map(|_| bytes_layer(picture.bytes)));
        let diff_ids: Vec<_> = layers.iter().map(digest).collect();
        let config = json!({
            "architecture": picture.processor, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let mut descriptors = Vec::new();
        for layer in layers {
            let size = layer.len();
            descriptors
                .push(json!({"mediaType": LAYER, "size": size, "digest": self.upload(&name, layer).await}));
        }
        let config = config.to_string().into_bytes();
        let config =
            json!({"mediaType": CONFIG, "size": config.len(), "digest": self.upload(&name, config).await});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors});
        if picture.in_list {
            let (digest, size) = self.put_manifest(&name, None, MANIFEST, &manifest).await;
            let platform = json!({"os": "linux", "architecture": picture.processor});
            let one = json!({"mediaType": MANIFEST, "size": size, "digest": digest, "platform": platform});
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]});
            self.put_manifest(&name, Some("latest"), INDEX, &list).await;
        } else {
            self.put_manifest(&name, Some("latest"), MANIFEST, &manifest).await;
        }
        name
    }

    async fn put_manifest(
        &self,
        name: &str,
        tag: Option<&str>,
        kind: &str,
        manifest: &Value,
    ) -> (String, usize) {
        let text = manifest.to_string().into_bytes();
        let (digest, size) = (digest(&text), text.len());
        let url = self.url(&format!("/v2/{name}/manifests/{}", tag.unwrap_or(&digest)));
        let put = self.known(self.http.put(url)).header("Content-Type", kind).body(text);
        let answer = put.send().await.expect("the registry answers");
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
        (digest, size)
    }

    async fn upload(&self, name: &str, bytes: Vec<u8>) -> String {
        let digest = digest(&bytes);
        let begin = self.known(self.http.post(self.url(&format!("/v2/{name}/blobs/uploads/"))));
        let answer = begin.send().await.expect("the registry answers");
        let place = answer.headers().get("Location").and_then(|place| place.to_str().ok()).expect("a place");
        let put = self.known(self.http.put(place)).query(&[("digest", &digest)]).body(bytes);
        let answer = put.header("Content-Type", "application/octet-stream").send().await;
        assert_eq!(answer.expect("the registry answers").status(), 201);
        digest
    }

    fn known(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.is_locked { request.basic_auth(NAME, Some(PASSWORD)) } else { request }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.replace("localhost", "127.0.0.1"))
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn command() -> Command {
    Command::new(script("registry"))
}

/// By `command`, which may put the set-up's script elsewhere.
fn serve(mut command: Command, folder: &Path, port: u16) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    let errors = log.try_clone().expect("a log");
    command.arg("serve").arg(folder).arg("open").arg(port.to_string());
    // The script becomes the registry, so this is its process.
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .expect("the set-up starts")
}

fn digest(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// A shell and what comes with it.
fn busybox_layer(is_shared: bool) -> Vec<u8> {
    let program = ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|path| std::fs::read(path).ok());
    let program = program.expect("the set-up installs busybox-static");
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "bin/busybox", &program, 0o755);
    if !is_shared {
        append(&mut archive, "unique", unique().as_bytes(), 0o644);
    }
    for applet in ["sh", "echo", "sleep", "wc", "cat", "mkdir", "seq"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        let name = format!("bin/{applet}");
        archive.append_link(&mut header, name, "busybox").expect("it is in memory");
    }
    archive.into_inner().expect("it is in memory")
}

fn bytes_layer(size: usize) -> Vec<u8> {
    tar_of("bytes", &noise(size))
}

/// An archive of one file.
pub fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, name, bytes, 0o644);
    archive.into_inner().expect("it is in memory")
}

fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, bytes).expect("it is in memory");
}

/// Bytes that nobody had before and that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let seed = sha256(unique());
    let mut state = u64::from_str_radix(&seed[..15], 16).expect("hexadecimal") | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
