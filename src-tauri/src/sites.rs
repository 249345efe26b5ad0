//! `deskgrid sites`: who may use this computer from a web page. Asks the running server, which takes a decision on at
//! once; where none runs, the settings file is changed for the next one.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use deskgrid_job::{SHIPPED_ORIGINS, Time};
use deskgrid_server::settings::{Key, Overrides, Settings, SettingsSource};
use deskgrid_server::sites::{Change, Date, Decision, Origin};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::words;

/// Show and decide which web pages may run jobs here
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A site is an origin: scheme, host and port, as https://lab.example.org or http://localhost:3000.
Decisions stand in the settings file. A page that was allowed goes on by itself.

Examples:
  deskgrid sites                                  who may, who may not, who asks
  deskgrid sites allow https://lab.example.org    from now on
  deskgrid sites allow --once http://localhost:3000
  deskgrid sites block https://metapage.io")]
pub(crate) struct Sites {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: ServerArgs,
    /// Settings file to use instead of the usual one
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Data folder of the server, when the settings do not name it
    #[arg(long, value_name = "DIR", global = true)]
    data_directory: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the sites that are allowed, blocked, or waiting for a decision
    List,
    /// Let the pages of a site use this computer
    Allow {
        /// Origin of the site
        origin: String,
        /// Only until the server stops
        #[arg(long)]
        once: bool,
    },
    /// Refuse the pages of a site, and never ask again
    Block {
        /// Origin of the site
        origin: String,
    },
    /// Take every decision about a site back
    Forget {
        /// Origin of the site
        origin: String,
    },
}

impl Sites {
    /// Lists or decides.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let folder = self.data_directory.iter().cloned().collect();
        let flags = Overrides::from_flags(&[(Key::DataDirectory, folder)])?;
        let source = SettingsSource::new(self.config.clone(), flags)?;
        let settings = source.load()?;
        let token = deskgrid_server::token(&settings.data_directory)
            .map_err(|error| CliError::Usage(format!("The token cannot be read: {error}.")))?;
        let client = Client::new_with(&self.server, settings.port)?.with_token(token);
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&client, &settings).await,
            Action::Allow { origin, once: true } => allow_once(&client, &read(&origin)?).await,
            Action::Allow { origin, once: false } => decide(&client, &source, "allow", &read(&origin)?).await,
            Action::Block { origin } => decide(&client, &source, "block", &read(&origin)?).await,
            Action::Forget { origin } => decide(&client, &source, "forget", &read(&origin)?).await,
        }
    }
}

fn read(text: &str) -> Result<Origin, CliError> {
    Origin::of_person(text).map_err(|problem| {
        CliError::Usage(format!("{text:?} {problem}. Write an origin such as https://lab.example.org"))
    })
}

async fn list(client: &Client, settings: &Settings) -> Result<ExitCode, CliError> {
    match client.admin_get("Asking for the sites", &["api", "sites"]).await {
        Ok(list) => print!("{}", table(&list, Time::now())),
        Err(CliError::NoServer { .. }) => {
            println!("No server runs; this is what the settings say.");
            print!("{}", table(&of_settings(settings), Time::now()));
        }
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

async fn allow_once(client: &Client, origin: &Origin) -> Result<ExitCode, CliError> {
    let body = json!({ "origin": origin.as_str(), "once": true });
    match client.admin_post("Allowing the site", &["api", "sites", "allow"], &body).await {
        Ok(answer) => println!("{} Until the server stops.", told(&answer)),
        Err(CliError::NoServer { .. }) => {
            return Err(CliError::Usage(
                "--once lasts until the server stops, and none runs. Start one, or leave --once out.".into(),
            ));
        }
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

async fn decide(
    client: &Client,
    source: &SettingsSource,
    action: &str,
    origin: &Origin,
) -> Result<ExitCode, CliError> {
    let body = json!({ "origin": origin.as_str() });
    match client.admin_post("The decision", &["api", "sites", action], &body).await {
        Ok(answer) => println!("{}", told(&answer)),
        Err(CliError::NoServer { .. }) => {
            let file = write(source, action, origin)?;
            println!("No server runs; {origin} is noted in {file} for the next one.");
        }
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a decision into the settings file and returns its name.
fn write(source: &SettingsSource, action: &str, origin: &Origin) -> Result<String, CliError> {
    let origin = origin.clone();
    let on = Date::of(Time::now());
    let change = match action {
        "allow" => Change::Decide { origin, decision: Decision::Allow, on },
        "block" => Change::Decide { origin, decision: Decision::Block, on },
        _ => Change::Forget(origin),
    };
    source.write(&change)?;
    Ok(source.file().map(|file| file.display().to_string()).unwrap_or_default())
}

/// What the server says of one origin.
#[derive(Deserialize)]
pub(crate) struct Told {
    origin: String,
    verdict: String,
    source: Option<String>,
}

/// What holds now, as a sentence.
fn told(answer: &Told) -> String {
    let origin = &answer.origin;
    match (answer.verdict.as_str(), answer.source.as_deref()) {
        ("allowed", Some("shipped")) => {
            format!("{origin} is allowed, as every Deskgrid allows it. `deskgrid sites block` refuses it.")
        }
        ("allowed", Some("settings")) => {
            format!("{origin} is allowed by allowed_origins in the settings.")
        }
        ("allowed", _) => format!("{origin} is allowed."),
        ("blocked", _) => format!("{origin} is blocked."),
        _ => format!("{origin} is unknown again; its pages are refused until you decide."),
    }
}

/// The list as the server tells it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SiteList {
    allowed: Vec<SiteRow>,
    blocked: Vec<SiteRow>,
    pending: Vec<PendingRow>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SiteRow {
    origin: String,
    source: Option<String>,
    since: Option<String>,
    last_used: Option<String>,
    network: String,
    compatible: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PendingRow {
    origin: String,
    last_asked: u64,
    count: u64,
}

/// The list without a server.
fn of_settings(settings: &Settings) -> SiteList {
    let mut list = SiteList::default();
    for entry in &settings.sites {
        let row = SiteRow {
            origin: entry.origin.to_string(),
            source: Some("decision".into()),
            since: entry.since.map(|day| day.to_string()),
            last_used: entry.last_used.map(|day| day.to_string()),
            network: entry.terms.network.as_str().to_owned(),
            compatible: entry.terms.compatible,
        };
        match entry.decision {
            Decision::Allow => list.allowed.push(row),
            Decision::Block => list.blocked.push(row),
        }
    }
    let is_decided = |origin: &str| settings.sites.iter().any(|entry| entry.origin.as_str() == origin);
    let listed = settings.allowed_origins.iter().map(|origin| (origin.as_str(), "settings"));
    for (origin, source) in SHIPPED_ORIGINS.into_iter().map(|origin| (origin, "shipped")).chain(listed) {
        if !is_decided(origin) {
            let (origin, source) = (origin.to_owned(), Some(source.to_owned()));
            list.allowed.push(SiteRow { origin, source, ..SiteRow::default() });
        }
    }
    list
}

fn table(list: &SiteList, now: Time) -> String {
    let mut text = String::new();
    let all = list.allowed.iter().chain(&list.blocked).map(|row| row.origin.len());
    let width = all.chain(list.pending.iter().map(|row| row.origin.len())).max().unwrap_or_default();
    let rows = list
        .allowed
        .iter()
        .map(|row| ("allowed", row))
        .chain(list.blocked.iter().map(|row| ("blocked", row)));
    for (verdict, row) in rows {
        let _ = writeln!(text, "{verdict}  {:<width$}  {}", row.origin, remarks(row));
    }
    for row in &list.pending {
        let ago = words::time(now.since(Time(row.last_asked)));
        let _ = writeln!(
            text,
            "asks     {:<width$}  {}, last {ago} ago",
            row.origin,
            words::count(usize::try_from(row.count).unwrap_or(usize::MAX), "time"),
        );
    }
    if let Some(row) = list.pending.first() {
        let _ = writeln!(text, "\nDecide with: deskgrid sites allow {}   (or block)", row.origin);
    }
    text
}

/// What else there is to know of a site.
fn remarks(row: &SiteRow) -> String {
    let source = match row.source.as_deref() {
        Some("shipped") => Some("by every Deskgrid".to_owned()),
        Some("settings") => Some("by allowed_origins".to_owned()),
        Some("once") => Some("until the server stops".to_owned()),
        _ => row.since.as_ref().map(|day| format!("since {day}")),
    };
    let parts = [
        source,
        row.last_used.as_ref().map(|day| format!("last used {day}")),
        (row.network == "none").then(|| "jobs without network".to_owned()),
        row.compatible.then(|| "compatible mode".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_who_may_who_may_not_and_who_asks() {
        let list: SiteList = serde_json::from_value(json!({
            "allowed": [
                { "origin": "https://metapage.io", "source": "shipped", "network": "internet" },
                { "origin": "https://a.example", "source": "decision", "since": "2026-11-22",
                  "lastUsed": "2026-11-23", "network": "none", "compatible": true },
            ],
            "blocked": [{ "origin": "https://b.example", "source": "decision" }],
            "pending": [{ "origin": "https://c.example", "firstAsked": 1000, "lastAsked": 1000, "count": 2 }],
        }))
        .unwrap();
        assert_eq!(
            table(&list, Time(5000)),
            "allowed  https://metapage.io  by every Deskgrid\n\
             allowed  https://a.example    since 2026-11-22, last used 2026-11-23, jobs without network, compatible mode\n\
             blocked  https://b.example    \n\
             asks     https://c.example    2 times, last 4.0 s ago\n\n\
             Decide with: deskgrid sites allow https://c.example   (or block)\n"
        );
    }

    #[test]
    fn an_origin_that_is_none_is_told_with_an_example() {
        let error = read("lab.example.org").unwrap_err().to_string();
        assert!(error.contains("https://lab.example.org"), "{error}");
    }
}
