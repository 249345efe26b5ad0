//! What the tray shows: one pure function from what is known to icon, tooltip and menu. It draws nothing; how a menu
//! comes onto a screen is up to the systems in [`crate::tray`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::click::{AtQuit, AtStop, Click};
use crate::known::{Desk, Doors, Job, Known};
use deskgrid_desktop::text;

/// Which picture the tray shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Icon {
    /// Ready for jobs.
    Idle,
    /// So many jobs run.
    Busy(usize),
    /// The port is closed.
    Stopped,
    /// The person has to do something.
    Attention,
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Words that cannot be clicked.
    Words(String),
    /// Something to click, unless it is `greyed`.
    Item { label: String, click: Click, greyed: bool },
    /// Something that is on or off.
    Check { label: String, click: Click, on: bool },
    /// A menu of its own.
    Group { label: String, entries: Vec<Entry> },
    /// A line between others.
    Line,
}

/// Everything that the tray shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) icon: Icon,
    /// Words for the pointer that rests on the icon, and for screen readers.
    pub(crate) status: String,
    pub(crate) entries: Vec<Entry>,
}

/// More running jobs than this are counted only: the menu must fit on the screen.
const MOST_JOBS: usize = 8;
/// The same for sites that ask.
const MOST_SITES: usize = 5;

/// Where the app itself stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Deskgrid is being opened.
    Starting,
    /// It could not be opened, in words.
    Failed(String),
    /// It is open.
    Open,
    /// It waits for running jobs before it leaves.
    Finishing {
        /// The port was not shut by the person before, so it opens again when the leaving is called off.
        reopens: bool,
    },
    /// Its data are on their way to this folder.
    Moving(PathBuf),
}

/// What to show at the time `now`, in milliseconds since 1970.
pub(crate) fn view(standing: &Standing, known: &Known, now: u64) -> View {
    match (standing, &known.desk) {
        (Standing::Failed(words), _) => failed(words),
        (Standing::Moving(to), _) => moving(to),
        (Standing::Open, Some(desk)) => open(desk, known, now),
        (Standing::Finishing { .. }, Some(desk)) => finishing(desk, known, now),
        _ => starting(),
    }
}

/// What to show while everything closes.
pub(crate) fn leaving() -> View {
    View {
        icon: Icon::Stopped,
        status: text::LEAVING.into(),
        entries: vec![Entry::Words(text::LEAVING.into())],
    }
}

fn starting() -> View {
    let entries =
        vec![Entry::Words(text::STARTING.into()), Entry::Line, item(text::QUIT, Click::Quit(AtQuit::Keep))];
    View { icon: Icon::Idle, status: text::STARTING.into(), entries }
}

fn moving(to: &Path) -> View {
    let status = text::moving(to);
    View { icon: Icon::Stopped, entries: vec![Entry::Words(status.clone())], status }
}

fn failed(words: &str) -> View {
    let status = text::status(words);
    let entries = vec![
        Entry::Words(text::NOT_STARTED.into()),
        Entry::Words(status.clone()),
        Entry::Line,
        item(text::TRY_AGAIN, Click::TryAgain),
        item(text::QUIT, Click::Quit(AtQuit::Keep)),
    ];
    View { icon: Icon::Attention, status, entries }
}

fn finishing(desk: &Desk, known: &Known, now: u64) -> View {
    let status = text::quitting(desk.counts.running);
    let mut entries = vec![Entry::Words(status.clone()), Entry::Line];
    entries.extend(jobs(known, now));
    entries.extend([
        Entry::Line,
        item(text::OPEN_WINDOW, Click::OpenWindow),
        item(text::DO_NOT_QUIT, Click::Stay),
        item(text::CANCEL_AND_QUIT, Click::Quit(AtQuit::Cancel)),
        item(text::KEEP_AND_QUIT, Click::Quit(AtQuit::Keep)),
    ]);
    View { icon: Icon::Busy(desk.counts.running), status, entries }
}

fn open(desk: &Desk, known: &Known, now: u64) -> View {
    let status = status(desk, known);
    let mut entries = vec![Entry::Words(status.clone()), start_or_stop(desk)];
    for part in [sites(known), jobs(known, now), ways_in(desk), vec![login(desk), quit(desk)]] {
        if !part.is_empty() {
            entries.push(Entry::Line);
            entries.extend(part);
        }
    }
    View { icon: icon(desk, known), status, entries }
}

fn icon(desk: &Desk, known: &Known) -> Icon {
    let needs_person = desk.doors == Doors::Blocked || !known.asking.is_empty();
    match desk.doors {
        _ if needs_person => Icon::Attention,
        Doors::Open if !desk.engine.ready || !desk.notices.is_empty() => Icon::Attention,
        _ if desk.counts.running > 0 => Icon::Busy(desk.counts.running),
        Doors::Closed => Icon::Stopped,
        _ => Icon::Idle,
    }
}

/// Says first what the icon calls for attention for.
fn status(desk: &Desk, known: &Known) -> String {
    match desk.doors {
        Doors::Blocked => desk
            .problem
            .as_ref()
            .map_or_else(|| text::NOT_STARTED.into(), |problem| text::status(&problem.words)),
        _ if !known.asking.is_empty() => text::asking(&known.asking),
        Doors::Closed if desk.counts.running > 0 => text::stopping(desk.counts.running),
        Doors::Closed => text::STOPPED.into(),
        Doors::Open if !desk.engine.ready => text::status(&desk.engine.words),
        Doors::Open => match desk.notices.first() {
            Some(notice) => text::status(&notice.words),
            None => text::running(&desk.address, desk.counts.running, desk.counts.waiting),
        },
    }
}

fn start_or_stop(desk: &Desk) -> Entry {
    match desk.doors {
        Doors::Blocked => item(text::TRY_AGAIN, Click::Start),
        Doors::Closed => item(text::START, Click::Start),
        Doors::Open if desk.counts.running == 0 => item(text::STOP, Click::Stop(AtStop::Finish)),
        Doors::Open => Entry::Group {
            label: text::STOP.into(),
            entries: vec![
                item(text::LET_FINISH, Click::Stop(AtStop::Finish)),
                item(text::CANCEL_RUNNING, Click::Stop(AtStop::Cancel)),
            ],
        },
    }
}

fn sites(known: &Known) -> Vec<Entry> {
    let site = |origin: &String| Entry::Group {
        label: text::asks(origin),
        entries: vec![
            item(text::ALLOW, Click::Allow(origin.clone())),
            item(text::ALLOW_ONCE, Click::AllowOnce(origin.clone())),
            item(text::BLOCK, Click::Block(origin.clone())),
        ],
    };
    known.asking.iter().take(MOST_SITES).map(site).collect()
}

fn jobs(known: &Known, now: u64) -> Vec<Entry> {
    let mut running: Vec<&Job> = known.running.values().collect();
    running.sort_by_key(|job| (job.started_at, &job.id));
    running.into_iter().take(MOST_JOBS).map(|job| job_entry(job, now)).collect()
}

fn job_entry(job: &Job, now: u64) -> Entry {
    let time = job.started_at.map(|start| Duration::from_millis(now.saturating_sub(start)));
    Entry::Group {
        label: text::job(job.image.as_deref(), job.command.as_deref(), time),
        entries: vec![
            item(text::OPEN, Click::open_job(&job.id)),
            item(text::CANCEL, Click::Cancel(job.id.clone())),
        ],
    }
}

fn ways_in(desk: &Desk) -> Vec<Entry> {
    let greyed = desk.doors != Doors::Open;
    vec![
        item(text::OPEN_WINDOW, Click::OpenWindow),
        Entry::Item { label: text::OPEN_BROWSER.into(), click: Click::OpenBrowser, greyed },
        item(text::COPY_ADDRESS, Click::CopyAddress),
    ]
}

fn login(desk: &Desk) -> Entry {
    let label = text::START_AT_LOGIN.into();
    match desk.shell.and_then(|shell| shell.start_at_login) {
        Some(on) => Entry::Check { label, click: Click::StartAtLogin(!on), on },
        None => Entry::Item { label, click: Click::StartAtLogin(true), greyed: true },
    }
}

fn quit(desk: &Desk) -> Entry {
    if desk.counts.running == 0 {
        // A job may start before the click: nobody chose that it goes on without the app.
        return item(text::QUIT, Click::Quit(AtQuit::Finish));
    }
    Entry::Group {
        label: text::QUIT.into(),
        entries: vec![
            item(text::FINISH_AND_QUIT, Click::Quit(AtQuit::Finish)),
            item(text::CANCEL_AND_QUIT, Click::Quit(AtQuit::Cancel)),
            item(text::KEEP_AND_QUIT, Click::Quit(AtQuit::Keep)),
        ],
    }
}

fn item(label: &str, click: Click) -> Entry {
    Entry::Item { label: label.into(), click, greyed: false }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::known::tests::{desk, event, job};

    const NOW: u64 = 60_000 + 125_000;

    fn known(desk: &Value, jobs: &[Value], asking: &[&str]) -> Known {
        let mut known = Known::default();
        known.hear(&event("desk", desk));
        known.hear(&event("jobs", &json!({"changed": jobs, "gone": []})));
        known.asking = asking.iter().map(|&origin| origin.into()).collect();
        known
    }

    fn shown(desk: &Value, jobs: &[Value], asking: &[&str]) -> View {
        view(&Standing::Open, &known(desk, jobs, asking), NOW)
    }

    /// The menu as text: one line an entry, submenus indented.
    fn drawn(entries: &[Entry], indent: &str) -> String {
        let line = |entry: &Entry| match entry {
            Entry::Words(words) => format!("{indent}({words})\n"),
            Entry::Item { label, greyed: true, .. } => format!("{indent}({label})\n"),
            Entry::Item { label, .. } => format!("{indent}{label}\n"),
            Entry::Check { label, on, .. } => format!("{indent}{} {label}\n", if *on { "☑" } else { "☐" }),
            Entry::Group { label, entries } => {
                format!("{indent}{label} ▸\n{}", drawn(entries, &format!("{indent}  ")))
            }
            Entry::Line => format!("{indent}---\n"),
        };
        entries.iter().map(line).collect()
    }

    #[test]
    fn while_the_data_move_there_is_nothing_to_click_on() {
        let view = view(&Standing::Moving("/new".into()), &Known::default(), NOW);
        assert_eq!((view.icon, view.entries.len()), (Icon::Stopped, 1));
        assert!(view.status.contains("/new"), "{}", view.status);
    }

    #[test]
    fn an_idle_server_shows_where_it_is_and_how_to_stop_it() {
        let view = shown(&desk("open", 0, 0, true), &[], &[]);
        assert_eq!(view.icon, Icon::Idle);
        assert_eq!(
            drawn(&view.entries, ""),
            "(Running at localhost:8000)\nStop\n---\nOpen window\nOpen in browser\nCopy address\n---\n\
             ☐ Start at login\nQuit\n"
        );
    }

    #[test]
    fn a_busy_server_shows_its_jobs_and_asks_what_becomes_of_them() {
        let view = shown(&desk("open", 1, 0, true), &[job("a", "running")], &[]);
        assert_eq!(view.icon, Icon::Busy(1));
        assert_eq!(
            drawn(&view.entries, ""),
            "(Running at localhost:8000 · 1 job)\nStop ▸\n  Let running jobs finish\n  Cancel running jobs\n---\n\
             python:3.12: python3 analyse.py · 2 min ▸\n  Open\n  Cancel\n---\nOpen window\nOpen in browser\n\
             Copy address\n---\n☐ Start at login\nQuit ▸\n  Let them finish, then quit\n  Cancel them and quit\n  \
             Quit and keep them running\n"
        );
    }

    #[test]
    fn a_stopped_server_can_be_started_and_shows_no_dashboard() {
        let view = shown(&desk("closed", 0, 0, true), &[], &[]);
        assert_eq!(view.icon, Icon::Stopped);
        let text = drawn(&view.entries, "");
        assert!(text.contains("\nStart\n") && text.contains("(Open in browser)"), "{text}");
        assert!(!text.contains("Stop\n"), "{text}");
    }

    #[test]
    fn what_needs_the_person_shows_on_the_icon() {
        assert_eq!(shown(&desk("open", 0, 0, false), &[], &[]).icon, Icon::Attention);
        let asked = shown(&desk("open", 1, 1, true), &[job("a", "running")], &["https://a.org"]);
        assert_eq!((asked.icon, asked.status.as_str()), (Icon::Attention, "a.org waits for your answer"));
        assert!(
            drawn(&asked.entries, "").contains("a.org asks to run jobs ▸\n  Allow\n  Allow once\n  Block\n")
        );
        let mut blocked = desk("blocked", 0, 0, true);
        blocked["problem"] = json!({"code": "port-taken", "words": "Port 8000 is taken."});
        let blocked = shown(&blocked, &[], &[]);
        assert_eq!((blocked.icon, blocked.status.as_str()), (Icon::Attention, "Port 8000 is taken."));
        assert!(drawn(&blocked.entries, "").contains("\nTry again\n"));
    }

    #[test]
    fn what_is_wrong_with_the_disk_shows_on_the_icon_and_in_the_menu() {
        let mut low = desk("open", 1, 1, true);
        low["notices"] = json!([{"code": "disk-low", "words": "The disk is nearly full."}]);
        let low = shown(&low, &[], &[]);
        assert_eq!((low.icon, low.status.as_str()), (Icon::Attention, "The disk is nearly full."));
    }

    #[test]
    fn a_person_who_stopped_deskgrid_is_not_bothered_about_the_engine() {
        assert_eq!(shown(&desk("closed", 0, 0, false), &[], &[]).icon, Icon::Stopped);
    }

    #[test]
    fn a_start_that_failed_says_why_and_offers_another() {
        let view = view(&Standing::Failed("The settings are wrong.".into()), &Known::default(), NOW);
        assert_eq!(view.icon, Icon::Attention);
        assert_eq!(
            drawn(&view.entries, ""),
            "(Deskgrid could not start)\n(The settings are wrong.)\n---\nTry again\nQuit\n"
        );
    }

    #[test]
    fn while_it_waits_for_jobs_to_quit_it_can_still_be_quit_at_once() {
        let known = known(&desk("closed", 1, 0, true), &[job("a", "running")], &[]);
        let entries = view(&Standing::Finishing { reopens: true }, &known, NOW).entries;
        let text = drawn(&entries, "");
        assert!(text.starts_with("(Quits when 1 job has finished)\n"), "{text}");
        assert!(text.ends_with("Do not quit\nCancel them and quit\nQuit and keep them running\n"), "{text}");
        assert!(entries.contains(&item(text::DO_NOT_QUIT, Click::Stay)));
    }

    #[test]
    fn nothing_changes_within_the_same_minute() {
        let known = known(&desk("open", 1, 0, true), &[job("a", "running")], &[]);
        let at = |now| view(&Standing::Open, &known, now);
        assert_eq!(at(NOW), at(NOW + 50_000));
        assert_ne!(at(NOW), at(NOW + 60_000));
    }

    #[test]
    fn a_thousand_jobs_still_fit_into_the_menu() {
        let many: Vec<_> = (0..1000).map(|number| job(&format!("j{number}"), "running")).collect();
        let view = shown(&desk("open", 1000, 0, true), &many, &[]);
        assert!(view.entries.len() < 25);
    }
}
