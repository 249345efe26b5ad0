//! Which news become a notification, and what it says: a pure decision. Sending is in [`crate::notify`].

use std::time::Duration;

use crate::click::Click;
use crate::known::{Job, News};
use deskgrid_desktop::text;

/// Of which jobs the person wants to be told that they have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Of none.
    Off,
    /// Of those that took long.
    #[default]
    Long,
    /// Of all.
    All,
}

impl Wish {
    /// The wish by its name in the settings; the usual one for a name of a newer version.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "off" => Self::Off,
            "all" => Self::All,
            _ => Self::Long,
        }
    }
}

/// From here on a job is long: nobody sat and waited for it.
const LONG: Duration = Duration::from_secs(60);

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) body: String,
    /// What a click on it does.
    pub(crate) click: Click,
    /// Buttons on it, where the system shows any.
    pub(crate) buttons: Vec<(&'static str, Click)>,
}

/// The notification for `news`, if there is to be one. That a job has ended is seen in a window that one is working
/// with, and only who wants to is told of it. What waits for the person is told always.
pub(crate) fn notice(news: &News, wish: Wish, window_has_focus: bool) -> Option<Notice> {
    match news {
        News::Asks(origin) => Some(Notice {
            title: text::asks_title(origin),
            body: text::asks_body(origin),
            click: Click::OpenWindow,
            buttons: vec![
                (text::ALLOW, Click::Allow(origin.clone())),
                (text::BLOCK, Click::Block(origin.clone())),
            ],
        }),
        News::Ended(_) if window_has_focus => None,
        News::Ended(job) => ended(job, wish),
        News::EngineLost(words) => Some(plain(text::ENGINE_LOST, words)),
        News::EngineFound => Some(plain(text::ENGINE_FOUND, text::ENGINE_FOUND_BODY)),
    }
}

/// Said when a click did not do what it should.
pub(crate) fn failed(words: &str) -> Notice {
    plain(text::FAILED, words)
}

/// Said when the window did not open, or broke.
pub(crate) fn no_window(words: &str) -> Notice {
    plain(text::NO_WINDOW, words)
}

/// Said when the app could not start.
pub(crate) fn not_started(words: &str) -> Notice {
    plain(text::NOT_STARTED, words)
}

/// Said once: when the window is closed for the first time.
pub(crate) fn stays() -> Notice {
    plain(text::STAYS_TITLE, text::STAYS_BODY)
}

fn ended(job: &Job, wish: Wish) -> Option<Notice> {
    // Whoever cancelled or deleted a job knows.
    let is_success = match job.reason.as_deref() {
        Some("Success") => job.exit_code.is_none_or(|code| code == 0),
        Some("Error" | "TimedOut") => false,
        _ => return None,
    };
    let time = job.duration.map(Duration::from_millis);
    let is_long = time.is_some_and(|time| time >= LONG);
    if wish == Wish::Off || (wish == Wish::Long && !is_long) {
        return None;
    }
    let name = text::job_name(job.image.as_deref(), job.command.as_deref());
    let failure = job.failure.as_ref().map(|failure| failure.message.as_str());
    Some(Notice {
        title: text::ended_title(is_success, time),
        body: text::ended_body(&name, job.exit_code, failure),
        click: Click::open_job(&job.id),
        buttons: Vec::new(),
    })
}

fn plain(title: &str, body: &str) -> Notice {
    Notice { title: title.into(), body: body.into(), click: Click::OpenWindow, buttons: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::tests::job;

    fn over(reason: &str, seconds: u64, code: i64) -> News {
        let mut job: Job = serde_json::from_value(job("a", "finished")).unwrap();
        job.reason = Some(reason.into());
        job.duration = Some(seconds * 1000);
        job.exit_code = Some(code);
        News::Ended(job)
    }

    fn title(news: &News, wish: Wish) -> Option<String> {
        notice(news, wish, false).map(|notice| notice.title)
    }

    #[test]
    fn a_site_that_asks_can_be_answered_on_the_spot() {
        let notice = notice(&News::Asks("https://a.org".into()), Wish::Long, false).unwrap();
        assert_eq!(notice.title, "a.org wants to run jobs on this computer");
        assert_eq!(notice.buttons[0], ("Allow", Click::Allow("https://a.org".into())));
        assert_eq!(notice.buttons[1], ("Block", Click::Block("https://a.org".into())));
    }

    #[test]
    fn long_jobs_are_told_and_short_ones_only_to_who_wants_all() {
        assert_eq!(title(&over("Success", 120, 0), Wish::Long).as_deref(), Some("Job finished after 2 min"));
        assert_eq!(title(&over("Success", 5, 0), Wish::Long), None);
        assert_eq!(title(&over("Success", 5, 0), Wish::All).as_deref(), Some("Job finished"));
        assert_eq!(title(&over("Success", 90, 2), Wish::Long).as_deref(), Some("Job failed after 1 min"));
        assert_eq!(title(&over("TimedOut", 90, 137), Wish::Long).as_deref(), Some("Job failed after 1 min"));
    }

    #[test]
    fn what_the_person_did_or_sees_is_not_told() {
        assert_eq!(title(&over("Cancelled", 120, 137), Wish::All), None);
        assert_eq!(notice(&over("Success", 120, 0), Wish::All, true), None);
        assert_eq!(title(&over("Success", 120, 0), Wish::Off), None);
    }

    #[test]
    fn what_waits_for_the_person_is_told_whatever_they_want_to_know_of_jobs() {
        let lost = News::EngineLost("It does not run.".into());
        for news in [News::Asks("https://a.org".into()), lost, News::EngineFound] {
            for (wish, has_focus) in [(Wish::Off, false), (Wish::Long, true), (Wish::Off, true)] {
                assert!(notice(&news, wish, has_focus).is_some(), "{news:?} {wish:?} {has_focus}");
            }
        }
    }

    #[test]
    fn a_click_on_the_end_of_a_job_shows_it() {
        assert_eq!(notice(&over("Success", 120, 0), Wish::Long, false).unwrap().click, Click::open_job("a"));
    }
}
