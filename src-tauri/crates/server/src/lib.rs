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
mod start_error;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deskgrid_docker::EngineWatch;
use deskgrid_http::{AccessRules, Admission, DoorState, Invitations, Site, SiteInfo};
use deskgrid_sites::Sites;
use deskgrid_store::{Closed, Store, StoreError};
use deskgrid_worker::{Limits, Running, Setup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use books::Books;
use porter::{Porter, Post};
use premises::Premises;
use settings::{Settings, SettingsSource, SettingsWatch};

/// Containers whose job is over are removed by then.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// Whoever is at work in the data folder has come to its end by then, unless a file is very large.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

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
    closed: Closed,
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
pub use start_error::StartError;

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
        let closed = store.closed();
        let opened = Self::over(store, settings, source, shell).await;
        if opened.is_err() {
            until_closed(closed, CLOSE_TIMEOUT).await;
        }
        opened
    }

    async fn over(
        store: Store,
        settings: Settings,
        source: SettingsSource,
        shell: Option<Arc<dyn Shell>>,
    ) -> Result<Self, StartError> {
        let closed = store.closed();
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
            closed,
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

    /// Stops listening, ends open connections and lets containers go on. When this returns, nothing is written to the
    /// data folder any more, and another may open it; unless somebody takes very long to read a file there.
    pub async fn stop(self) {
        self.stop_within(CLOSE_TIMEOUT).await;
    }

    /// The same, with so much time for whoever is at work in the data folder.
    pub(crate) async fn stop_within(self, patience: Duration) {
        let Self { stop, reload, local_door, porter, running, site, closed, .. } = self;
        stop.cancel();
        site.end_work();
        drop(reload);
        let local = async {
            if let Some(door) = local_door {
                let _ = door.await;
            }
        };
        tokio::join!(porter.close_and_see_out(), local);
        // What cannot be removed by then is swept at the next start.
        let _ = tokio::time::timeout(CLEAR_TIMEOUT, running.cleared()).await;
        drop((running, site, porter));
        until_closed(closed, patience).await;
    }
}

/// Waits for the tasks that were ended: what they are at on the disk goes on to its end.
async fn until_closed(closed: Closed, patience: Duration) {
    if tokio::time::timeout(patience, closed.wait()).await.is_err() {
        tracing::warn!("something is at work in the data folder still");
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::settings::Overrides;

    struct NoShell;

    impl Shell for NoShell {
        fn has_tray(&self) -> bool {
            false
        }

        fn starts_at_login(&self) -> Option<bool> {
            None
        }

        fn start_at_login(&self, _on: bool) -> Result<(), Complaint> {
            Ok(())
        }

        fn open_window(&self, _link: Option<String>) -> Result<(), Complaint> {
            Ok(())
        }

        fn quit(&self, _jobs: JobsAtQuit) {}

        fn quitting(&self) -> watch::Receiver<bool> {
            watch::channel(false).1
        }

        fn stay(&self) {}
    }

    fn source(folder: &Path) -> SettingsSource {
        let (file, data) = (folder.join("settings.toml"), folder.join("data"));
        fs::write(
            &file,
            format!("port = 0\ndocker_host = 'unix:///nonexistent'\ndata_directory = {data:?}\n"),
        )
        .unwrap();
        SettingsSource::of_file(file, Overrides::default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_has_stopped_leaves_its_data_folder_to_others_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            Server::start(source(folder.path())).await.unwrap().stop().await;
            Store::open(&folder.path().join("data")).unwrap();
        }
    }

    #[cfg(unix)]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_could_not_start_leaves_its_data_folder_to_others_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for _ in 0..5 {
            // In the way of the door.
            fs::create_dir_all(LocalDoor::of(&data).path().join("not empty")).unwrap();
            let started = Server::open(source(folder.path()), Some(Arc::new(NoShell))).await;
            assert_eq!(started.err().map(|error| error.code()), Some("no-local-door"));
            fs::remove_dir_all(&data).unwrap();
            assert!(!data.exists());
        }
    }
}
