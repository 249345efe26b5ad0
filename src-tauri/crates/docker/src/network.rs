//! The one network of all jobs: internet yes, container to container no (protocol section 6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;
use deskgrid_fault::{Point, point};
use tokio::sync::OnceCell;

use crate::engine::{Engine, QUESTION, WORK};
use crate::error::EngineError;

/// Its name.
pub const NETWORK: &str = "metaframe-container-worker-network";

/// Remembers that the network is there, for one life of an engine. Callers at the same time share one creation.
#[derive(Default)]
pub(crate) struct NetworkOnce(Mutex<Arc<OnceCell<()>>>);

impl NetworkOnce {
    fn cell(&self) -> Arc<OnceCell<()>> {
        // Only a pointer is copied or replaced under the lock, so nothing can be half done in it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}

impl Engine {
    /// Makes sure that [`NETWORK`] is there. Free of cost once it is known to be.
    pub async fn ensure_network(&self) -> Result<(), EngineError> {
        self.network_once().cell().get_or_try_init(|| self.make_network()).await?;
        point(Point::NetworkReady);
        Ok(())
    }

    /// Brings the network back after `error`, when somebody removed it; tells whether to try again.
    pub(crate) async fn restored_network(&self, error: &EngineError) -> Result<bool, EngineError> {
        if !says_network_is_gone(error) {
            return Ok(false);
        }
        self.network_once().forget();
        self.ensure_network().await.map(|()| true)
    }

    async fn make_network(&self) -> Result<(), EngineError> {
        match self.networks().await?.len() {
            0 => {}
            1 => return Ok(()),
            _ => return self.remove_twins().await,
        }
        let created = self
            .call("creating the network of the jobs", WORK, self.docker().create_network(request()))
            .await;
        match created {
            // Another program was quicker.
            Err(EngineError::Refused { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => self.remove_twins().await,
        }
    }

    /// Engines before API 1.44 make a second network of the same name when two programs ask at the same moment, and
    /// containers can then use neither. Everyone goes through them in the same order and leaves the last one, so it does
    /// not matter who tidies up. One that containers are in cannot be removed: then it is the one that stays.
    async fn remove_twins(&self) -> Result<(), EngineError> {
        let ids = in_order(self.networks().await?);
        let mut left = ids.len();
        for id in ids {
            if left == 1 {
                break;
            }
            let removed =
                self.call("removing a second network of the jobs", WORK, self.docker().remove_network(&id));
            match removed.await {
                Ok(()) | Err(EngineError::Refused { status: 404, .. }) => left -= 1,
                Err(EngineError::Refused { status: 403, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let filters = HashMap::from([("name", vec![NETWORK])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = self.call(
            "looking for the network of the jobs",
            QUESTION,
            self.docker().list_networks(Some(options)),
        );
        // The filter also finds names that merely contain ours.
        Ok(found.await?.into_iter().filter(|network| network.name.as_deref() == Some(NETWORK)).collect())
    }
}

fn request() -> NetworkCreateRequest {
    let options = HashMap::from([("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())]);
    NetworkCreateRequest {
        name: NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        options: Some(options),
        ..NetworkCreateRequest::default()
    }
}

/// The ids in the order in which everybody removes them. It is by chance, but the same for all.
fn in_order(networks: Vec<Network>) -> Vec<String> {
    let mut ids: Vec<_> = networks.into_iter().filter_map(|network| network.id).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}

/// Whether the engine refused because the network is not there any more, or is there twice.
fn says_network_is_gone(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { message, .. }
        if message.contains("network") && (message.contains("not found") || message.contains("ambiguous")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_the_network_cannot_reach_each_other() {
        let options = request().options.unwrap();
        assert_eq!(options["com.docker.network.bridge.enable_icc"], "false");
    }

    #[test]
    fn everyone_removes_several_networks_in_the_same_order() {
        let network = |id: &str| Network { id: Some(id.to_owned()), ..Network::default() };
        assert_eq!(in_order(vec![network("b"), network("a"), network("c")]), ["c", "b", "a"]);
    }

    #[test]
    fn a_missing_network_is_told_from_other_refusals() {
        let refused = |message: &str| EngineError::Refused {
            doing: "starting a container",
            status: 404,
            message: message.into(),
        };
        assert!(says_network_is_gone(&refused("network metaframe-container-worker-network not found")));
        assert!(says_network_is_gone(&refused(
            "could not find a network matching network mode x: network x not found"
        )));
        assert!(!says_network_is_gone(&refused("no such volume")));
    }
}
