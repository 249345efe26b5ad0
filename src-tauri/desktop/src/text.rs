//! Every word that the tray, its menu, the notifications and the window around the page say, in one place so that it can
//! be translated. The page has its own, errors carry theirs, and what went wrong inside Deskgrid comes from Deskgrid itself.

#![allow(missing_docs, reason = "the words say what they are")]

use std::path::Path;
use std::time::Duration;

pub const NAME: &str = "Deskgrid";

pub const STARTING: &str = "Starting …";
pub const STOPPED: &str = "Stopped – web pages cannot run jobs";
pub const LEAVING: &str = "Quitting …";

pub const IS_LEAVING: &str = "Deskgrid is just quitting. Start it again in a moment.";

pub const RUNS_ALREADY: &str = "Deskgrid is running already; here is its window.";
pub const RUNS_WITHOUT_ICON: &str =
    "Deskgrid is running already, without an icon (deskgrid serve); here is its window.";
pub const JOBS_RUN: &str = "Jobs are running";
pub const CHOOSE_FOLDER: &str = "Choose a folder";

pub const START: &str = "Start";
pub const STOP: &str = "Stop";
pub const LET_FINISH: &str = "Let running jobs finish";
pub const CANCEL_RUNNING: &str = "Cancel running jobs";
pub const OPEN: &str = "Open";
pub const CANCEL: &str = "Cancel";
pub const ALLOW: &str = "Allow";
pub const ALLOW_ONCE: &str = "Allow once";
pub const BLOCK: &str = "Block";
pub const OPEN_WINDOW: &str = "Open window";
pub const OPEN_BROWSER: &str = "Open in browser";
pub const COPY_ADDRESS: &str = "Copy address";
pub const START_AT_LOGIN: &str = "Start at login";
pub const QUIT: &str = "Quit";
pub const FINISH_AND_QUIT: &str = "Let them finish, then quit";
pub const CANCEL_AND_QUIT: &str = "Cancel them and quit";
pub const KEEP_AND_QUIT: &str = "Quit and keep them running";
pub const DO_NOT_QUIT: &str = "Do not quit";
pub const TRY_AGAIN: &str = "Try again";

pub const STAYS_TITLE: &str = "Deskgrid keeps running";
pub const STAYS_BODY: &str = "It stays in the tray, so that web pages can run their jobs. Quit it there.";
pub const ENGINE_LOST: &str = "The container engine is gone";
pub const ENGINE_FOUND: &str = "The container engine is back";
pub const ENGINE_FOUND_BODY: &str = "Waiting jobs go on.";
pub const FAILED: &str = "That did not work";
pub const NO_WINDOW: &str = "There is no window";
pub const NOT_STARTED: &str = "Deskgrid could not start";

pub const NO_DISPLAY: &str = "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so the Deskgrid \
                              app cannot show itself. Start it on a desktop, or run `deskgrid serve`, which needs none.";

/// Longer lines make the menu of some systems wider than the screen.
const MOST_LABEL: usize = 48;
/// A status line may say more.
const MOST_STATUS: usize = 90;

/// The data folder is on its way.
pub fn moving(to: &Path) -> String {
    status(&format!("Moving the data to {} …", to.display()))
}

/// Why the data folder is where it was, after all.
pub fn not_usable(to: &Path, words: &str) -> String {
    format!("The data could not be used in {}, so they are where they were. {words}", to.display())
}

/// `2 jobs`, `1 job`.
fn jobs(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// The status line of a running server.
pub fn running(address: &str, running: usize, waiting: usize) -> String {
    let host = address.trim_start_matches("http://");
    match (running, waiting) {
        (0, 0) => format!("Running at {host}"),
        (0, waiting) => format!("Running at {host} · {} waiting", jobs(waiting)),
        (running, 0) => format!("Running at {host} · {}", jobs(running)),
        (running, waiting) => format!("Running at {host} · {}, {waiting} waiting", jobs(running)),
    }
}

/// The status line of a stopped server that still has jobs to finish.
pub fn stopping(running: usize) -> String {
    format!("Stopped – {} still running", jobs(running))
}

/// The status line while the app waits for jobs before it leaves.
pub fn quitting(running: usize) -> String {
    format!(
        "Quits when {} finished",
        if running == 1 { "1 job has".into() } else { format!("{running} jobs have") }
    )
}

/// The status line while sites ask.
pub fn asking(origins: &[String]) -> String {
    match origins {
        [origin] => status(&format!("{} waits for your answer", host(origin))),
        origins => format!("{} sites wait for your answer", origins.len()),
    }
}

/// The heading of a site that asks.
pub fn asks(origin: &str) -> String {
    shortened(&format!("{} asks to run jobs", host(origin)), MOST_LABEL)
}

/// The line of a running job.
pub fn job(image: Option<&str>, command: Option<&str>, time: Option<Duration>) -> String {
    let name = shortened(&job_name(image, command), MOST_LABEL);
    time.map_or(name.clone(), |time| format!("{name} · {}", self::time(time)))
}

/// A name for a job that a person recognises.
pub fn job_name(image: Option<&str>, command: Option<&str>) -> String {
    let image = image.map_or("its own image", short_image);
    match command.map(str::trim).filter(|command| !command.is_empty()) {
        Some(command) => format!("{image}: {}", one_line(command)),
        None => image.to_owned(),
    }
}

/// How long something took or has taken so far; coarse, so that it changes rarely.
pub fn time(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "less than a minute".to_owned(),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The title of the notification that a site asks.
pub fn asks_title(origin: &str) -> String {
    format!("{} wants to run jobs on this computer", host(origin))
}

/// What follows from the answer.
pub fn asks_body(origin: &str) -> String {
    format!("{origin} may then start containers here. Allow only sites that you trust.")
}

/// The title of the notification that a job is over.
pub fn ended_title(is_success: bool, time: Option<Duration>) -> String {
    let what = if is_success { "Job finished" } else { "Job failed" };
    time.filter(|time| time.as_secs() >= 60)
        .map_or(what.to_owned(), |time| format!("{what} after {}", self::time(time)))
}

/// What it was, and why it failed.
pub fn ended_body(name: &str, exit_code: Option<i64>, failure: Option<&str>) -> String {
    match (failure, exit_code) {
        (Some(failure), _) => format!("{name}\n{failure}"),
        (None, Some(code)) if code != 0 => format!("{name}\nExit code {code}"),
        _ => name.to_owned(),
    }
}

/// The display of this session, as these variables name it, does not answer.
pub fn no_answer(variables: &str) -> String {
    format!(
        "The display does not answer ({variables}), so the Deskgrid app cannot show itself. Start it on a desktop where \
         you are logged in, or run `deskgrid serve`, which needs no display."
    )
}

/// Another Deskgrid is there, and cannot show itself.
pub fn runs_without_window(problem: &str) -> String {
    format!("Deskgrid is running already, but its window does not open: {problem}")
}

pub fn window_not_opened(problem: &str) -> String {
    format!("The window could not be opened: {problem}")
}

pub fn window_not_shown(problem: &str) -> String {
    format!("The window could not be shown: {problem}")
}

pub fn window_not_forward(problem: &str) -> String {
    format!("The window could not be brought forward: {problem}")
}

/// A chosen place whose name the page cannot hold.
pub fn no_text(place: &Path) -> String {
    format!("{} cannot be used: its name is no text.", place.display())
}

/// A chosen place that is on no disk.
pub fn no_place(problem: &str) -> String {
    format!("This place cannot be used: {problem}.")
}

pub fn no_downloads(problem: &str) -> String {
    format!("There is no downloads folder: {problem}.")
}

/// The name of a file that would be saved elsewhere than where it is shown.
pub fn leads_out(name: &str) -> String {
    format!("\"{name}\" cannot be saved: its name leads out of its folder.")
}

pub fn not_written(place: &Path, problem: &str) -> String {
    format!("{} could not be written: {problem}.", place.display())
}

/// The page asks for what the window does not know.
pub fn no_method(name: &str) -> String {
    format!("The app does not know the method {name}. Please report this.")
}

pub fn no_browser_for(address: &str, problem: &str) -> String {
    format!("No browser opened {address}: {problem}.")
}

pub fn no_web_page(address: &str) -> String {
    format!("\"{address}\" is not the address of a web page.")
}

/// No browser opened.
pub fn no_browser(problem: &str) -> String {
    format!("No browser opened: {problem}. Copy the address from the menu and open it yourself.")
}

/// The address could not be copied.
pub fn no_clipboard(problem: &str) -> String {
    format!("The address could not be copied: {problem}.")
}

/// A problem as a status line.
pub fn status(words: &str) -> String {
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
