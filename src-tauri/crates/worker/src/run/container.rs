//! The one place that decides what a job's container is: image, command, environment, labels, limits, network.
//!
//! Nothing of the definition reaches the engine but what is written here. A later step that joins a warm network or
//! creates containers before their turn has to change this file alone.

use std::collections::BTreeMap;

use deskgrid_docker::{Bind, Confinement, ContainerSpec, Image, VolumeMount};
use deskgrid_job::queue::Allotment;
use deskgrid_job::{Command, Definition, JobId, QueueName, WorkerId};

use crate::sites::Permits;

/// Our label for the run, by which a container is found again after a restart.
pub(crate) const RUN_LABEL: &str = "deskgrid.run";
/// The protocol's labels (section 6).
pub(crate) const ID_LABEL: &str = "container.mtfm.io/id";
pub(crate) const WORKER_LABEL: &str = "container.mtfm.io/worker";
const QUEUE_LABEL: &str = "container.mtfm.io/queue";
pub(crate) const OURS_LABEL: &str = "container.mtfm.io";
/// Who the container is for.
pub(super) struct Purpose<'a> {
    pub(super) id: &'a JobId,
    pub(super) run: u32,
    pub(super) queue: Option<&'a QueueName>,
    pub(super) worker: &'a WorkerId,
    pub(super) base_url: &'a str,
}

/// What the container may take and do.
pub(super) struct Bounds<'a> {
    pub(super) allotment: &'a Allotment,
    /// Bytes of memory that jobs may use in all; none when nobody knows.
    pub(super) memory: Option<u64>,
    pub(super) permits: Permits,
}

impl Bounds<'_> {
    /// The limit of the container's memory: what the job asked for, else all that jobs may use.
    fn memory_limit(&self) -> Option<u64> {
        let asked = Some(self.allotment.needs.memory).filter(|bytes| *bytes > 0);
        match self.permits.confinement {
            Confinement::Close => asked.or(self.memory),
            Confinement::Usual => asked,
        }
    }
}

/// The container of one run.
pub(super) fn spec(
    purpose: &Purpose<'_>,
    definition: &Definition,
    image: &Image,
    bounds: &Bounds<'_>,
    binds: Vec<Bind>,
) -> ContainerSpec {
    let Bounds { allotment, permits, .. } = bounds;
    ContainerSpec {
        // Not its id: by this name people know it in the engine's own lists.
        image: definition.image.image().to_owned(),
        entrypoint: definition.entrypoint.as_ref().map(words),
        cmd: definition.command.as_ref().map(|command| self::command(command, definition, image)),
        env: environment(purpose, definition, allotment),
        workdir: definition.workdir.clone(),
        shm_size: definition.shm_size,
        labels: labels(purpose),
        nano_cpus: Some(u64::from(allotment.needs.cpu_millis) * 1_000_000),
        memory: bounds.memory_limit(),
        gpus: allotment.gpus.clone(),
        binds,
        volumes: vec![VolumeMount { volume: permits.cache.clone(), container: "/job-cache".to_owned() }],
        network: permits.network,
        confinement: permits.confinement,
    }
}

fn words(command: &Command) -> Vec<String> {
    match command {
        Command::Words(words) => words.clone(),
        Command::Shell(text) => vec![text.clone()],
    }
}

/// Shell text goes to a shell where nothing else would read it (protocol section 2, **Better**).
fn command(command: &Command, definition: &Definition, image: &Image) -> Vec<String> {
    match command {
        Command::Shell(text) if definition.entrypoint.is_none() && image.entrypoint.is_empty() => {
            vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()]
        }
        other => words(other),
    }
}

/// The job's own variables, then ours, which win (protocol section 6).
fn environment(
    purpose: &Purpose<'_>,
    definition: &Definition,
    allotment: &Allotment,
) -> Vec<(String, String)> {
    let Purpose { id, base_url, .. } = purpose;
    let mut ours = vec![
        ("JOB_ID", id.to_string()),
        ("JOB_INPUTS", "/inputs".to_owned()),
        ("JOB_OUTPUTS", "/outputs".to_owned()),
        ("JOB_CACHE", "/job-cache".to_owned()),
        ("JOB_URL_PREFIX", format!("{base_url}/j/{id}")),
        ("JOB_OUTPUTS_URL_PREFIX", format!("{base_url}/j/{id}/outputs/")),
        ("JOB_INPUTS_URL_PREFIX", format!("{base_url}/j/{id}/inputs/")),
    ];
    // Where the engine starts every container with NVIDIA's runtime, the image or the job could otherwise take GPUs
    // by naming them here.
    let gpus = if allotment.gpus.is_empty() { "void".to_owned() } else { allotment.gpus.join(",") };
    ours.push(("NVIDIA_VISIBLE_DEVICES", gpus));
    if !allotment.gpus.is_empty() {
        // Inside the container the devices it was given are counted from 0.
        let devices: Vec<_> = (0..allotment.gpus.len()).map(|number| number.to_string()).collect();
        ours.push(("CUDA_VISIBLE_DEVICES", devices.join(",")));
    }
    let theirs = definition.env.iter().filter(|(name, _)| ours.iter().all(|(our, _)| our != name));
    let theirs: Vec<_> = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    theirs.into_iter().chain(ours.into_iter().map(|(name, value)| (name.to_owned(), value))).collect()
}

fn labels(purpose: &Purpose<'_>) -> BTreeMap<String, String> {
    let queue = purpose.queue.map(ToString::to_string).unwrap_or_default();
    [
        (OURS_LABEL, "true".to_owned()),
        (ID_LABEL, purpose.id.to_string()),
        (QUEUE_LABEL, queue),
        (WORKER_LABEL, purpose.worker.to_string()),
        (RUN_LABEL, purpose.run.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
