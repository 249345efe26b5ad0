//! The server as a library: its settings, and what puts its parts together and takes them apart again.
//!
//! It owns no process: a command line program or a desktop app starts and stops it.

mod books;
mod listen;
mod reload;
pub mod settings;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use deskgrid_docker::EngineWatch;
use deskgrid_http::{AccessRules, Admission, Invitations, Site, SiteInfo};
use deskgrid_sites::Sites;
use deskgrid_store::{Store, StoreError};
use deskgrid_worker::{Limits, Running, Setup, WorkerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use books::Books;
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
    /// The further address of the settings is not ours to listen on.
    #[error(
        "Deskgrid cannot listen on {address}: {problem}. The setting `listen` (or --listen) has to name an address \
         of this computer; without it only this computer itself can reach Deskgrid."
    )]
    CannotListenAlso {
        /// The address.
        address: std::net::IpAddr,
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
            Self::CannotListen { .. } | Self::CannotListenAlso { .. } => "cannot-listen",
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

pub use deskgrid_sites as sites;
pub use deskgrid_store::Token;

/// The token of the running server that keeps its data in this folder; none when none runs there. Blocks on the
/// disk.
///
/// # Errors
/// When it may not be read.
pub fn token(data_directory: &std::path::Path) -> Result<Option<Token>, StoreError> {
    Token::of_running(data_directory)
}

impl Server {
    /// Reads the settings, opens the data folder, listens, and starts to work.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way; nothing is left running then.
    pub async fn start(source: SettingsSource) -> Result<Self, StartError> {
        let loading = source.clone();
        let settings = tokio::task::spawn_blocking(move || loading.load()).await??;
        let (listeners, port) = listen::listen(settings.port, settings.listen).await?;
        let folder = settings.data_directory.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder)).await??;
        let id = store.worker_id(settings.id.clone()).await?;
        let token = store.token().await?;
        let engine = Arc::new(EngineWatch::start(settings.docker_host.clone()));
        let (limit_sender, limits) = watch::channel(limits(&settings));
        let (access, rules) = watch::channel(rules(&settings, port));
        let (site_rule_sender, site_rules) = watch::channel(books::site_rules(&settings.sites));
        let sites = Sites::new(settings.sites.clone(), settings.allowed_origins.clone());
        let invitations = Invitations::new(sites);
        let setup = Setup {
            store,
            engine: engine.state(),
            id,
            read_definition,
            base_url: format!("http://localhost:{port}"),
            limits,
            site_rules,
        };
        let running = Running::start(setup).await?;
        let stop = CancellationToken::new();
        let info = SiteInfo { version: env!("CARGO_PKG_VERSION").to_owned() };
        let watch = SettingsWatch::start(source.clone(), settings.clone());
        let books = Books::new(source, watch.subscribe(), site_rule_sender.clone());
        let admission = Admission { rules, invitations: invitations.clone(), token, books: Arc::new(books) };
        let site = Site::new(running.worker().clone(), admission, info);
        let site = tokio::spawn(deskgrid_http::serve(listeners, site, stop.clone()));
        let parts = reload::Parts {
            port,
            limits: limit_sender,
            access,
            invitations,
            site_rules: site_rule_sender,
            engine: engine.clone(),
        };
        let reload = tokio::spawn(reload::follow(watch, parts));
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
    let further = settings.listen.filter(|address| !address.is_loopback());
    // A client names the address that it calls, and no client calls that of all addresses.
    let named = further.filter(|address| !address.is_unspecified()).map(|address| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    AccessRules {
        port,
        hosts: settings.allowed_hosts.iter().cloned().chain(named).collect(),
        needs_token: further.is_some(),
        trusts_unknown_programs: settings.trust_unknown_programs,
    }
}

/// The worker reads stored definitions through this; it does not know the wire format.
fn read_definition(text: &str) -> Result<deskgrid_job::Definition, String> {
    let json =
        serde_json::from_str(text).map_err(|error| format!("The stored definition is damaged: {error}."))?;
    deskgrid_wire::definition::parse(&json).map_err(|error| error.to_string())
}
