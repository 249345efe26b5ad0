//! `deskgrid cache`: what Deskgrid keeps on this disk and in the engine, and what of it goes. Asks the running server,
//! which alone knows what jobs still need.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use deskgrid_job::Time;
use deskgrid_server::settings::{Key, Overrides, SettingsSource};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::error::CliError;
use crate::words;

/// Characters of a name that are shown.
const LONGEST: usize = 60;

/// Show and remove what is kept: results, files, build contexts, images, job caches
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Listed are results, files that no result refers to (blob), logs, downloads that images are built
from (context), images that Deskgrid pulled or built, and the volumes at /job-cache (jobcache).
Never listed and never removed: images, containers and volumes that Deskgrid did not bring, what
waiting or running jobs need, what you keep (pinned in the window), and what the engine's own
builder keeps (see `docker builder prune`).

Examples:
  deskgrid cache                                    what is kept, the biggest first
  deskgrid cache prune --older-than 30d --dry-run   what would go, and how much that frees
  deskgrid cache prune --older-than 30d
  deskgrid cache delete image python:3.12-slim")]
pub(crate) struct Cache {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: ServerArgs,
    /// Data folder of the server, when the settings do not name it
    #[arg(long, value_name = "DIR", global = true)]
    data_directory: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is kept, the biggest first
    List {
        /// As JSON, with all that is known of each
        #[arg(long)]
        json: bool,
    },
    /// Remove what was not used for some time, or everything that nobody needs; job caches stay
    Prune {
        /// Only what was last used so long ago: 30d, 12h, 90m
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Option<Duration>,
        /// Say what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove one thing
    Delete {
        /// What it is: result, blob, log, context, image or jobcache
        kind: String,
        /// Its id in the list, or the first letters of it
        id: String,
        /// Say what would become free, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Cache {
    /// Lists or removes.
    pub(crate) async fn execute(self) -> Result<ExitCode, CliError> {
        let folder = self.data_directory.iter().cloned().collect();
        let flags = Overrides::from_flags(&[(Key::DataDirectory, folder)])?;
        let settings = SettingsSource::new(None, flags)?.load()?;
        let token = deskgrid_server::token(&settings.data_directory)
            .map_err(|error| CliError::Usage(format!("The token cannot be read: {error}.")))?;
        let client = Client::new_with(&self.server, settings.port)?.with_token(token);
        match self.action.unwrap_or(Action::List { json: false }) {
            Action::List { json } => list(&client, json).await,
            Action::Prune { older_than, dry_run } => prune(&client, older_than, dry_run).await,
            Action::Delete { kind, id, dry_run } => delete(&client, &kind, &id, dry_run).await,
        }
    }
}

/// Reads `30d`, `12h`, `90m`, `45s` or `2w`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no age. Write a whole number with s, m, h, d or w, such as 30d.");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// What the server says of the cache.
#[derive(Deserialize)]
struct Holdings {
    disk: Used,
    engine: Used,
    limit: Limit,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Used {
    used: u64,
}

#[derive(Deserialize)]
struct Limit {
    bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    kind: String,
    id: String,
    name: String,
    bytes: u64,
    last_used: Option<u64>,
    #[serde(default)]
    jobs: Vec<String>,
    #[serde(default)]
    job_count: usize,
    origin: Option<String>,
    why: Option<String>,
}

/// What went or would go.
#[derive(Deserialize)]
struct Removed {
    freed: Freed,
    list: Vec<Item>,
    items: usize,
}

#[derive(Deserialize)]
struct Freed {
    disk: u64,
    engine: u64,
    certainty: Certainty,
}

/// How well the number of the engine is known.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Certainty {
    Exact,
    AtLeast,
    About,
}

async fn list(client: &Client, as_json: bool) -> Result<ExitCode, CliError> {
    const DOING: &str = "Asking what is kept";
    if as_json {
        let all: Value = client.admin_get(DOING, &["api", "cache"]).await?;
        println!("{all:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let all: Holdings = client.admin_get(DOING, &["api", "cache"]).await?;
    print!("{}{}", table(&all.items, Time::now()), sums(&all));
    Ok(ExitCode::SUCCESS)
}

async fn prune(client: &Client, older_than: Option<Duration>, dry_run: bool) -> Result<ExitCode, CliError> {
    let age = older_than.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    let body = json!({ "olderThan": age, "dryRun": dry_run, "atOnce": true });
    let removed: Removed = client.admin_post("Pruning the cache", &["api", "cache", "prune"], &body).await?;
    print!("{}", told(&removed, dry_run, Time::now()));
    Ok(ExitCode::SUCCESS)
}

async fn delete(client: &Client, kind: &str, id: &str, dry_run: bool) -> Result<ExitCode, CliError> {
    let all: Holdings = client.admin_get("Asking what is kept", &["api", "cache"]).await?;
    let id = find(&all.items, kind, id)?;
    let body = json!({ "items": [{ "kind": kind, "id": id }], "dryRun": dry_run, "atOnce": true });
    let removed: Removed = client.admin_post("Deleting", &["api", "cache", "delete"], &body).await?;
    print!("{}", told(&removed, dry_run, Time::now()));
    Ok(ExitCode::SUCCESS)
}

/// The whole id of the one thing that begins like this. Lists are not endless: what is in none is asked for as it is.
fn find<'a>(items: &'a [Item], kind: &str, id: &'a str) -> Result<&'a str, CliError> {
    let of_kind = || items.iter().filter(|item| item.kind == kind).map(|item| item.id.as_str());
    if let Some(exact) = of_kind().find(|known| *known == id) {
        return Ok(exact);
    }
    let mut like_it = of_kind().filter(|known| known.starts_with(id));
    match (like_it.next(), like_it.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(CliError::Usage(format!(
            "More than one {kind} begins with {id:?}. Write more of it; `deskgrid cache list --json` has the whole ids."
        ))),
        (None, _) => Ok(id),
    }
}

/// One line for each, and why some of them cannot go.
fn table(items: &[Item], now: Time) -> String {
    let ids: Vec<_> = items.iter().map(shown_id).collect();
    let width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).max(2);
    let mut text = format!(
        "{:<8}  {:>9}  {:<14}  {:<16}  {:<width$}  NAME\n",
        "KIND", "SIZE", "LAST USED", "JOBS", "ID"
    );
    for (item, id) in items.iter().zip(&ids) {
        let kind = item.origin.as_deref().map_or(item.kind.as_str(), |origin| match origin {
            "built" => "image*",
            _ => "image",
        });
        let used = item.last_used.map_or_else(|| "unknown".to_owned(), |at| ago(now.since(Time(at))));
        let why = item.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let name = if item.name == *id { "" } else { &item.name };
        let name: String = name.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
        let line = format!(
            "{kind:<8}  {:>9}  {used:<14}  {:<16}  {id:<width$}  {name}{why}",
            words::size(item.bytes),
            users(item),
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Hashes are shortened, names are not.
fn shown_id(item: &Item) -> String {
    let is_hash = item.id.len() == 64 && item.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { words::short(&item.id).to_owned() } else { item.id.clone() }
}

fn users(item: &Item) -> String {
    match (item.jobs.first(), item.job_count) {
        (None, _) => "-".to_owned(),
        (Some(first), 0 | 1) => words::short(first).to_owned(),
        (Some(first), count) => format!("{} +{}", words::short(first), count - 1),
    }
}

fn ago(time: Duration) -> String {
    match time.as_secs() / (24 * 60 * 60) {
        0 => format!("{} ago", words::time(time)),
        days => format!("{} ago", words::count(usize::try_from(days).unwrap_or(usize::MAX), "day")),
    }
}

fn sums(all: &Holdings) -> String {
    let built = all.items.iter().any(|item| item.origin.as_deref() == Some("built"));
    let mark = if built { "* built here\n" } else { "" };
    format!(
        "{mark}On this disk       {} of at most {}\nInside the engine  {}\n",
        words::size(all.disk.used),
        words::size(all.limit.bytes),
        words::size(all.engine.used),
    )
}

fn told(removed: &Removed, dry_run: bool, now: Time) -> String {
    if removed.items == 0 {
        return "Nothing to remove.\n".to_owned();
    }
    let Freed { disk, engine, certainty } = removed.freed;
    let (verb, frees) = if dry_run { ("would go", "It would free") } else { ("went", "Freed") };
    let how_sure = match certainty {
        Certainty::Exact => "",
        Certainty::AtLeast => "at least ",
        Certainty::About => "about ",
    };
    format!(
        "{}{} {verb}. {frees} {} on this disk, {how_sure}{} inside the engine.\n",
        table(&removed.list, now),
        words::count(removed.items, "thing"),
        words::size(disk),
        words::size(engine),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, id: &str, jobs: &[&str]) -> Item {
        Item {
            kind: kind.to_owned(),
            id: id.to_owned(),
            name: "echo 1".to_owned(),
            bytes: 2048,
            last_used: Some(1000),
            jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
            job_count: jobs.len(),
            origin: None,
            why: None,
        }
    }

    #[test]
    fn ages_are_read_in_each_unit() {
        let seconds = |text| age(text).map(|age| age.as_secs());
        assert_eq!(
            ["45s", "90m", "12h", "30d", "2w"].map(seconds),
            [45, 5400, 43200, 2_592_000, 1_209_600].map(Ok)
        );
        for wrong in ["", "d", "30", "3.5d", "-1d", "99999999999999999999w", "30ü", "18446744073709551615w"]
        {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_thing_is_found_by_the_beginning_of_its_id() {
        let items = [item("result", "abc1", &[]), item("result", "abc2", &[]), item("image", "abc", &[])];
        assert_eq!(find(&items, "result", "abc1").unwrap(), "abc1");
        assert_eq!(find(&items, "image", "a").unwrap(), "abc");
        assert!(find(&items, "result", "abc").unwrap_err().to_string().contains("More than one"));
        assert_eq!(find(&items, "blob", "zzz").unwrap(), "zzz");
    }

    #[test]
    fn the_list_says_what_it_is_how_large_and_who_uses_it() {
        let hash = "a".repeat(64);
        let image = Item {
            origin: Some("built".to_owned()),
            why: Some("A container uses it".to_owned()),
            ..item("image", "x:1", &["j1", "j2"])
        };
        let text = table(&[item("result", &hash, &["job"]), image], Time(61_000));
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "result 2.0 KB 1 min 0 s ago job aaaaaaaaaaaa echo 1");
        assert_eq!(lines[2], "image* 2.0 KB 1 min 0 s ago j1 +1 x:1 echo 1 (A container uses it)");
    }

    #[test]
    fn both_numbers_are_told() {
        let freed = Freed { disk: 1024, engine: 2048, certainty: Certainty::AtLeast };
        let removed = Removed { freed, list: vec![item("log", "l", &[])], items: 1 };
        let text = told(&removed, true, Time(61_000));
        assert!(
            text.ends_with(
                "1 thing would go. It would free 1.0 KB on this disk, at least 2.0 KB inside the engine.\n"
            ),
            "{text}"
        );
    }
}
