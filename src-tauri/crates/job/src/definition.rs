//! What a client asks for, checked and in our own terms. Not its JSON form: that is the wire's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{BlobHash, BlobKey, ConfigPath, FilePath};

/// A job as a client defined it (protocol section 2).
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Where the image comes from.
    pub image: ImageSource,
    /// What to run, when not the image's own command.
    pub command: Option<Command>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Command>,
    /// Environment in the order of the names.
    pub env: BTreeMap<String, String>,
    /// Working folder in the container.
    pub workdir: Option<String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Files below `/inputs`.
    pub inputs: BTreeMap<FilePath, DataRef>,
    /// Files below `/inputs` or anywhere in the container; they win over inputs of the same name.
    pub config_files: BTreeMap<ConfigPath, DataRef>,
    /// The smaller of `maxDuration` and `requirements.maxDuration`.
    pub max_duration: Option<Duration>,
    /// What the job takes of this computer.
    pub needs: Needs,
}

/// Where a job's image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An image reference.
    Reference(String),
    /// It is built here.
    Build(Box<BuildBlock>),
}

/// The name space of images that are built here; none of them is ever pushed.
pub const BUILT_IMAGES: &str = "deskgrid/build";

impl ImageSource {
    /// The image's name in the engine.
    pub fn image(&self) -> &str {
        match self {
            Self::Reference(name) => name,
            Self::Build(block) => &block.image,
        }
    }
}

/// What an image is built from (protocol section 7). At least one of `dockerfile` and `context` is there.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildBlock {
    /// The name that the image gets; the same for the same block, whatever credentials it carries.
    pub image: String,
    /// The address of the files that the build may use, with the credentials that it came with.
    pub context: Option<String>,
    /// Whether the address had a secret that is not known any more: `context` is what is left of it.
    pub lacks_secret: bool,
    /// The key of the context, when its address is that of a file of a server like ours; looked for here before
    /// anything is fetched.
    pub context_key: Option<BlobKey>,
    /// The folder of the context that is built.
    pub build_context: Option<String>,
    /// The Dockerfile in that folder.
    pub filename: Option<String>,
    /// The stage that becomes the image; none for the last.
    pub target: Option<String>,
    /// The text of a Dockerfile, in the place of the context's.
    pub dockerfile: Option<String>,
    /// Values for the Dockerfile's `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// Operating system and processor, such as `linux/arm64`; none for the engine's own.
    pub platform: Option<String>,
}

impl fmt::Debug for BuildBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Address and arguments may hold secrets.
        f.debug_struct("BuildBlock").field("image", &self.image).finish_non_exhaustive()
    }
}

/// The address of a build's context with a secret in it. It is held in memory only, and no debug print shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretAddress(String);

impl SecretAddress {
    /// Takes the address as it came.
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address, for whoever fetches it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretAddress(..)")
    }
}

/// A command or entry point after splitting (protocol section 2, *command splitting*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Words for the kernel.
    Words(Vec<String>),
    /// Text with shell syntax, left whole: one word, or the argument of a shell where there is no entry point.
    Shell(String),
}

/// The bytes of a file (protocol section 2, *`DataRef`*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataRef {
    /// The bytes themselves, decoded.
    Inline(Vec<u8>),
    /// Fetch them; the hash, when a client sent one, finds them without a download.
    Url {
        /// An absolute http or https URL.
        url: String,
        /// The SHA-256 of the bytes, as far as the client knows.
        hash: Option<BlobHash>,
        /// The key, when the URL is that of a file of a server like ours; looked for here before anything is fetched.
        key: Option<BlobKey>,
    },
    /// A file of this server.
    Key(BlobKey),
}

/// What a job takes while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// Bytes of memory; 0 for no claim and no limit.
    pub memory: u64,
    /// Whole GPUs.
    pub gpus: u32,
}

impl Default for Needs {
    fn default() -> Self {
        Self { cpu_millis: 1000, memory: 0, gpus: 0 }
    }
}
