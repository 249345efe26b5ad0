//! Calls of the administration API that the app waits for beside everything else, and what they bring back. What to
//! do with it is up to [`crate::app`].

use std::collections::HashMap;

use deskgrid_desktop::door::{Door, DoorError};
use deskgrid_wire::sse::Event;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::click::Call;
use crate::known::{Job, Wanted};
use crate::notices::Wish;

/// What an errand brought back.
#[derive(Debug)]
pub(crate) enum Brought {
    /// The jobs, those that run among them.
    Jobs(Vec<Job>),
    /// The sites that ask.
    Asking(Vec<String>),
    /// What the person chose in the settings that is the app's to do.
    Wishes {
        /// Which notifications to show.
        notifications: Wish,
        /// Whether the computer stays awake while jobs run.
        awake: bool,
    },
    /// A page that the browser may open.
    Dashboard(String),
    /// What was asked for is done; this is the answer to it.
    Answered(Event),
    /// This could not be fetched.
    Missed(Wanted),
    /// It did not work, in words.
    Failed(String),
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Sites {
    pending: Vec<Pending>,
}

#[derive(Deserialize)]
struct Pending {
    origin: String,
}

#[derive(Deserialize)]
struct Sheet {
    settings: Vec<Setting>,
}

#[derive(Deserialize)]
struct Setting {
    key: String,
    value: Value,
}

#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

/// What is brought back, and what it was fetched for: this, as the so-many-th.
type Load = (Brought, Option<(Wanted, u64)>);

/// All errands under way. Dropping it ends them.
pub(crate) struct Errands {
    door: Door,
    open: JoinSet<Load>,
    /// How often each was fetched.
    turns: HashMap<Wanted, u64>,
}

impl Errands {
    pub(crate) fn through(door: Door) -> Self {
        Self { door, open: JoinSet::new(), turns: HashMap::new() }
    }

    /// What the next one brings; for ever while none is under way.
    pub(crate) async fn next(&mut self) -> Brought {
        loop {
            match self.open.join_next().await {
                Some(Ok((brought, fetched))) if self.is_newest(fetched) => return brought,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Brought::Failed(error.to_string()),
                None => std::future::pending().await,
            }
        }
    }

    /// Two that were asked for the same may come back in either order.
    fn is_newest(&self, fetched: Option<(Wanted, u64)>) -> bool {
        fetched.is_none_or(|(wanted, turn)| self.turns.get(&wanted) == Some(&turn))
    }

    /// Fetches what changed.
    pub(crate) fn fetch(&mut self, wanted: Wanted) {
        let door = self.door.clone();
        let turn = self.turns.entry(wanted).or_default();
        *turn += 1;
        let turn = *turn;
        self.open.spawn(async move {
            let fetched = match wanted {
                Wanted::Jobs => running(&door).await,
                Wanted::Sites => asking(&door).await,
                Wanted::Settings => wishes(&door).await,
            };
            let brought = fetched.unwrap_or_else(|error| {
                // Nobody asked for it, and the next event, or the next stream of them, brings another chance.
                tracing::warn!(%error, ?wanted, "the tray could not be brought up to date");
                Brought::Missed(wanted)
            });
            (brought, Some((wanted, turn)))
        });
    }

    /// Does what a person asked for.
    pub(crate) fn call(&mut self, call: Call) {
        let door = self.door.clone();
        self.open.spawn(async move {
            let called = door.call::<Value>(call.method, &call.path, Some(&call.body)).await;
            let brought = match called {
                // The answer of the desk is its new state, as events tell it too.
                Ok(answer) => Brought::Answered(Event { name: "desk".to_owned(), data: answer.to_string() }),
                Err(error) => Brought::Failed(error.to_string()),
            };
            (brought, None)
        });
    }

    /// Gets a way into the dashboard at `address` that works once.
    pub(crate) fn dashboard(&mut self, address: &str) {
        let (door, address) = (self.door.clone(), address.to_owned());
        self.open.spawn(async move {
            let ticket = door.call::<Ticket>(Method::POST, "/api/ticket", Some(&json!({}))).await;
            let brought = match ticket {
                Ok(Ticket { ticket }) => Brought::Dashboard(format!("{address}/dashboard/#ticket={ticket}")),
                Err(error) => Brought::Failed(error.to_string()),
            };
            (brought, None)
        });
    }
}

async fn running(door: &Door) -> Result<Brought, DoorError> {
    let list: Jobs = door.call(Method::GET, "/api/jobs?running=true", None).await?;
    Ok(Brought::Jobs(list.jobs))
}

async fn asking(door: &Door) -> Result<Brought, DoorError> {
    let sites: Sites = door.call(Method::GET, "/api/sites", None).await?;
    Ok(Brought::Asking(sites.pending.into_iter().map(|site| site.origin).collect()))
}

async fn wishes(door: &Door) -> Result<Brought, DoorError> {
    let sheet: Sheet = door.call(Method::GET, "/api/settings/sheet", None).await?;
    let value =
        |key: &str| sheet.settings.iter().find(|setting| setting.key == key).map(|setting| &setting.value);
    Ok(Brought::Wishes {
        notifications: value("notifications")
            .and_then(serde_json::Value::as_str)
            .map_or(Wish::default(), Wish::named),
        awake: value("keep_awake").and_then(serde_json::Value::as_bool).unwrap_or_default(),
    })
}
