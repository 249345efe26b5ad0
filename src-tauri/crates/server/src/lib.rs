//! The server as a library: its settings, and what puts its parts together and takes them apart again.
//!
//! It owns no process: a command line program or a desktop app starts and stops it.

mod books;
mod checks;
mod holder;
mod listen;
mod porter;
mod premises;
mod reload;
mod relocation;
pub mod settings;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::EngineWatch;
use deskgrid_http::{AccessRules, Admission, DoorState, Invitations, Site, SiteInfo};
use deskgrid_sites::Sites;
use deskgrid_store::{Store, StoreError};
use deskgrid_worker::{Limits, Running, Setup, WorkerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use books::Books;
use porter::{Porter, Post};
use premises::Premises;
use settings::{Settings, SettingsError, SettingsSource, SettingsWatch};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The port is not free.
    #[error(
        "Port {port} on this computer is taken by {holder}. {}, or choose another port in the settings or with --port.",
        holder.advice()
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it.
        holder: Box<Holder>,
    },
    /// The system does not let us listen.
    #[error(
        "Deskgrid may not listen on port {port}: {problem}. Choose another port in the settings or with --port."
    )]
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
    /// The desktop app cannot reach its own server.
    #[error(
        "The local door {} could not be opened: {problem}. Choose a data folder on another disk: some, such as USB \
         sticks, allow no sockets.",
        path.display()
    )]
    NoLocalDoor {
        /// Where it was to be.
        path: PathBuf,
        /// The system's words.
        problem: std::io::Error,
    },
    /// A task of ours broke off.
    #[error("Deskgrid could not start: {0}. Please report this.")]
    Broken(#[from] tokio::task::JoinError),
}

impl StartError {
    /// The process that has the data folder already, where it is that and is known.
    pub fn process_in_folder(&self) -> Option<u32> {
        match self {
            Self::Store(StoreError::InUse { pid, .. }) => *pid,
            _ => None,
        }
    }

    /// Whether somebody else works in the data folder.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(StoreError::InUse { .. }))
    }

    /// Whether it is the data folder with which something is wrong, and not that somebody else works in it.
    pub fn is_of_the_folder(&self) -> bool {
        match self {
            Self::Store(_) => !self.is_in_use(),
            Self::Worker(_) | Self::NoLocalDoor { .. } => true,
            _ => false,
        }
    }

    /// Stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(error) => error.code(),
            Self::PortTaken { .. } => "port-taken",
            Self::CannotListen { .. } | Self::CannotListenAlso { .. } => "cannot-listen",
            Self::Store(error) => error.code(),
            Self::Worker(error) => error.code(),
            Self::NoLocalDoor { .. } => "no-local-door",
            Self::Broken(_) => "broken",
        }
    }
}

/// Containers whose job is over are removed by then.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server. Dropping it ends its tasks; containers go on and are taken over at the next start.
pub struct Server {
    data_directory: PathBuf,
    porter: Arc<Porter>,
    access: watch::Receiver<AccessRules>,
    /// Ends the local door.
    stop: CancellationToken,
    local_door: Option<JoinHandle<()>>,
    reload: AbortOnDropHandle<()>,
    running: Running,
    site: Site,
    moves: watch::Sender<Option<Relocation>>,
    failed_move: watch::Sender<Option<Move>>,
    // Owns the task that watches the engine.
    _engine: Arc<EngineWatch>,
}

pub use checks::check;
pub use deskgrid_http::{Check, Complaint, JobsAtQuit, LocalDoor, Move, Shell, Verdict};
pub use deskgrid_sites as sites;
pub use deskgrid_store::{Findings, StoreError as FolderError, Token, VerifyProgress};
pub use holder::Holder;
pub use relocation::{Relocation, RelocationError, relocate};

/// The token of the running server that keeps its data in this folder; none when none runs there. Blocks on the
/// disk.
///
/// # Errors
/// When it may not be read.
pub fn token(data_directory: &std::path::Path) -> Result<Option<Token>, StoreError> {
    Token::of_running(data_directory)
}

/// Verifies all that is kept in this folder, of which no server runs.
///
/// # Errors
/// [`StoreError::InUse`] when one does: it has to be asked then.
pub async fn verify(data_directory: PathBuf, progress: Arc<VerifyProgress>) -> Result<Findings, StoreError> {
    let opened = tokio::task::spawn_blocking(move || Store::open(&data_directory));
    opened.await.map_err(|_| StoreError::Stopped)??.verify(progress).await
}

impl Server {
    /// Reads the settings, opens the data folder, listens, and starts to work.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way; nothing is left running then.
    pub async fn start(source: SettingsSource) -> Result<Self, StartError> {
        let server = Self::open(source, None).await?;
        server.open_port().await?;
        Ok(server)
    }

    /// Reads the settings, opens the data folder and the local door. The port stays closed and no job starts until
    /// [`Self::open_port`]. `shell` is the desktop app around, where there is one.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way; nothing is left running then.
    pub async fn open(source: SettingsSource, shell: Option<Arc<dyn Shell>>) -> Result<Self, StartError> {
        let loading = source.clone();
        let settings = tokio::task::spawn_blocking(move || loading.load()).await??;
        let folder = settings.data_directory.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder)).await??;
        let id = store.worker_id(settings.id.clone()).await?;
        let token = store.token().await?;
        let engine = Arc::new(EngineWatch::start(settings.docker_host.clone()));
        let watch = SettingsWatch::start(source.clone(), settings.clone());
        let (limit_sender, limits) = watch::channel(limits(&settings));
        let (access_sender, access) = watch::channel(rules(&settings, settings.port));
        let (base_url_sender, base_url) = watch::channel(format!("http://localhost:{}", settings.port));
        let (on_sender, on) = watch::channel(false);
        let (site_rule_sender, site_rules) = watch::channel(books::site_rules(&settings.sites));
        let invitations =
            Invitations::new(Sites::new(settings.sites.clone(), settings.allowed_origins.clone()));
        let engine_state = engine.state();
        let setup = Setup {
            store,
            engine: engine_state,
            id,
            read_definition,
            base_url,
            on,
            limits,
            site_rules,
            cache_limit: settings.cache_limit,
        };
        let running = Running::start(setup).await?;
        running.worker().set_disk_reserve(settings.disk_reserve);
        let post = Post {
            settings: watch.subscribe(),
            access: access_sender.clone(),
            base_url: base_url_sender,
            on: on_sender,
            engine: engine.state(),
        };
        let (porter, show) = Porter::new(post);
        let porter = Arc::new(porter);
        let books = Arc::new(Books::new(source.clone(), watch.subscribe(), site_rule_sender.clone()));
        let (moves, failed_move) = (watch::Sender::new(None), watch::Sender::new(None));
        let folder = settings.data_directory.clone();
        let premises =
            Premises::new(porter.clone(), access.clone(), source, folder, moves.clone(), failed_move.clone());
        let admission = Admission {
            rules: access.clone(),
            invitations: invitations.clone(),
            token,
            books: books.clone(),
            premises: Arc::new(premises),
            shell,
        };
        let needs_door = admission.shell.is_some();
        let info = SiteInfo { version: env!("CARGO_PKG_VERSION").to_owned() };
        let site = Site::new(running.worker().clone(), admission, info);
        let parts = reload::Parts {
            limits: limit_sender,
            access: access_sender,
            invitations,
            site_rules: site_rule_sender,
            engine: engine.clone(),
            worker: running.worker().clone(),
            books,
        };
        let reload = AbortOnDropHandle::new(tokio::spawn(reload::follow(watch, parts)));
        let stop = CancellationToken::new();
        let local_door = match open_local_door(&settings.data_directory, site.clone(), stop.clone()) {
            Ok(door) => Some(door),
            // Tray and window have no other way in.
            Err(error) if needs_door => return Err(error),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        };
        // The porter waits for it, and only for it.
        let _ = show.send(site.clone());
        let data_directory = settings.data_directory;
        Ok(Self {
            data_directory,
            porter,
            access,
            stop,
            local_door,
            reload,
            running,
            site,
            moves,
            failed_move,
            _engine: engine,
        })
    }

    /// Opens the port and lets jobs start. When another program holds the port, it is tried again until
    /// [`Self::stop`].
    ///
    /// # Errors
    /// [`StartError`] says why it could not be opened at once.
    pub async fn open_port(&self) -> Result<(), StartError> {
        self.porter.open().await
    }

    /// Waits until the port is open, which another program may hold for as long as it likes.
    pub async fn until_open(&self) {
        let mut state = self.porter.state();
        if state.wait_for(|state| *state == DoorState::Open).await.is_err() {
            // The porter is gone, and with it every hope.
            std::future::pending::<()>().await;
        }
    }

    /// Where it listens, as a URL without a slash at its end.
    pub fn address(&self) -> String {
        format!("http://localhost:{}", self.access.borrow().port)
    }

    /// An address that opens the dashboard in a browser, once.
    pub fn dashboard(&self) -> Option<String> {
        self.site.dashboard()
    }

    /// Where the data folder shall go, as the person wishes. Whoever follows this stops the server, has the folder
    /// copied, writes the new place down with [`settings::SettingsSource::choose`], and opens the server again;
    /// while nobody follows it, such wishes are refused.
    pub fn moves(&self) -> watch::Receiver<Option<Relocation>> {
        self.moves.subscribe()
    }

    /// Has everybody told that the data folder could not be moved this way, which is why this server is opened where
    /// it was. Nobody is told anew: this is said before somebody asks.
    pub fn tell_failed_move(&self, way: &Relocation, problem: String) {
        self.failed_move.send_replace(Some(Move { problem: Some(problem), ..way.begun() }));
    }

    /// Where it keeps everything.
    pub fn data_directory(&self) -> &std::path::Path {
        &self.data_directory
    }

    /// Stops listening, ends open connections and lets containers go on.
    pub async fn stop(self) {
        self.stop.cancel();
        drop(self.reload);
        let local = async {
            if let Some(door) = self.local_door {
                let _ = door.await;
            }
        };
        tokio::join!(self.porter.close_and_see_out(), local);
        // What cannot be removed by then is swept at the next start.
        let _ = tokio::time::timeout(CLEAR_TIMEOUT, self.running.cleared()).await;
        drop(self.running);
    }
}

/// Opens the way in for the person's own programs. A server in a terminal can do without: the port is one, too.
fn open_local_door(
    data_directory: &std::path::Path,
    site: Site,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, StartError> {
    let door = LocalDoor::of(data_directory);
    let open = door.open();
    let open = open.map_err(|problem| StartError::NoLocalDoor { path: door.path().to_owned(), problem })?;
    Ok(tokio::spawn(open.serve(site, stop)))
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        cpu_millis: settings.cpu_millis,
        memory: settings.memory,
        gpus: settings.gpus.clone(),
        max_duration: settings.max_job_duration,
        contexts: settings.contexts,
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
