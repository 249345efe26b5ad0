//! One job in full: its row, its definition, how its run went, its files.

use std::collections::HashMap;

use deskgrid_job::{
    BlobHash, BlobKey, ConfigPath, Course, DataRef, Definition, JobId, Phase, RunResult, Stage, Trace, shell,
};
use deskgrid_store::{LogKind, Most, Synopsis};
use deskgrid_wire::{definition, secrets};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::jobs::json_text;
use super::row::{Moment, Row};
use crate::Site;
use crate::body::understand;
use crate::error::HttpError;
use crate::files::download::content_type;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(flatten)]
    row: Row,
    definition: &'a RawValue,
    docker_run: String,
    link: String,
    timeline: Vec<Span>,
    inputs: Vec<File>,
    outputs: Vec<File>,
    notes: Vec<String>,
    trace: Option<TraceOf>,
    has_build_log: bool,
    /// The platform that the image is made for, where the engine had to emulate it.
    emulated: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Span {
    name: &'static str,
    start: u64,
    end: Option<u64>,
    note: Option<String>,
}

#[derive(Serialize)]
struct File {
    path: String,
    size: Option<u64>,
    hash: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    from: Option<String>,
}

#[derive(Serialize)]
struct TraceOf {
    start: u64,
    every: u64,
    cpu: Vec<f32>,
    memory: Vec<u64>,
}

/// The job as JSON.
pub(super) async fn job(site: &Site, id: &JobId) -> Result<String, HttpError> {
    let synopsis = site.store().synopses(vec![id.clone()]).await?.pop().ok_or_else(HttpError::no_job)?;
    let text = site.store().definition(id).await?.unwrap_or_else(|| "null".to_owned());
    let (text, definition) = understand(text, |text| {
        let read = serde_json::from_str::<Value>(text).ok().and_then(|json| definition::parse(&json).ok());
        (text.to_owned(), read)
    })
    .await?;
    let course = course(site, &synopsis).await?;
    let result = match synopsis.phase {
        Phase::Finished(reason) if reason.is_kept() => site.store().result(id).await?.unwrap_or_default(),
        _ => RunResult::default(),
    };
    let shown = secrets::masked_text(&text);
    let raw: &RawValue = serde_json::from_str(&shown).unwrap_or(RawValue::NULL);
    let one = Most { lines: 1, bytes: 1 };
    let (build, _) = site.store().logs().read_on(id, LogKind::Build, 0.into(), one).await?;
    let detail = Detail {
        definition: raw,
        docker_run: definition.as_ref().map(shell::docker_run).unwrap_or_default(),
        link: format!("{}/j/{id}", site.base_url()),
        timeline: timeline(&synopsis, &course.stages),
        inputs: match definition {
            Some(definition) => inputs(site, id, definition).await?,
            None => Vec::new(),
        },
        outputs: outputs(&result),
        notes: result.notes.iter().map(|line| line.text.trim_end().to_owned()).collect(),
        trace: course.trace.map(|Trace { start, every, cpu, memory, .. }| TraceOf {
            start: start.0,
            every,
            cpu,
            memory,
        }),
        has_build_log: !build.lines.is_empty(),
        emulated: course.emulated,
        row: Moment::of(site).row(synopsis),
    };
    json_text(&detail)
}

/// How the run goes, or went. Of a job that ran before this was noted only the container's time is known.
async fn course(site: &Site, job: &Synopsis) -> Result<Course, HttpError> {
    if job.phase == Phase::Running {
        return Ok(site.worker().live(&job.id).map(|live| live.course).unwrap_or_default());
    }
    Ok(site.store().course(&job.id).await?.unwrap_or_default())
}

/// The stages of the run after the time in the queue.
fn timeline(job: &Synopsis, stages: &[Stage]) -> Vec<Span> {
    let is_over = matches!(job.phase, Phase::Finished(_));
    let first = stages.first().map(|stage| stage.start);
    let left = job.started_at.or(first).or(is_over.then_some(job.changed_at));
    let queued = Span {
        name: "queued",
        start: job.queued_at.0,
        end: left.map(|time| time.max(job.queued_at).0),
        note: None,
    };
    let stages = stages.iter().map(|stage| Span {
        name: stage.name.as_str(),
        start: stage.start.0,
        end: stage.end.map(|end| end.0),
        note: stage.note.clone(),
    });
    std::iter::once(queued).chain(stages).collect()
}

fn outputs(result: &RunResult) -> Vec<File> {
    let file = |(path, file): (&deskgrid_job::FilePath, &deskgrid_job::OutputFile)| File {
        path: path.to_string(),
        size: Some(file.size),
        hash: Some(file.hash.to_string()),
        kind: content_type(path.as_str()),
        from: None,
    };
    result.outputs.iter().map(file).collect()
}

/// The files below `/inputs`; a config file wins over an input of the same name.
async fn inputs(site: &Site, id: &JobId, definition: Definition) -> Result<Vec<File>, HttpError> {
    let known: HashMap<String, BlobHash> = site.store().inputs(id).await?.into_iter().collect();
    let config = definition.config_files.into_iter().filter_map(|(path, data)| match path {
        ConfigPath::Input(path) => Some((path, data)),
        ConfigPath::Absolute(_) => None,
    });
    let mut all = definition.inputs;
    all.extend(config);
    let mut files = Vec::new();
    for (path, data) in all {
        let from = if let DataRef::Url { url, .. } = &data { Some(url.clone()) } else { None };
        let (content, length) = match (known.get(path.as_str()), data) {
            (Some(hash), _) => (Some(*hash), site.store().blobs().size(*hash).await?),
            (None, DataRef::Inline(bytes)) => (None, Some(bytes.len() as u64)),
            (None, data) => stored(site, data).await?,
        };
        let hash = content.map(|hash| hash.to_string());
        files.push(File {
            kind: content_type(path.as_str()),
            path: path.to_string(),
            size: length,
            hash,
            from,
        });
    }
    Ok(files)
}

/// Hash and size of a file that a definition names, as far as it is here.
async fn stored(site: &Site, data: DataRef) -> Result<(Option<BlobHash>, Option<u64>), HttpError> {
    let key = match data {
        DataRef::Url { hash: Some(hash), .. } => BlobKey::Hash(hash),
        DataRef::Key(key) | DataRef::Url { key: Some(key), .. } => key,
        DataRef::Url { .. } | DataRef::Inline(_) => return Ok((None, None)),
    };
    let found = site.store().blobs().find(&key).await?;
    Ok(found.map_or((None, None), |stored| (Some(stored.hash), Some(stored.size))))
}

#[cfg(test)]
mod tests {
    use deskgrid_job::{Needs, Reason, StageName, Time};

    use super::*;

    fn synopsis(phase: Phase, started_at: Option<Time>) -> Synopsis {
        Synopsis {
            id: JobId::new("a").unwrap(),
            phase,
            queued_at: Time(10),
            changed_at: Time(90),
            turn: 1,
            started_at,
            needs: Needs::default(),
            image: None,
            command: None,
            holds: Vec::new(),
            exit_code: None,
            duration: None,
            failure: None,
            output_bytes: 0,
            is_pinned: false,
        }
    }

    #[test]
    fn the_time_in_the_queue_ends_with_the_start_of_the_run_or_with_the_job() {
        let ends = |job: Synopsis| timeline(&job, &[])[0].end;
        assert_eq!(ends(synopsis(Phase::Queued, None)), None);
        assert_eq!(ends(synopsis(Phase::Running, Some(Time(40)))), Some(40));
        assert_eq!(ends(synopsis(Phase::Finished(Reason::Cancelled), None)), Some(90));
    }

    #[test]
    fn the_stages_of_the_run_follow() {
        let stage = Stage { name: StageName::Image, start: Time(41), end: Some(Time(50)), note: None };
        let timeline = timeline(&synopsis(Phase::Running, Some(Time(40))), &[stage]);
        assert_eq!(timeline[1], Span { name: "image", start: 41, end: Some(50), note: None });
    }
}
