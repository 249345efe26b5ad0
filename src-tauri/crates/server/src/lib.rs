//! The server as a library: its settings, and what puts its parts together and takes them apart again.
//!
//! It owns no process: a command line program or a desktop app starts and stops it.

mod listen;
mod reload;
pub mod settings;

use std::path::PathBuf;
use std::sync::Arc;

use deskgrid_docker::EngineWatch;
use deskgrid_http::{AccessRules, Site, SiteInfo};
use deskgrid_store::{Store, StoreError};
use deskgrid_worker::{Limits, Running, Setup, WorkerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use settings::{Settings, SettingsError, SettingsSource, SettingsWatch};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The port is not free.
    #[error(
        "Port {port} on this computer is taken by another program. Stop that program (another Deskgrid, or the older \
         container worker?), or choose another port with --port."
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The system does not let us listen.
    #[error("Deskgrid may not listen on port {port}: {problem}. Choose another port with --port.")]
    CannotListen {
        /// The port.
        port: u16,
        /// The system's words.
        problem: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored jobs cannot be read.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A task of ours broke off.
    #[error("Deskgrid could not start: {0}. Please report this.")]
    Broken(#[from] tokio::task::JoinError),
}

impl StartError {
    /// Stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(error) => error.code(),
            Self::PortTaken { .. } => "port-taken",
            Self::CannotListen { .. } => "cannot-listen",
            Self::Store(error) => error.code(),
            Self::Worker(error) => error.code(),
            Self::Broken(_) => "broken",
        }
    }
}

/// A running server. Dropping it ends its tasks; containers go on and are taken over at the next start.
pub struct Server {
    port: u16,
    data_directory: PathBuf,
    stop: CancellationToken,
    site: JoinHandle<()>,
    reload: JoinHandle<()>,
    running: Running,
    // Owns the task that watches the engine.
    _engine: Arc<EngineWatch>,
}

impl Server {
    /// Reads the settings, opens the data folder, listens, and starts to work.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way; nothing is left running then.
    pub async fn start(source: SettingsSource) -> Result<Self, StartError> {
        let loading = source.clone();
        let settings = tokio::task::spawn_blocking(move || loading.load()).await??;
        let (listeners, port) = listen::listen(settings.port).await?;
        let folder = settings.data_directory.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder)).await??;
        let id = store.worker_id(settings.id.clone()).await?;
        let engine = Arc::new(EngineWatch::start(settings.docker_host.clone()));
        let (limit_sender, limits) = watch::channel(limits(&settings));
        let (access, rules) = watch::channel(rules(&settings, port));
        let setup = Setup {
            store,
            engine: engine.state(),
            id,
            read_definition,
            base_url: format!("http://localhost:{port}"),
            limits,
        };
        let running = Running::start(setup).await?;
        let stop = CancellationToken::new();
        let info = SiteInfo { version: env!("CARGO_PKG_VERSION").to_owned() };
        let site = Site::new(running.worker().clone(), rules, info);
        let site = tokio::spawn(deskgrid_http::serve(listeners, site, stop.clone()));
        let watch = SettingsWatch::start(source, settings.clone());
        let reload = tokio::spawn(reload::follow(watch, port, limit_sender, access, engine.clone()));
        Ok(Self {
            port,
            data_directory: settings.data_directory,
            stop,
            site,
            reload,
            running,
            _engine: engine,
        })
    }

    /// Where it listens, as a URL without a slash at its end.
    pub fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Where it keeps everything.
    pub fn data_directory(&self) -> &std::path::Path {
        &self.data_directory
    }

    /// Stops listening, ends open connections and lets containers go on.
    pub async fn stop(self) {
        self.stop.cancel();
        self.reload.abort();
        if let Err(error) = self.site.await {
            tracing::error!(%error, "the web server broke off");
        }
        drop(self.running);
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        cpu_millis: settings.cpu_millis,
        memory: settings.memory,
        gpus: settings.gpus.clone(),
        max_duration: settings.max_job_duration,
    }
}

fn rules(settings: &Settings, port: u16) -> AccessRules {
    AccessRules { port, hosts: Vec::new(), origins: settings.allowed_origins.clone() }
}

/// The worker reads stored definitions through this; it does not know the wire format.
fn read_definition(text: &str) -> Result<deskgrid_job::Definition, String> {
    let json =
        serde_json::from_str(text).map_err(|error| format!("The stored definition is damaged: {error}."))?;
    deskgrid_wire::definition::parse(&json).map_err(|error| error.to_string())
}
