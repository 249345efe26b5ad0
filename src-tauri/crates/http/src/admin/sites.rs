//! Decisions on sites, as the person makes them: who is allowed, who is blocked, and on which terms.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use deskgrid_job::{SHIPPED_ORIGINS, Time};
use deskgrid_sites::{Change, Date, Decision, Entry, Network, Origin, Sites, Verdict};
use deskgrid_store::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::understood;
use crate::Site;
use crate::access::Administrator;
use crate::body::{JsonText, Written};
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/sites", get(list))
        .route("/api/sites/{action}", post(decide))
        .route("/api/sites/settings", put(configure))
}

#[derive(Deserialize)]
struct About {
    origin: String,
    #[serde(default)]
    once: bool,
}

#[derive(Deserialize)]
struct Terms {
    origin: String,
    network: Option<String>,
    compatible: Option<bool>,
}

/// The origin that a person means. Our own pages need no invitation and cannot lose it.
fn origin(site: &Site, text: &str) -> Result<Origin, HttpError> {
    let origin = Origin::of_person(text)
        .map_err(|problem| HttpError::bad("bad-origin", format!("{text:?} {problem}.")))?;
    if site.access().is_own_origin(origin.as_str()) {
        let words = format!("{origin} is this Deskgrid itself, whose pages are always allowed.");
        return Err(HttpError::bad("own-origin", words));
    }
    Ok(origin)
}

async fn list(_: Administrator, State(site): State<Site>) -> Result<Written, HttpError> {
    let usage = site.store().usage_by_caller().await?;
    let usage = usage.into_iter().map(|usage| (usage.caller.as_str().to_owned(), usage)).collect();
    Ok(Written(site.invitations().read(|sites| listing(sites, &usage)).to_string()))
}

async fn decide(
    _: Administrator,
    State(site): State<Site>,
    Path(action): Path<String>,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let about: About = understood(&text)?;
    let origin = origin(&site, &about.origin)?;
    let decide = |decision| Change::Decide { origin: origin.clone(), decision, on: Date::of(Time::now()) };
    match action.as_str() {
        "allow" if about.once => allow_once(&site, &origin)?,
        "allow" => site.write(decide(Decision::Allow)).await?,
        "block" => site.write(decide(Decision::Block)).await?,
        "forget" => {
            // First the file: when that fails, nothing has changed.
            site.write(Change::Forget(origin.clone())).await?;
            site.invitations().change(|sites| sites.forget_for_now(&origin));
        }
        other => {
            let words = format!("Sites cannot be {other:?}. Use allow, block or forget.");
            return Err(HttpError::missing("no-such-path", words));
        }
    }
    Ok(answer(&site, &origin))
}

fn allow_once(site: &Site, origin: &Origin) -> Result<(), HttpError> {
    if site.invitations().change(|sites| sites.allow_once(origin)) {
        return Ok(());
    }
    let words = format!("{origin} is blocked. Take that back first: deskgrid sites forget {origin}");
    Err(HttpError::refused(StatusCode::CONFLICT, "origin-blocked", words))
}

async fn configure(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Written, HttpError> {
    let terms: Terms = understood(&text)?;
    let origin = origin(&site, &terms.origin)?;
    let network = match terms.network.as_deref() {
        Some(word) => Some(Network::parse(word).ok_or_else(|| {
            HttpError::bad("bad-network", format!("{word:?} is no network. Use \"internet\" or \"none\"."))
        })?),
        None => None,
    };
    let on = Date::of(Time::now());
    let change = Change::Configure { origin: origin.clone(), network, compatible: terms.compatible, on };
    site.write(change).await?;
    Ok(answer(&site, &origin))
}

/// What holds for one origin now.
fn answer(site: &Site, origin: &Origin) -> Written {
    let (verdict, source) = site.invitations().read(|sites| (sites.verdict(origin), source(sites, origin)));
    let verdict = match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Blocked => "blocked",
        Verdict::Unknown => "unknown",
    };
    Written(json!({ "origin": origin.as_str(), "verdict": verdict, "source": source }).to_string())
}

/// Where a verdict comes from.
fn source(sites: &Sites, origin: &Origin) -> Option<&'static str> {
    match () {
        () if sites.entry(origin).is_some() => Some("decision"),
        () if sites.listed().contains(origin) => Some("settings"),
        () if SHIPPED_ORIGINS.contains(&origin.as_str()) => Some("shipped"),
        () if sites.once().contains(origin) => Some("once"),
        () => None,
    }
}

fn listing(sites: &Sites, usage: &HashMap<String, Usage>) -> Value {
    let shipped = SHIPPED_ORIGINS.iter().filter_map(|text| Origin::of_browser(text).ok());
    let mut known: Vec<Origin> = shipped.collect();
    let others = sites.entries().iter().map(|entry| &entry.origin).chain(sites.listed()).chain(sites.once());
    for origin in others {
        if !known.contains(origin) {
            known.push(origin.clone());
        }
    }
    let of = |verdict| -> Vec<Value> {
        let meant = known.iter().filter(|origin| sites.verdict(origin) == verdict);
        meant.map(|origin| site_json(sites, origin, usage.get(origin.as_str()))).collect()
    };
    let pending = sites.pending().iter().map(|pending| {
        json!({ "origin": pending.origin.as_str(), "firstAsked": pending.first.0, "lastAsked": pending.last.0,
            "count": pending.count })
    });
    json!({
        "allowed": of(Verdict::Allowed),
        "blocked": of(Verdict::Blocked),
        "shipped": SHIPPED_ORIGINS,
        "pending": pending.collect::<Vec<_>>(),
    })
}

fn site_json(sites: &Sites, origin: &Origin, usage: Option<&Usage>) -> Value {
    let terms = sites.terms(origin);
    let day =
        |pick: fn(&Entry) -> Option<Date>| sites.entry(origin).and_then(pick).map(|day| day.to_string());
    json!({
        "origin": origin.as_str(),
        "source": source(sites, origin),
        "since": day(|entry| entry.since),
        "lastUsed": day(|entry| entry.last_used),
        "network": terms.network.as_str(),
        "compatible": terms.compatible,
        "jobs": usage.map_or(0, |usage| usage.jobs),
        "bytes": usage.map_or(0, |usage| usage.bytes),
    })
}

impl Site {
    /// Writes a decision into the settings file and takes it on at once.
    async fn write(&self, change: Change) -> Result<(), HttpError> {
        let books = Arc::clone(self.books());
        let written = tokio::task::spawn_blocking(move || books.write(&change)).await;
        let written = written.map_err(|_| deskgrid_worker::WorkerError::Stopping)?;
        let entries =
            written.map_err(|(code, words)| HttpError::refused(StatusCode::CONFLICT, code, words))?;
        self.invitations().change(|sites| sites.replace_entries(entries));
        Ok(())
    }

    /// Writes down that a page of this origin was let in, once a day, behind the answer to it.
    pub(crate) fn note_use(&self, origin: &Origin) {
        let Some(change) = self.invitations().note_use(origin) else { return };
        let books = Arc::clone(self.books());
        self.open().spawn_blocking(move || {
            if let Err((code, words)) = books.write(&change) {
                tracing::warn!(code, "the last use of {} was not written down: {words}", change.origin());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_tells_of_each_site_why_it_is_there() {
        let origin = |text: &str| Origin::of_browser(text).unwrap();
        let entry = |text: &str, decision| Entry {
            origin: origin(text),
            decision,
            since: Date::parse("2026-11-22"),
            last_used: None,
            terms: deskgrid_sites::Terms::default(),
        };
        let entries =
            vec![entry("https://a.example", Decision::Allow), entry("https://metapage.io", Decision::Block)];
        let mut sites = Sites::new(entries, vec![origin("https://listed.example")]);
        sites.allow_once(&origin("https://once.example"));
        sites.ask(&origin("https://new.example"), Time(1_000_000));
        let list = listing(&sites, &HashMap::new());
        let of = |kind: &str| -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            list[kind].as_array().unwrap().iter().map(|s| (text(&s["origin"]), text(&s["source"]))).collect()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(of("blocked"), [pair("https://metapage.io", "decision")]);
        assert_eq!(
            of("allowed"),
            [
                pair("https://container.mtfm.io", "shipped"),
                pair("https://app.metapage.io", "shipped"),
                pair("https://a.example", "decision"),
                pair("https://listed.example", "settings"),
                pair("https://once.example", "once"),
            ]
        );
        assert_eq!(list["pending"][0]["firstAsked"], 1_000_000);
        assert_eq!(list["allowed"][2]["since"], "2026-11-22");
    }
}
