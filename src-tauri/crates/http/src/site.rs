//! What every route can reach, and the table of all routes.

use std::sync::Arc;
use std::time::Instant;

use axum::http::{Method, StatusCode, Uri};
use axum::{Router, middleware};
use deskgrid_store::{Store, Token};
use deskgrid_worker::Worker;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{self, AccessRules, Gate, Tickets};
use crate::admin::{self, Books, LogPlaces, News, Premises, ReadNotices, Removals, Shell, Verification};
use crate::bounds::{self, Bounds};
use crate::doctor::{self, Heard};
use crate::error::HttpError;
use crate::gauges::Gauges;
use crate::invitations::Invitations;
use crate::jobs::LongList;
use crate::socket::WholeLists;
use crate::{dashboard, files, job_files, jobs, logs, metrics, page, protect, socket, status, stream};

/// What the server tells about itself.
#[derive(Clone, Debug)]
pub struct SiteInfo {
    /// The version of the program.
    pub version: String,
}

/// What decides who is let in.
pub struct Admission {
    /// Rules for every request, which may change while the site is served.
    pub rules: watch::Receiver<AccessRules>,
    /// What was decided about the sites of pages.
    pub invitations: Invitations,
    /// What opens the administration.
    pub token: Token,
    /// Where decisions are written down.
    pub books: Arc<dyn Books>,
    /// Opens and shuts the port.
    pub premises: Arc<dyn Premises>,
    /// The desktop app around us, where there is one.
    pub shell: Option<Arc<dyn Shell>>,
}

/// Everything that is served, as seen through one door; a cheap handle.
#[derive(Clone)]
pub struct Site {
    shared: Arc<Shared>,
    door: Arc<Door>,
}

/// What a way in has of its own: it can be shut while others stay open.
#[derive(Default)]
struct Door {
    ending: CancellationToken,
    open: TaskTracker,
}

struct Shared {
    worker: Worker,
    access: watch::Receiver<AccessRules>,
    invitations: Invitations,
    gate: Gate,
    books: Arc<dyn Books>,
    info: SiteInfo,
    started: Instant,
    gauges: Gauges,
    bounds: Bounds,
    heard: Heard,
    premises: Arc<dyn Premises>,
    shell: Option<Arc<dyn Shell>>,
    tickets: Tickets,
    news: News,
    log_places: LogPlaces,
    removals: Removals,
    verification: Verification,
    read_notices: ReadNotices,
    whole_lists: WholeLists,
    long_list: LongList,
}

impl Site {
    /// A site over `worker`, for those whom `admission` lets in.
    pub fn new(worker: Worker, admission: Admission, info: SiteInfo) -> Self {
        let shared = Shared {
            worker,
            access: admission.rules,
            invitations: admission.invitations,
            gate: Gate::new(admission.token),
            books: admission.books,
            info,
            started: Instant::now(),
            gauges: Gauges::default(),
            bounds: Bounds::default(),
            heard: Heard::default(),
            premises: admission.premises,
            shell: admission.shell,
            tickets: Tickets::default(),
            news: News::default(),
            log_places: LogPlaces::default(),
            removals: Removals::default(),
            verification: Verification::default(),
            read_notices: ReadNotices::default(),
            whole_lists: WholeLists::default(),
            long_list: LongList::default(),
        };
        Self { shared: Arc::new(shared), door: Arc::default() }
    }

    /// The same site behind a new door.
    pub(crate) fn behind_new_door(&self) -> Self {
        Self { shared: self.shared.clone(), door: Arc::default() }
    }

    /// All routes of the protocol, behind the access rules.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(files::routes())
            .merge(jobs::routes())
            .merge(job_files::routes())
            .merge(logs::routes())
            .merge(stream::routes())
            .merge(socket::routes())
            .merge(status::routes())
            .merge(metrics::routes())
            .merge(page::routes())
            .merge(admin::routes())
            .merge(doctor::routes())
            .merge(dashboard::routes())
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(middleware::from_fn_with_state(self.clone(), bounds::guard))
            .layer(middleware::from_fn_with_state(self.clone(), access::guard))
            .layer(middleware::from_fn_with_state(self.clone(), doctor::listen))
            .layer(middleware::from_fn(protect::guard))
            .with_state(self.clone())
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.shared.worker
    }

    pub(crate) fn whole_lists(&self) -> &WholeLists {
        &self.shared.whole_lists
    }

    pub(crate) fn long_list(&self) -> &LongList {
        &self.shared.long_list
    }

    pub(crate) fn store(&self) -> &Store {
        self.shared.worker.store()
    }

    /// The access rules of this moment.
    pub(crate) fn access(&self) -> AccessRules {
        self.shared.access.borrow().clone()
    }

    pub(crate) fn invitations(&self) -> &Invitations {
        &self.shared.invitations
    }

    /// Knows the token.
    pub(crate) fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    pub(crate) fn books(&self) -> &Arc<dyn Books> {
        &self.shared.books
    }

    pub(crate) fn version(&self) -> &str {
        &self.shared.info.version
    }

    /// Under which address clients on this computer reach us.
    pub(crate) fn base_url(&self) -> String {
        format!("http://localhost:{}", self.shared.access.borrow().port)
    }

    /// When the site was made.
    pub(crate) fn started(&self) -> Instant {
        self.shared.started
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.shared.gauges
    }

    /// What clients have used up of their bounds.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }

    /// The origins that asked for anything.
    pub(crate) fn heard(&self) -> &Heard {
        &self.shared.heard
    }

    /// Where other parts of the program say that the desk, the settings or the cache changed.
    pub fn news(&self) -> &News {
        &self.shared.news
    }

    /// What was deleted from the cache and can be taken back.
    pub(crate) fn removals(&self) -> &Removals {
        &self.shared.removals
    }

    /// The notices that the person has read.
    pub(crate) fn read_notices(&self) -> &ReadNotices {
        &self.shared.read_notices
    }

    /// Ends what the site is at by itself, so that it goes when nobody has it any more.
    pub fn end_work(&self) {
        self.shared.verification.end();
    }

    /// The latest verification of the store.
    pub(crate) fn verification(&self) -> &Verification {
        &self.shared.verification
    }

    /// Where readers of logs stopped.
    pub(crate) fn log_places(&self) -> &LogPlaces {
        &self.shared.log_places
    }

    /// What opens and shuts our port.
    pub(crate) fn premises(&self) -> &dyn Premises {
        &*self.shared.premises
    }

    /// The desktop app around us.
    pub(crate) fn shell(&self) -> Option<&Arc<dyn Shell>> {
        self.shared.shell.as_ref()
    }

    /// Tickets to the dashboard.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.shared.tickets
    }

    /// Cancelled when this door is shut; whatever stays open for long has to watch it.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.door.ending
    }

    /// Counts the tasks that are waited for before this door is shut.
    pub(crate) fn open(&self) -> &TaskTracker {
        &self.door.open
    }
}

async fn no_such_path(uri: Uri) -> HttpError {
    let path: String = uri.path().chars().take(200).collect();
    HttpError::missing("no-such-path", format!("Deskgrid has nothing at {path}. Check the address."))
}

async fn no_such_method(method: Method, uri: Uri) -> HttpError {
    let path: String = uri.path().chars().take(200).collect();
    let words = format!("{path} does not take {method} requests. Check the method.");
    HttpError::refused(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", words)
}
