//! Which container has a port of this computer. Any container, ours or not: it is only looked at.

use bollard::query_parameters::ListContainersOptionsBuilder;

use crate::engine::QUESTION;
use crate::{Engine, EngineError};

/// What the image of the older container worker is called, wherever it was pulled from.
const OLDER_WORKER: &str = "metaframe-docker-worker";

/// A container that publishes a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Its name, by which people stop it.
    pub name: String,
    /// The image that it was made from.
    pub image: String,
}

impl Publisher {
    /// Whether it is the container worker that Deskgrid replaces.
    pub fn is_older_worker(&self) -> bool {
        self.image.contains(OLDER_WORKER)
    }
}

impl Engine {
    /// The running container that publishes `port` on this computer.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn publisher(&self, port: u16) -> Result<Option<Publisher>, EngineError> {
        let options = ListContainersOptionsBuilder::new().build();
        let call = self.docker().list_containers(Some(options));
        let running = self.call("looking for the container that has a port", QUESTION, call).await?;
        let has_it = |ports: &[bollard::models::PortSummary]| {
            ports.iter().any(|known| known.public_port == Some(port))
        };
        let found = running.into_iter().find(|one| one.ports.as_deref().is_some_and(has_it));
        Ok(found.map(|one| Publisher {
            name: one
                .names
                .iter()
                .flatten()
                .next()
                .map_or("", |name| name.trim_start_matches('/'))
                .to_owned(),
            image: one.image.unwrap_or_default(),
        }))
    }
}
