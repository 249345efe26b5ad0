//! The state of the whole desk in one value, and its main switch: start, stop, quit.

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use deskgrid_job::phase::Withdrawal;
use deskgrid_job::queue::Released;
use deskgrid_job::{Job, Outlook, Phase};
use deskgrid_worker::Release;
use serde::Deserialize;
use serde_json::{Value, json};

use super::premises::{Complaint, DoorState, JobsAtQuit, Move, Shell};
use super::{refused, understood};
use crate::Site;
use crate::access::Administrator;
use crate::body::JsonText;
use crate::error::HttpError;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/desk", get(desk))
        .route("/api/desk/start", post(start))
        .route("/api/desk/stop", post(stop))
        .route("/api/desk/quit", post(quit))
        .route("/api/desk/stay", post(stay))
        .route("/api/desk/login", put(login))
        .route("/api/desk/window", post(window))
        .route("/api/desk/move", post(move_data))
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RunningJobs {
    Finish,
    Cancel,
    Keep,
}

#[derive(Deserialize)]
struct Ending {
    running: RunningJobs,
}

#[derive(Deserialize)]
struct Login {
    on: bool,
}

#[derive(Deserialize)]
struct Window {
    link: Option<String>,
}

#[derive(Deserialize)]
struct Destination {
    to: String,
}

async fn desk(_: Administrator, State(site): State<Site>) -> Json<Value> {
    Json(state(&site))
}

async fn start(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    // Who wants it to work does not want it gone when what runs now has ended.
    if let Some(shell) = site.shell() {
        shell.stay();
    }
    site.premises().open().await.map_err(refused)?;
    Ok(Json(state(&site)))
}

async fn stop(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Ending { running } = understood(&text)?;
    // First the door: nobody is to submit another job meanwhile, and none that waits is to be started.
    site.premises().close().await;
    if let RunningJobs::Cancel = running {
        cancel_running(&site).await?;
    }
    Ok(Json(state(&site)))
}

async fn quit(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Ending { running } = understood(&text)?;
    shell(&site)?.quit(match running {
        RunningJobs::Finish => JobsAtQuit::Finish,
        RunningJobs::Cancel => JobsAtQuit::Cancel,
        RunningJobs::Keep => JobsAtQuit::Keep,
    });
    Ok(Json(json!({})))
}

/// Calls off that the app leaves when the running jobs have ended. The port is then as it was before.
async fn stay(_: Administrator, State(site): State<Site>) -> Result<Json<Value>, HttpError> {
    shell(&site)?.stay();
    Ok(Json(json!({})))
}

async fn login(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Login { on } = understood(&text)?;
    let shell = shell(&site)?.clone();
    let changed = tokio::task::spawn_blocking(move || shell.start_at_login(on)).await;
    changed.map_err(|_| deskgrid_worker::WorkerError::Stopping)?.map_err(refused)?;
    site.news().shell_changed();
    Ok(Json(state(&site)))
}

async fn window(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Window { link } = understood(&text)?;
    shell(&site)?.open_window(link).map_err(refused)?;
    Ok(Json(json!({})))
}

async fn move_data(
    _: Administrator,
    State(site): State<Site>,
    JsonText(text): JsonText,
) -> Result<Json<Value>, HttpError> {
    let Destination { to } = understood(&text)?;
    let premises = site.premises();
    let was_open = premises.doors() != DoorState::Closed;
    // First the door: no job is to start while we look whether one runs.
    premises.close().await;
    let planned = match is_at_rest(&site) {
        Ok(()) => premises.move_data(to, was_open).await,
        Err(complaint) => Err(complaint),
    };
    if let Err(complaint) = planned {
        if was_open {
            // Why it cannot be opened again, if so, is in the state.
            let _ = premises.open().await;
        }
        return Err(refused(complaint));
    }
    Ok(Json(json!({})))
}

/// Containers of running jobs hold folders of the data folder.
fn is_at_rest(site: &Site) -> Result<(), Complaint> {
    if !site.worker().everything().iter().any(|job| job.phase == Phase::Running) {
        return Ok(());
    }
    let words = "Jobs are running. Let them finish or cancel them, then move the data folder.";
    Err(("jobs-run", words.to_owned()))
}

fn shell(site: &Site) -> Result<&std::sync::Arc<dyn Shell>, HttpError> {
    site.shell().ok_or_else(|| {
        refused((
            "no-shell",
            "This Deskgrid runs without the desktop app, so there is no tray and no window. End it where it was \
             started."
                .to_owned(),
        ))
    })
}

async fn cancel_running(site: &Site) -> Result<(), HttpError> {
    let running = site.worker().everything().into_iter().filter(|job| job.phase == Phase::Running);
    for job in running {
        for outlook in queues(&job) {
            let (slots, why) = (Released::All, Withdrawal::Cancel);
            site.worker().release(Release { id: job.id.clone(), outlook, slots, why }).await?;
        }
    }
    Ok(())
}

/// A program's view of every queue that has the job.
fn queues(job: &Job) -> Vec<Outlook> {
    let mut queues: Vec<_> = job.holds.iter().map(|hold| hold.queue.clone()).collect();
    queues.dedup();
    queues.into_iter().map(Outlook::whole).collect()
}

/// Everything that a window shows around its screens, and a tray in its menu.
pub(super) fn state(site: &Site) -> Value {
    let premises = site.premises();
    let (doors, problem) = told(&premises.doors());
    let (jobs, asking) = (site.worker().everything(), site.invitations().read(|sites| sites.pending().len()));
    let hidden = site.removals().hidden_jobs();
    let is_finished = |job: &&std::sync::Arc<Job>| matches!(job.phase, Phase::Finished(_));
    let is_shown = |job: &&std::sync::Arc<Job>| hidden.get(&job.id) != Some(&job.queued_at);
    let count = |phase| jobs.iter().filter(|job| job.phase == phase).count();
    let capacity = site.worker().offer().borrow().capacity.clone();
    json!({
        "version": site.version(),
        "platform": std::env::consts::OS,
        "doors": doors,
        "problem": problem,
        "notices": super::notices::notices(site),
        "address": site.base_url(),
        "port": site.access().port,
        "engine": engine(site),
        "capacity": {
            "cpuMillis": capacity.cpu_millis,
            // Nobody knows without an engine.
            "memory": (capacity.memory < u64::MAX).then_some(capacity.memory),
            "gpus": capacity.gpus.len(),
        },
        "taken": taken(&jobs),
        "counts": {
            "running": count(Phase::Running),
            "waiting": count(Phase::Queued),
            "asking": asking,
            "finished": jobs.iter().filter(is_finished).filter(is_shown).count(),
        },
        "dataDirectory": premises.data_directory(),
        "settingsFile": premises.settings_file(),
        "shell": site.shell().map(|shell| {
            json!({
                "tray": shell.has_tray(),
                "startAtLogin": shell.starts_at_login(),
                "quitting": *shell.quitting().borrow(),
            })
        }),
        "move": premises.moving().map(|moving| moving_json(&moving)),
    })
}

fn told(doors: &DoorState) -> (&'static str, Option<Value>) {
    match doors {
        DoorState::Open => ("open", None),
        DoorState::Closed => ("closed", None),
        DoorState::Blocked((code, words)) => ("blocked", Some(json!({ "code": code, "words": words }))),
    }
}

fn taken(jobs: &[std::sync::Arc<Job>]) -> Value {
    let running = || jobs.iter().filter(|job| job.phase == Phase::Running).map(|job| &job.needs);
    json!({
        "cpuMillis": running().map(|needs| u64::from(needs.cpu_millis)).sum::<u64>(),
        "memory": running().map(|needs| needs.memory).sum::<u64>(),
        "gpus": running().map(|needs| u64::from(needs.gpus)).sum::<u64>(),
    })
}

fn engine(site: &Site) -> Value {
    let state = site.worker().engine().borrow().clone();
    let info = state.ready().map(|engine| engine.info().clone());
    let advice = state
        .advice()
        .into_iter()
        .map(|advice| json!({ "text": advice.text, "command": advice.command, "link": advice.link }));
    json!({
        "code": state.code(),
        "ready": info.is_some(),
        "words": state.explain(),
        "advice": advice.collect::<Vec<_>>(),
        "version": info.as_ref().map(|info| &info.version),
        "address": info.as_ref().map(|info| info.address.to_string()),
        "cpus": info.as_ref().map(|info| info.cpus),
        "memory": info.as_ref().map(|info| info.memory),
    })
}

/// A move as clients read it.
pub(crate) fn moving_json(moving: &Move) -> Value {
    json!({
        "to": moving.to, "done": moving.done, "total": moving.total, "problem": moving.problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_doors_say_why_in_a_code_and_in_words() {
        let (name, problem) = told(&DoorState::Blocked(("port-taken", "Taken.".into())));
        assert_eq!((name, problem), ("blocked", Some(json!({"code": "port-taken", "words": "Taken."}))));
        assert_eq!(told(&DoorState::Open), ("open", None));
    }

    #[test]
    fn what_running_jobs_have_to_become_is_one_of_three_words() {
        for word in ["finish", "cancel", "keep"] {
            assert!(serde_json::from_value::<Ending>(json!({ "running": word })).is_ok());
        }
        assert!(serde_json::from_value::<Ending>(json!({ "running": "kill" })).is_err());
    }
}
