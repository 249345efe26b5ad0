//! The life of one container: create, start, wait, kill, remove, look. Not what runs in it or why.

mod seen;

use std::collections::HashMap;
use std::fmt;

use bollard::errors::Error as Bollard;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, InspectContainerOptionsBuilder,
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use deskgrid_fault::{Point, point};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::LABEL_WORKER;
use crate::engine::{Engine, QUESTION, WORK};
use crate::error::{EngineError, start_failure};
use crate::spec::{ContainerSpec, Network, create_body};

pub use seen::OurContainer;
use seen::{listed_container, our_container};

/// The exit code that the kernel gives to a process it killed, for want of memory among other reasons.
const KILLED: i64 = 137;
/// What the engine's first process exits with when the command may not run or does not exist.
const NO_COMMAND: std::ops::RangeInclusive<i64> = 126..=127;
/// How many containers are looked at side by side.
const AT_ONCE: usize = 8;

/// The engine's name of a container.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// Takes an id as the engine gave it; none when the text could lead elsewhere in the API's paths.
    pub fn new(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code of its first process.
    pub code: i64,
    /// Whether the kernel ended it because it had used up its memory.
    pub oom_killed: bool,
    /// The engine's own remark about the end.
    pub error: Option<String>,
    /// Why the command did not even begin, where the engine's first process had to find that out.
    pub never_began: Option<Box<EngineError>>,
}

/// How a container came to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first try.
    AtOnce,
    /// Only after something that it needs was put right. The engine has let go of those who listened to it.
    Again,
}

impl Engine {
    /// Creates a container. Its image must be in the engine.
    ///
    /// # Errors
    /// [`EngineError::Image`] when the image is gone, [`EngineError::CannotStart`] when there is nothing to run.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        if spec.network == Network::Jobs {
            self.ensure_network().await?;
        }
        let created = match self.create_once(spec).await {
            Err(error) if self.restored_network(&error).await? => self.create_once(spec).await,
            other => other,
        };
        created.map_err(|error| start_failure(error, "", &spec.image))
    }

    async fn create_once(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        const DOING: &str = "creating a container";
        point(Point::ContainerCreating);
        let body = create_body(spec, &self.abilities());
        let call = self.docker().create_container(None::<CreateContainerOptions>, body);
        let answer = self.call(DOING, WORK, call).await?;
        point(Point::ContainerCreated);
        ContainerId::new(&answer.id).ok_or_else(|| EngineError::Refused {
            doing: DOING,
            status: 0,
            message: format!("it answered with the id {:?}, which makes no sense", answer.id),
        })
    }

    /// Starts a container that was created; nothing happens when it runs already.
    ///
    /// Whoever listened to it before [`Start::Again`] listens to nothing and has to read its log.
    ///
    /// # Errors
    /// [`EngineError::CannotStart`] when its command does not exist or may not run, [`EngineError::LimitRefused`] when
    /// another container made the same way will do better.
    pub async fn start(&self, id: &ContainerId) -> Result<Start, EngineError> {
        let started = match self.start_once(id).await {
            Err(error) if self.restored_network(&error).await? => {
                self.start_once(id).await.map(|()| Start::Again)
            }
            other => other.map(|()| Start::AtOnce),
        };
        match started {
            Err(EngineError::Refused { message, .. }) if message.contains("rlimit") => {
                self.leave_limits();
                Err(EngineError::LimitRefused { detail: message })
            }
            Err(error @ EngineError::Refused { .. }) => Err(self.explained(id, error).await),
            other => other,
        }
    }

    async fn start_once(&self, id: &ContainerId) -> Result<(), EngineError> {
        let call = self.docker().start_container(id.as_str(), None::<StartContainerOptions>);
        point(Point::ContainerStarting);
        self.call("starting a container", WORK, call).await?;
        point(Point::ContainerStarted);
        Ok(())
    }

    /// Names command and image in a refusal to start. Asks for them only now, since starts rarely fail.
    async fn explained(&self, id: &ContainerId, refusal: EngineError) -> EngineError {
        match self.look(id).await {
            Ok(answer) => {
                let image = answer.config.and_then(|config| config.image).unwrap_or_default();
                start_failure(refusal, &answer.path.unwrap_or_default(), &image)
            }
            Err(_) => refusal,
        }
    }

    /// Waits until a container that was started has ended, however long that takes; at once when it has already.
    ///
    /// # Errors
    /// [`EngineError::StoppedWithEngine`] when it ended because the engine is shutting down, which is not an end of
    /// its own. The engine is asked once more after each end to tell. [`EngineError::NoSuchContainer`] when somebody
    /// removed it.
    pub async fn wait(&self, id: &ContainerId) -> Result<Exit, EngineError> {
        const DOING: &str = "waiting for a container's end";
        let mut answers = self.docker().wait_container(id.as_str(), None::<WaitContainerOptions>);
        let result = match self.while_alive(DOING, answers.next()).await? {
            Some(Ok(answer)) => Ok((answer.status_code, answer.error.and_then(|error| error.message))),
            // Bollard reports every exit code above zero as an error.
            Some(Err(Bollard::DockerContainerWaitError { error, code })) => Ok((code, Some(error))),
            Some(Err(error)) => Err(EngineError::of(DOING, error)),
            None => Err(EngineError::Gone { doing: DOING, detail: "the connection was closed".to_owned() }),
        };
        self.doubt_after(&result);
        let (code, error) = result?;
        point(Point::ContainerEnded);
        let alive = self.still_alive().await.map_err(|_| EngineError::StoppedWithEngine { code });
        self.doubt_after(&alive);
        alive?;
        let oom_killed = code == KILLED && self.was_out_of_memory(id).await?;
        let never_began = self.never_began(id, code).await?.map(Box::new);
        Ok(Exit { code, oom_killed, error: error.filter(|text| !text.is_empty()), never_began })
    }

    /// With a first process of the engine's, a container starts well even when its command does not exist. Then the
    /// only line of its output is that process's, and says so.
    async fn never_began(&self, id: &ContainerId, code: i64) -> Result<Option<EngineError>, EngineError> {
        if !(NO_COMMAND.contains(&code) && self.info().has_init) {
            return Ok(None);
        }
        let line = match self.last_words(id).await {
            Err(error) if error.is_engine_lost() => return Err(error),
            line => line.ok().flatten(),
        };
        let Some(said) = line.as_deref().and_then(init_failure) else { return Ok(None) };
        let said = said.to_owned();
        let refusal = EngineError::Refused { doing: "starting a container", status: 0, message: said };
        Ok(Some(self.explained(id, refusal).await))
    }

    /// Whether a container that was killed was so for want of memory. One that somebody killed by removing it has
    /// not ended: it is gone.
    async fn was_out_of_memory(&self, id: &ContainerId) -> Result<bool, EngineError> {
        let state = self.look(id).await?.state.unwrap_or_default();
        match state.status {
            Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD) => {
                Err(EngineError::NoSuchContainer { detail: "it is being removed".to_owned() })
            }
            _ => Ok(state.oom_killed.unwrap_or(false)),
        }
    }

    /// Ends a container at once; fine when it has ended or is gone.
    pub async fn kill(&self, id: &ContainerId) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let call = self.docker().kill_container(id.as_str(), Some(options));
        settled(self.call("ending a container", WORK, call).await)?;
        point(Point::ContainerKilled);
        Ok(())
    }

    /// Removes a container and its nameless volumes, ending it when it runs; fine when it is gone.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let call = self.docker().remove_container(id.as_str(), Some(options));
        settled(self.call("removing a container", WORK, call).await)?;
        point(Point::ContainerRemoved);
        Ok(())
    }

    /// Looks at a container.
    pub async fn inspect(&self, id: &ContainerId) -> Result<OurContainer, EngineError> {
        self.look(id).await.map(|answer| our_container(id.clone(), answer))
    }

    async fn look(&self, id: &ContainerId) -> Result<ContainerInspectResponse, EngineError> {
        let call = self.docker().inspect_container(id.as_str(), None::<InspectContainerOptions>);
        self.call("looking at a container", QUESTION, call).await
    }

    /// How many bytes a container has written to its own file system. It takes the engine a moment to count them.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn written(&self, id: &ContainerId) -> Result<u64, EngineError> {
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let call = self.docker().inspect_container(id.as_str(), Some(options));
        let answer = self.call("measuring a container", QUESTION, call).await?;
        Ok(answer.size_rw.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default())
    }

    /// All containers that carry this worker's label, running or not. Other workers' containers are not ours. One that
    /// the engine lists, but does not let us look at, is told as far as the list does: it shall not hide all others.
    ///
    /// # Errors
    /// When the engine does not list them, or went away.
    pub async fn ours(&self, worker_id: &str) -> Result<Vec<OurContainer>, EngineError> {
        let filters = HashMap::from([("label", vec![format!("{LABEL_WORKER}={worker_id}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let call = self.docker().list_containers(Some(options));
        let found = self.call("looking for our containers", QUESTION, call).await?;
        point(Point::ContainersFound);
        let listed = found.into_iter().filter_map(|one| Some((ContainerId::new(one.id.as_deref()?)?, one)));
        let looks = stream::iter(listed).map(|(id, listed)| async move {
            let looked = self.inspect(&id).await;
            self.seen(id, listed, looked)
        });
        looks.buffered(AT_ONCE).try_filter_map(|found| async move { Ok(found) }).try_collect().await
    }

    /// What a look at a listed container came to; none when it is gone meanwhile.
    fn seen(
        &self,
        id: ContainerId,
        listed: ContainerSummary,
        looked: Result<OurContainer, EngineError>,
    ) -> Result<Option<OurContainer>, EngineError> {
        match looked {
            Ok(container) => Ok(Some(container)),
            Err(EngineError::NoSuchContainer { .. }) => Ok(None),
            Err(error @ EngineError::Gone { .. }) => Err(error),
            Err(error) if self.is_over() => Err(error),
            Err(error) => {
                tracing::warn!(container = %id, %error, "could not look at a container; going by the engine's list");
                Ok(Some(listed_container(id, listed)))
            }
        }
    }
}

/// Takes "it is not there", "it does not run" and "somebody is at it" for done.
fn settled(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NoSuchContainer { .. } | EngineError::Refused { status: 409, .. }) => Ok(()),
        other => other,
    }
}

/// What the engine's first process says of a command that it could not run: `[FATAL tini (7)] exec x failed: …`.
fn init_failure(line: &str) -> Option<&str> {
    let (_, said) = line.trim_end().strip_prefix("[FATAL tini (")?.split_once(")] ")?;
    (said.starts_with("exec ") && said.contains(" failed: ")).then_some(said)
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerSummaryStateEnum;
    use deskgrid_job::Time;

    use super::*;

    #[test]
    fn an_id_cannot_lead_elsewhere_in_the_api() {
        for bad in ["", "../images", "a/b", "a?b", "a b", "a%2f"] {
            assert_eq!(ContainerId::new(bad), None, "{bad}");
        }
        assert_eq!(ContainerId::new("0af3").unwrap().as_str(), "0af3");
    }

    #[tokio::test]
    async fn a_container_that_does_not_let_us_look_is_told_as_the_list_does_while_the_engine_lives() {
        let engine = Engine::that_never_answers();
        let id = ContainerId::new("abc").unwrap();
        let listed = |state| ContainerSummary {
            labels: Some(HashMap::from([("job".to_owned(), "a".to_owned())])),
            image: Some("busybox".to_owned()),
            created: Some(7),
            state: Some(state),
            ..ContainerSummary::default()
        };
        let late = || Err(EngineError::TimedOut { doing: "looking", limit: QUESTION });
        let seen = |state, looked| engine.seen(id.clone(), listed(state), looked);
        let running = seen(ContainerSummaryStateEnum::RUNNING, late()).unwrap().unwrap();
        assert!(running.running && running.started_at == Some(Time(7000)) && running.labels["job"] == "a");
        let broken = Err(EngineError::Refused { doing: "looking", status: 500, message: "bad".to_owned() });
        let ended = seen(ContainerSummaryStateEnum::EXITED, broken).unwrap().unwrap();
        assert!(!ended.running && ended.was_taken_down(Some(Time(9000))), "its end is not known");
        let made = seen(ContainerSummaryStateEnum::CREATED, late()).unwrap().unwrap();
        assert!(!made.running && made.started_at.is_none());
        let gone = Err(EngineError::NoSuchContainer { detail: String::new() });
        assert_eq!(seen(ContainerSummaryStateEnum::RUNNING, gone).unwrap(), None);
        engine.end();
        assert!(seen(ContainerSummaryStateEnum::RUNNING, late()).is_err());
    }

    #[test]
    fn the_first_process_of_the_engine_is_understood_and_a_job_that_speaks_like_it_hardly() {
        let said = init_failure("[FATAL tini (7)] exec nosuch failed: No such file or directory\n");
        assert_eq!(said, Some("exec nosuch failed: No such file or directory"));
        for other in ["", "sh: nosuch: not found", "[FATAL tini (7)] Spawned child", "[FATAL tini (7"] {
            assert_eq!(init_failure(other), None, "{other}");
        }
    }
}
