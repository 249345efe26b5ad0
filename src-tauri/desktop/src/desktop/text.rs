//! Every word that the tray, its menu and the notifications say, in one place so that it can be translated. Words
//! about what went wrong inside Deskgrid come from Deskgrid itself.

use std::path::Path;
use std::time::Duration;

pub(crate) const NAME: &str = "Deskgrid";

pub(crate) const STARTING: &str = "Starting …";
pub(crate) const STOPPED: &str = "Stopped – web pages cannot run jobs";
pub(crate) const LEAVING: &str = "Quitting …";

pub(crate) const IS_LEAVING: &str = "Deskgrid is just quitting. Start it again in a moment.";

pub(crate) const START: &str = "Start";
pub(crate) const STOP: &str = "Stop";
pub(crate) const LET_FINISH: &str = "Let running jobs finish";
pub(crate) const CANCEL_RUNNING: &str = "Cancel running jobs";
pub(crate) const OPEN: &str = "Open";
pub(crate) const CANCEL: &str = "Cancel";
pub(crate) const ALLOW: &str = "Allow";
pub(crate) const ALLOW_ONCE: &str = "Allow once";
pub(crate) const BLOCK: &str = "Block";
pub(crate) const OPEN_WINDOW: &str = "Open window";
pub(crate) const OPEN_BROWSER: &str = "Open in browser";
pub(crate) const COPY_ADDRESS: &str = "Copy address";
pub(crate) const START_AT_LOGIN: &str = "Start at login";
pub(crate) const QUIT: &str = "Quit";
pub(crate) const FINISH_AND_QUIT: &str = "Let them finish, then quit";
pub(crate) const CANCEL_AND_QUIT: &str = "Cancel them and quit";
pub(crate) const KEEP_AND_QUIT: &str = "Quit and keep them running";
pub(crate) const DO_NOT_QUIT: &str = "Do not quit";
pub(crate) const TRY_AGAIN: &str = "Try again";

pub(crate) const STAYS_TITLE: &str = "Deskgrid keeps running";
pub(crate) const STAYS_BODY: &str =
    "It stays in the tray, so that web pages can run their jobs. Quit it there.";
pub(crate) const ENGINE_LOST: &str = "The container engine is gone";
pub(crate) const ENGINE_FOUND: &str = "The container engine is back";
pub(crate) const ENGINE_FOUND_BODY: &str = "Waiting jobs go on.";
pub(crate) const FAILED: &str = "That did not work";
pub(crate) const NO_WINDOW: &str = "There is no window";
pub(crate) const NOT_STARTED: &str = "Deskgrid could not start";

/// Longer lines make the menu of some systems wider than the screen.
const MOST_LABEL: usize = 48;
/// A status line may say more.
const MOST_STATUS: usize = 90;

/// The data folder is on its way.
pub(crate) fn moving(to: &Path) -> String {
    status(&format!("Moving the data to {} …", to.display()))
}

/// Why the data folder is where it was, after all.
pub(crate) fn not_usable(to: &Path, words: &str) -> String {
    format!("The data could not be used in {}, so they are where they were. {words}", to.display())
}

/// `2 jobs`, `1 job`.
fn jobs(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// The status line of a running server.
pub(crate) fn running(address: &str, running: usize, waiting: usize) -> String {
    let host = address.trim_start_matches("http://");
    match (running, waiting) {
        (0, 0) => format!("Running at {host}"),
        (0, waiting) => format!("Running at {host} · {} waiting", jobs(waiting)),
        (running, 0) => format!("Running at {host} · {}", jobs(running)),
        (running, waiting) => format!("Running at {host} · {}, {waiting} waiting", jobs(running)),
    }
}

/// The status line of a stopped server that still has jobs to finish.
pub(crate) fn stopping(running: usize) -> String {
    format!("Stopped – {} still running", jobs(running))
}

/// The status line while the app waits for jobs before it leaves.
pub(crate) fn quitting(running: usize) -> String {
    format!(
        "Quits when {} finished",
        if running == 1 { "1 job has".into() } else { format!("{running} jobs have") }
    )
}

/// The status line while sites ask.
pub(crate) fn asking(origins: &[String]) -> String {
    match origins {
        [origin] => status(&format!("{} waits for your answer", host(origin))),
        origins => format!("{} sites wait for your answer", origins.len()),
    }
}

/// The heading of a site that asks.
pub(crate) fn asks(origin: &str) -> String {
    shortened(&format!("{} asks to run jobs", host(origin)), MOST_LABEL)
}

/// The line of a running job.
pub(crate) fn job(image: Option<&str>, command: Option<&str>, time: Option<Duration>) -> String {
    let name = shortened(&job_name(image, command), MOST_LABEL);
    time.map_or(name.clone(), |time| format!("{name} · {}", self::time(time)))
}

/// A name for a job that a person recognises.
pub(crate) fn job_name(image: Option<&str>, command: Option<&str>) -> String {
    let image = image.map_or("its own image", short_image);
    match command.map(str::trim).filter(|command| !command.is_empty()) {
        Some(command) => format!("{image}: {}", one_line(command)),
        None => image.to_owned(),
    }
}

/// How long something took or has taken so far; coarse, so that it changes rarely.
pub(crate) fn time(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "less than a minute".to_owned(),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The title of the notification that a site asks.
pub(crate) fn asks_title(origin: &str) -> String {
    format!("{} wants to run jobs on this computer", host(origin))
}

/// What follows from the answer.
pub(crate) fn asks_body(origin: &str) -> String {
    format!("{origin} may then start containers here. Allow only sites that you trust.")
}

/// The title of the notification that a job is over.
pub(crate) fn ended_title(is_success: bool, time: Option<Duration>) -> String {
    let what = if is_success { "Job finished" } else { "Job failed" };
    time.filter(|time| time.as_secs() >= 60)
        .map_or(what.to_owned(), |time| format!("{what} after {}", self::time(time)))
}

/// What it was, and why it failed.
pub(crate) fn ended_body(name: &str, exit_code: Option<i64>, failure: Option<&str>) -> String {
    match (failure, exit_code) {
        (Some(failure), _) => format!("{name}\n{failure}"),
        (None, Some(code)) if code != 0 => format!("{name}\nExit code {code}"),
        _ => name.to_owned(),
    }
}

/// No browser opened.
pub(crate) fn no_browser(problem: &str) -> String {
    format!("No browser opened: {problem}. Copy the address from the menu and open it yourself.")
}

/// The address could not be copied.
pub(crate) fn no_clipboard(problem: &str) -> String {
    format!("The address could not be copied: {problem}.")
}

/// A problem as a status line.
pub(crate) fn status(words: &str) -> String {
    shortened(&one_line(words), MOST_STATUS)
}

/// Registry and library folders only make names longer; a digest tells a person nothing.
fn short_image(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    image.rsplit('/').next().unwrap_or(image)
}

fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{} …", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_counts() {
        let address = "http://localhost:8000";
        assert_eq!(running(address, 0, 0), "Running at localhost:8000");
        assert_eq!(running(address, 1, 0), "Running at localhost:8000 · 1 job");
        assert_eq!(running(address, 2, 3), "Running at localhost:8000 · 2 jobs, 3 waiting");
        assert_eq!(quitting(1), "Quits when 1 job has finished");
    }

    #[test]
    fn a_job_has_a_name_that_fits_into_a_menu() {
        let name = job(Some("docker.io/library/python:3.12@sha256:00"), Some("python3  a.py"), None);
        assert_eq!(name, "python:3.12: python3 a.py");
        let long = job(Some("x"), Some(&"ü".repeat(500)), Some(Duration::from_secs(3700)));
        assert!(long.chars().count() < 70 && long.ends_with("… · 1 h 1 min"), "{long}");
        assert_eq!(job(None, None, Some(Duration::ZERO)), "its own image · less than a minute");
    }

    #[test]
    fn a_failure_is_told_with_its_reason() {
        assert_eq!(ended_body("x", Some(3), None), "x\nExit code 3");
        assert_eq!(ended_body("x", Some(1), Some("No such image.")), "x\nNo such image.");
        assert_eq!(ended_title(true, Some(Duration::from_secs(120))), "Job finished after 2 min");
    }
}
