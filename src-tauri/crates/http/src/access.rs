//! Who may talk to us: which host names are ours, which pages and programs are let in, and what a page of another
//! origin may read.
//!
//! Every request passes here before it reaches a route, so that a route never asks who its client is. The decision
//! is a pure function over the request's head and a few facts; [`guard`] finds the facts and carries it out.

mod cors;
mod sender;
mod ticket;
mod token;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use deskgrid_job::{BlobHash, Caller};
use deskgrid_sites::{Origin, Verdict};

use crate::Site;
use crate::error::HttpError;
use crate::peer::{Peer, Remote};
use crate::serve::ThroughLocalDoor;
use cors::Share;
use sender::Sender;
pub(crate) use ticket::{REDEEM, Tickets};
pub(crate) use token::Gate;
use token::Proof;

/// The names of this computer to itself.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whom we answer, beside the decisions about sites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// The port that we listen on.
    pub port: u16,
    /// Further host names under which clients may call us, with our port when they name none.
    pub hosts: Vec<String>,
    /// Whether every request needs the token, since others than this computer can reach us.
    pub needs_token: bool,
    /// Whether programs are let in when the system does not tell whose they are.
    pub trusts_unknown_programs: bool,
}

impl AccessRules {
    fn is_own_host(&self, host: &Authority) -> bool {
        let port = host.port_u16().unwrap_or(80);
        let is_name = |name: &&str| name.eq_ignore_ascii_case(host.host());
        let is_named = |name: &String| {
            name.eq_ignore_ascii_case(host.as_str()) || (port == self.port && is_name(&name.as_str()))
        };
        (port == self.port && OWN_HOSTS.iter().any(is_name)) || self.hosts.iter().any(is_named)
    }

    /// Whether pages of this origin are our own.
    pub(crate) fn is_own_origin(&self, origin: &str) -> bool {
        OWN_HOSTS.iter().any(|host| own_origin(host, self.port) == origin)
    }
}

fn own_origin(host: &str, port: u16) -> String {
    // Browsers leave the default port out of an origin.
    if port == 80 { format!("http://{host}") } else { format!("http://{host}:{port}") }
}

/// The marker of a request that showed the token and comes from no foreign page. The administration takes it as an
/// argument, so that no path leads there without it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Administrator(());

impl FromRequestParts<Site> for Administrator {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, HttpError> {
        parts.extensions.get().copied().ok_or_else(|| site.gate().refusal(Proof::None))
    }
}

/// What is known of a request beside its head.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Whether it only reads bytes by a name that nobody guesses.
    is_open: bool,
    /// What was decided about the page that sent it.
    verdict: Verdict,
    /// Whose program sent it.
    peer: Peer,
    proof: Proof,
}

/// Why a request is not let in.
#[derive(Debug)]
enum Refusal {
    /// For a reason that the client is told.
    Told(HttpError),
    /// Nobody decided about its page, which therefore waits for a decision.
    Uninvited(Origin),
    /// It needs the token.
    NoToken,
}

/// Refuses requests that are not for us or from nobody who may call, answers preflights, and marks all answers with
/// what the asking page may do with them.
pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    if head.extensions.get::<ThroughLocalDoor>().is_some() {
        // Nobody but the person gets there: no host, page or token has to be asked about.
        head.extensions.insert(Caller::Program);
        head.extensions.insert(Administrator(()));
        return next.run(Request::from_parts(head, body)).await;
    }
    let is_open = is_read_by_hash(&head.method, &head.headers, head.uri.path());
    let mut response = match admit(&site, &head, is_open).await {
        Ok((share, _)) if head.method == Method::OPTIONS => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            share.mark_preflight(&head.headers, response.headers_mut());
            response
        }
        Ok((share, administrator)) => {
            head.extensions.insert(caller(&site.access(), &share));
            administrator.map(|administrator| head.extensions.insert(administrator));
            let mut response = next.run(Request::from_parts(head, body)).await;
            share.mark(response.headers_mut());
            response
        }
        Err(refusal) => refusal.into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    cors::mark_every(response.headers_mut(), is_open);
    response
}

/// Finds the facts, decides, and notes what follows for sites.
async fn admit(
    site: &Site,
    head: &Parts,
    is_open: bool,
) -> Result<(Share, Option<Administrator>), HttpError> {
    let rules = site.access();
    let sender = Sender::of(&rules, &head.headers);
    let verdict = match &sender {
        Sender::Page(origin) => site.invitations().verdict(origin),
        _ => Verdict::Unknown,
    };
    let proof = site.gate().proof(&head.headers);
    let peer = match head.extensions.get::<Remote>() {
        // Whoever may read or has the token may be anyone, and the system need not be asked.
        Some(remote) if !is_open && proof != Proof::Right => remote.user().await,
        _ => Peer::Unknown,
    };
    let facts = Facts { is_open, verdict, peer, proof };
    match decide(&rules, head, &sender, facts) {
        Ok(share) => {
            if let (Sender::Page(origin), Verdict::Allowed) = (&sender, verdict) {
                site.note_use(origin);
            }
            let is_ours = matches!(sender, Sender::Program | Sender::Ours(_));
            Ok((share, (is_ours && proof == Proof::Right).then_some(Administrator(()))))
        }
        Err(Refusal::Told(error)) => Err(error),
        Err(Refusal::NoToken) => Err(site.gate().refusal(proof)),
        Err(Refusal::Uninvited(origin)) => {
            site.invitations().ask(&origin);
            Err(HttpError::Uninvited { origin, doctor: format!("{}/doctor", site.base_url()) })
        }
    }
}

/// Our own pages act for the person, as programs do; what any page may read is no page's own.
fn caller(rules: &AccessRules, share: &Share) -> Caller {
    match share {
        Share::Nobody => Caller::Program,
        Share::Anyone => Caller::parse("null"),
        Share::Page(origin) => match origin.to_str() {
            Ok(origin) if rules.is_own_origin(origin) => Caller::Program,
            Ok(origin) => Caller::parse(origin),
            Err(_) => Caller::parse("null"),
        },
    }
}

/// Whether the request may go on, and with whom its answer may be shared.
fn decide(rules: &AccessRules, head: &Parts, sender: &Sender, facts: Facts) -> Result<Share, Refusal> {
    check_host(rules, &head.uri, &head.headers)?;
    if rules.needs_token && facts.proof != Proof::Right {
        return Err(Refusal::NoToken);
    }
    let is_administration = is_administration(head.uri.path());
    let share = check_sender(rules, head, sender, facts, is_administration)?;
    // A ticket is a proof of its own.
    let has_ticket = head.uri.path() == REDEEM;
    if is_administration && !has_ticket && facts.proof != Proof::Right {
        return Err(Refusal::NoToken);
    }
    Ok(share)
}

fn check_sender(
    rules: &AccessRules,
    head: &Parts,
    sender: &Sender,
    facts: Facts,
    is_administration: bool,
) -> Result<Share, Refusal> {
    check_user(rules, sender, facts)?;
    match sender {
        Sender::Program => check_without_origin(head, facts.is_open),
        Sender::Ours(origin) => Ok(Share::Page(origin.clone())),
        Sender::Page(_) | Sender::Nameless(_) if is_administration => Err(no_pages_here()),
        Sender::Page(origin) => check_page(origin, facts),
        Sender::Nameless(_) if facts.is_open => Ok(Share::Anyone),
        Sender::Nameless(text) => Err(nameless(text)),
    }
}

/// A page that nobody invited, and even one that is blocked, may read what is open to all.
fn check_page(origin: &Origin, facts: Facts) -> Result<Share, Refusal> {
    match (facts.verdict, HeaderValue::from_str(origin.as_str())) {
        (Verdict::Allowed, Ok(value)) => Ok(Share::Page(value)),
        _ if facts.is_open => Ok(Share::Anyone),
        (Verdict::Blocked, _) => {
            let words = format!(
                "Pages of {origin} are blocked here. If you changed your mind, run: deskgrid sites forget {origin}"
            );
            Err(forbidden("origin-blocked", words))
        }
        _ => Err(Refusal::Uninvited(origin.clone())),
    }
}

/// Every user of this computer can reach our port, and whoever writes his own requests can name any origin. So the
/// other end has to be the person's own, whatever the request says.
fn check_user(rules: &AccessRules, sender: &Sender, facts: Facts) -> Result<(), Refusal> {
    if facts.is_open || facts.proof == Proof::Right {
        return Ok(());
    }
    let is_program = matches!(sender, Sender::Program | Sender::Ours(_));
    match facts.peer {
        Peer::SameUser => Ok(()),
        Peer::Unknown if rules.trusts_unknown_programs || !is_program => Ok(()),
        _ if facts.proof == Proof::Wrong => Err(Refusal::NoToken),
        Peer::OtherUser => Err(forbidden(
            "other-user",
            "This Deskgrid belongs to another user of this computer. Start one of your own on another port, or ask \
             that user for the token and send it as the header Authorization: Bearer TOKEN.",
        )),
        Peer::Unknown => Err(forbidden(
            "unknown-user",
            "This system does not tell whose program is calling, and the setting trust_unknown_programs is off. \
             Send the token as the header Authorization: Bearer TOKEN; it is in the file `token` of the data folder.",
        )),
    }
}

fn forbidden(code: &'static str, words: impl Into<String>) -> Refusal {
    Refusal::Told(HttpError::refused(StatusCode::FORBIDDEN, code, words))
}

fn no_pages_here() -> Refusal {
    forbidden(
        "no-pages",
        "Web pages may not use the administration of this Deskgrid, also not with the token.",
    )
}

fn nameless(text: &str) -> Refusal {
    let words = format!(
        "The page calls itself {text:?}, which is no origin that could be allowed. Pages in files and in frames \
         without rights of their own have none: open the page from a web server."
    );
    forbidden("origin-not-allowed", words)
}

/// A page whose host name was made to point here would otherwise pass for one of ours.
fn check_host(rules: &AccessRules, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        let words = "The request must name its host once, in a Host header.";
        return Err(Refusal::Told(HttpError::bad("host-missing", words)));
    };
    let own = |host: &Authority| rules.is_own_host(host);
    let is_own =
        Authority::try_from(host.as_bytes()).is_ok_and(|host| own(&host)) && uri.authority().is_none_or(own);
    if is_own {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(host.as_bytes()).chars().take(200).collect();
    let words = format!(
        "Deskgrid does not answer to the host name {shown:?}. Use http://localhost:{}, or add the name to \
         allowed_hosts in Deskgrid's settings.",
        rules.port
    );
    Err(forbidden("host-not-allowed", words))
}

/// Programs send no origin; browsers leave it out of some requests that a page of another site causes, and say so
/// in `Sec-Fetch-Site`.
fn check_without_origin(head: &Parts, is_open: bool) -> Result<Share, Refusal> {
    let says = |name: &str, word: &str| head.headers.get(name).is_some_and(|value| value == word);
    let is_foreign = says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site");
    let is_link = head.method == Method::GET
        && says("sec-fetch-mode", "navigate")
        && says("sec-fetch-dest", "document");
    match () {
        () if is_open => Ok(Share::Anyone),
        () if !is_foreign || (is_link && is_page(head.uri.path())) => Ok(Share::Nobody),
        () => Err(forbidden(
            "cross-site",
            "Pages of other sites may read stored files by their hash only. Open the address itself instead.",
        )),
    }
}

/// Whether a path is one of the pages that a link elsewhere may lead to: our first page, the one that tests the
/// browser, or that of a job whose id nobody guesses.
fn is_page(path: &str) -> bool {
    match segments(path)[..] {
        ["" | "doctor"] => true,
        ["j", id] => is_hash(id),
        _ => false,
    }
}

fn is_administration(path: &str) -> bool {
    segments(path).first() == Some(&"api")
}

/// Whether a request only reads bytes whose name nobody guesses, so that pages of any origin may make it.
fn is_read_by_hash(method: &Method, headers: &HeaderMap, path: &str) -> bool {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes);
    let reads = match *method {
        Method::GET | Method::HEAD => true,
        Method::OPTIONS => matches!(asked, Some(b"GET" | b"HEAD")),
        _ => false,
    };
    reads
        && match segments(path)[..] {
            ["f", key] => is_hash(key),
            ["j", id, "inputs" | "outputs", _] | ["q", _, "j", id, "inputs" | "outputs", _] => is_hash(id),
            _ => false,
        }
}

fn is_hash(text: &str) -> bool {
    BlobHash::parse(text).is_some()
}

/// The path's segments as sent; what follows `inputs` or `outputs` counts as one.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.splitn(if path.starts_with("q/") { 6 } else { 4 }, '/').collect()
}

#[cfg(test)]
mod tests;
