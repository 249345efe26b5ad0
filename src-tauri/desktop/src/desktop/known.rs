//! What the tray knows of Deskgrid: the parts of the administration API's events that it shows or tells of, and a
//! pure step from one event to the next. It asks nobody and shows nothing.

use std::collections::BTreeMap;

use deskgrid_wire::sse::Event;
use serde::Deserialize;

/// Whether the port is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Doors {
    /// Web pages reach Deskgrid.
    Open,
    /// The person stopped it.
    Closed,
    /// It could not be opened.
    Blocked,
}

/// Something that is wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    pub(crate) words: String,
}

/// The container engine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Engine {
    pub(crate) ready: bool,
    pub(crate) words: String,
}

/// How many jobs there are, and sites that ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) asking: usize,
}

/// What Deskgrid says of this very app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShellState {
    pub(crate) start_at_login: Option<bool>,
}

/// The whole state of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Desk {
    pub(crate) doors: Doors,
    pub(crate) problem: Option<Problem>,
    #[serde(default)]
    pub(crate) notices: Vec<Problem>,
    pub(crate) address: String,
    pub(crate) engine: Engine,
    pub(crate) counts: Counts,
    pub(crate) shell: Option<ShellState>,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Queued,
    Running,
    Finished,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: String,
}

/// A job, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<String>,
    pub(crate) started_at: Option<u64>,
    pub(crate) image: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) exit_code: Option<i64>,
    /// Milliseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Changes {
    #[serde(default)]
    changed: Vec<Job>,
    #[serde(default)]
    gone: Vec<String>,
    #[serde(default)]
    whole: bool,
}

/// What happened, for whoever tells the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A job that ran is over.
    Ended(Job),
    /// A site asks for the first time.
    Asks(String),
    /// The engine is gone, in words.
    EngineLost(String),
    /// The engine is back.
    EngineFound,
}

/// What has to be asked for: no event said it, or one said only that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// The running jobs.
    Jobs,
    /// The sites that ask.
    Sites,
    /// Which notifications the person wants.
    Settings,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) desk: Option<Desk>,
    /// The running jobs by id.
    pub(crate) running: BTreeMap<String, Job>,
    /// The origins that ask, oldest first.
    pub(crate) asking: Vec<String>,
    /// The engine was there and went.
    has_lost_engine: bool,
    /// What events said of jobs since a list of them was asked for: the list may be older.
    meanwhile: Option<Vec<Changes>>,
}

/// What an event led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) news: Vec<News>,
    pub(crate) wanted: Vec<Wanted>,
}

impl Known {
    /// Events begin, and nothing that happened before them is told: what has to be asked for.
    pub(crate) fn begin(&mut self) -> [Wanted; 3] {
        [self.want_jobs(), Wanted::Sites, Wanted::Settings]
    }

    fn want_jobs(&mut self) -> Wanted {
        // A list that is asked for now knows all that was told before.
        self.meanwhile = Some(Vec::new());
        Wanted::Jobs
    }

    /// Takes an event in. One that cannot be read is left out: a newer server may say more.
    pub(crate) fn hear(&mut self, event: &Event) -> Heard {
        let data = &event.data;
        match event.name.as_str() {
            "desk" => serde_json::from_str(data).map(|desk| self.hear_desk(desk)).unwrap_or_default(),
            "jobs" => serde_json::from_str(data).map(|changes| self.hear_jobs(changes)).unwrap_or_default(),
            "sites" => Heard { wanted: vec![Wanted::Sites], ..Heard::default() },
            "settings" => Heard { wanted: vec![Wanted::Settings], ..Heard::default() },
            _ => Heard::default(),
        }
    }

    fn hear_desk(&mut self, desk: Desk) -> Heard {
        let mut heard = Heard::default();
        let was_ready = self.desk.as_ref().map(|desk| desk.engine.ready);
        match (was_ready, desk.engine.ready) {
            (Some(true), false) => {
                self.has_lost_engine = true;
                heard.news.push(News::EngineLost(desk.engine.words.clone()));
            }
            // At the start it is only just being looked for.
            (Some(false), true) if std::mem::take(&mut self.has_lost_engine) => {
                heard.news.push(News::EngineFound);
            }
            _ => {}
        }
        self.desk = Some(desk);
        heard
    }

    fn hear_jobs(&mut self, changes: Changes) -> Heard {
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push(changes.clone());
        }
        let is_whole = changes.whole;
        let news = self.follow(changes);
        let wanted = is_whole.then(|| self.want_jobs());
        Heard { news, wanted: wanted.into_iter().collect() }
    }

    /// Goes along with what changed, and gives the jobs that ended.
    fn follow(&mut self, changes: Changes) -> Vec<News> {
        for id in &changes.gone {
            self.running.remove(id);
        }
        let mut news = Vec::new();
        for job in changes.changed {
            if job.phase == Phase::Running {
                self.running.insert(job.id.clone(), job);
            } else if self.running.remove(&job.id).is_some() && job.phase == Phase::Finished {
                news.push(News::Ended(job));
            }
        }
        news
    }

    /// Takes all jobs of a list in, of which those that do not run are left out.
    pub(crate) fn take_jobs(&mut self, jobs: Vec<Job>) {
        let running = jobs.into_iter().filter(|job| job.phase == Phase::Running);
        self.running = running.map(|job| (job.id.clone(), job)).collect();
        for changes in self.meanwhile.take().unwrap_or_default() {
            // What ended was told when it was heard.
            self.follow(changes);
        }
    }

    /// No list comes.
    pub(crate) fn miss_jobs(&mut self) {
        self.meanwhile = None;
    }

    /// Takes the sites that ask in, and tells which did not before.
    pub(crate) fn take_asking(&mut self, asking: Vec<String>) -> Vec<News> {
        let fresh = asking.iter().filter(|origin| !self.asking.contains(origin));
        let news = fresh.map(|origin| News::Asks(origin.clone())).collect();
        self.asking = asking;
        news
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn desk(doors: &str, running: usize, asking: usize, engine: bool) -> Value {
        json!({
            "doors": doors, "problem": null, "address": "http://localhost:8000",
            "engine": {"ready": engine, "words": "The engine does not run."},
            "counts": {"running": running, "waiting": 0, "asking": asking, "finished": 0},
            "shell": {"tray": true, "startAtLogin": false}, "version": "1",
        })
    }

    pub(crate) fn job(id: &str, phase: &str) -> Value {
        json!({
            "id": id, "phase": phase, "reason": null, "queuedAt": 1, "startedAt": 60_000, "endedAt": null,
            "image": "docker.io/library/python:3.12", "command": "python3 analyse.py", "exitCode": null,
            "duration": null, "failure": null,
        })
    }

    pub(crate) fn event(name: &str, data: &Value) -> Event {
        Event { name: name.into(), data: data.to_string() }
    }

    #[test]
    fn a_running_job_that_ends_is_news_and_one_that_never_ran_is_none() {
        let mut known = Known::default();
        known.hear(&event("jobs", &json!({"changed": [job("a", "running")], "gone": []})));
        assert_eq!(known.running.len(), 1);
        let heard =
            known.hear(&event("jobs", &json!({"changed": [job("a", "finished"), job("b", "finished")]})));
        assert!(matches!(heard.news.as_slice(), [News::Ended(job)] if job.id == "a"));
        assert!(known.running.is_empty());
    }

    #[test]
    fn an_engine_that_goes_and_comes_is_news_and_one_that_is_first_found_is_none() {
        let mut known = Known::default();
        let mut hear = |ready| known.hear(&event("desk", &desk("open", 0, 0, ready))).news;
        assert_eq!(hear(false), []);
        assert_eq!(hear(true), []);
        assert_eq!(hear(true), []);
        assert!(
            matches!(hear(false).as_slice(), [News::EngineLost(words)] if words.contains("does not run"))
        );
        assert_eq!(hear(true), [News::EngineFound]);
    }

    fn listed(jobs: &[Value]) -> Vec<Job> {
        jobs.iter().map(|job| serde_json::from_value(job.clone()).unwrap()).collect()
    }

    #[test]
    fn jobs_are_asked_for_when_events_begin_and_when_too_many_changed() {
        let mut known = Known::default();
        assert!(known.begin().contains(&Wanted::Jobs));
        assert_eq!(known.hear(&event("jobs", &json!({"whole": true}))).wanted, [Wanted::Jobs]);
        // The events broke off, and a job ended before they began anew.
        known.take_jobs(listed(&[job("a", "running")]));
        assert!(known.begin().contains(&Wanted::Jobs));
        known.take_jobs(Vec::new());
        assert!(known.running.is_empty());
    }

    #[test]
    fn a_list_of_jobs_takes_nothing_back_that_was_heard_since_it_was_asked_for() {
        let mut known = Known::default();
        known.begin();
        let changes = json!({"changed": [job("ended", "finished"), job("new", "running")], "gone": ["gone"]});
        known.hear(&event("jobs", &changes));
        known.take_jobs(listed(&[job("ended", "running"), job("gone", "running"), job("old", "running")]));
        assert_eq!(known.running.keys().collect::<Vec<_>>(), ["new", "old"]);
        known.hear(&event("jobs", &json!({"changed": [], "gone": ["new"]})));
        known.take_jobs(listed(&[job("old", "running")]));
        assert_eq!(known.running.keys().collect::<Vec<_>>(), ["old"]);
    }

    #[test]
    fn a_site_that_asks_is_news_once() {
        let mut known = Known::default();
        assert_eq!(known.take_asking(vec!["https://a.org".into()]), [News::Asks("https://a.org".into())]);
        assert_eq!(known.take_asking(vec!["https://a.org".into()]), []);
    }

    #[test]
    fn events_of_a_newer_server_are_left_out() {
        let mut known = Known::default();
        known.hear(&event("weather", &json!("rain")));
        known.hear(&event("desk", &json!({"doors": "ajar"})));
        assert_eq!(known, Known::default());
    }
}
