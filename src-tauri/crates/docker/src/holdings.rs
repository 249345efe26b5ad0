//! What the engine keeps for us: images that we had pulled and the caches of jobs, with their sizes, and their
//! removal. Which of them are ours is said by the caller for images and by our label for volumes.

use std::collections::HashMap;
use std::time::Duration;

use bollard::BollardRequest;
use bollard::query_parameters::{
    ListImagesOptions, ListVolumesOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::engine::{Engine, QUESTION, WORK};
use crate::error::EngineError;
use crate::reference::Reference;

/// Label of the volumes that were made for our jobs.
pub(crate) const VOLUME_LABEL: &str = "deskgrid.job-cache";
/// An engine with many volumes walks through all of them to tell their sizes.
const MEASURING: Duration = Duration::from_secs(15);

impl Engine {
    /// The size of each of these images, as far as the engine has them; by the names that were asked for.
    pub async fn image_sizes(&self, names: &[String]) -> Result<HashMap<String, u64>, EngineError> {
        let call = self.docker().list_images(None::<ListImagesOptions>);
        let images = self.call("listing its images", QUESTION, call).await?;
        let mut sizes = HashMap::new();
        for image in images {
            let bytes = u64::try_from(image.size).unwrap_or(0);
            for tag in image.repo_tags.iter().chain(&image.repo_digests) {
                sizes.insert(full(tag), bytes);
            }
        }
        Ok(names.iter().filter_map(|name| Some((name.clone(), *sizes.get(&full(name))?))).collect())
    }

    /// The volumes that were made for our jobs, with their sizes where the engine tells them in time.
    pub async fn cache_volumes(&self) -> Result<Vec<(String, Option<u64>)>, EngineError> {
        let filters = HashMap::from([("label", vec![VOLUME_LABEL])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let call = self.docker().list_volumes(Some(options));
        let volumes = self.call("listing its volumes", QUESTION, call).await?.volumes.unwrap_or_default();
        if volumes.is_empty() {
            return Ok(Vec::new());
        }
        let measured = self.volume_sizes().await.unwrap_or_default();
        let sized = volumes.into_iter().map(|volume| {
            let size = measured.get(&volume.name).copied();
            (volume.name, size)
        });
        Ok(sized.collect())
    }

    async fn volume_sizes(&self) -> Result<HashMap<String, u64>, EngineError> {
        let docker = self.docker().clone().with_request_modifier(ask_for_sizes);
        // Bollard reads the newest form of this answer only, so it is asked by a call that hands on the bytes.
        let answer = docker.export_image("sizes").try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let answer = self.call("measuring its volumes", MEASURING, answer).await?;
        Ok(volume_sizes(&serde_json::from_slice(&answer).unwrap_or_default()))
    }

    /// Removes an image that no container uses; fine when it is gone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when a container uses it.
    pub async fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        let name = full(name);
        let call = self.docker().remove_image(&name, None::<RemoveImageOptions>, None);
        gone(self.call("removing an image", WORK, call).await.map(drop))
    }

    /// Removes a volume that no container uses; fine when it is gone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let call = self.docker().remove_volume(name, None::<RemoveVolumeOptions>);
        gone(self.call("removing a volume", WORK, call).await)
    }
}

fn gone(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Image { .. } | EngineError::Refused { status: 404, .. }) => Ok(()),
        other => other,
    }
}

/// The name with its registry and tag, so that two ways to write it are the same.
fn full(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.full())
}

fn ask_for_sizes(mut request: BollardRequest) -> BollardRequest {
    let address = request.uri().to_string();
    if let Some(start) = address.strip_suffix("/images/sizes/get")
        && let Ok(address) = format!("{start}/system/df?type=volume&verbose=1").parse()
    {
        *request.uri_mut() = address;
    }
    request
}

/// Reads the sizes from either form of the answer: engines changed it with API 1.52.
fn volume_sizes(answer: &Value) -> HashMap<String, u64> {
    let volumes = answer["Volumes"].as_array().or_else(|| answer["VolumeUsage"]["Items"].as_array());
    let sized =
        |volume: &Value| Some((volume["Name"].as_str()?.to_owned(), volume["UsageData"]["Size"].as_u64()?));
    volumes.into_iter().flatten().filter_map(sized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_both_forms_of_the_answer() {
        let volumes = serde_json::json!([
            { "Name": "a", "UsageData": { "Size": 7, "RefCount": 0 } },
            { "Name": "unknown", "UsageData": { "Size": -1, "RefCount": 0 } },
        ]);
        for answer in [
            serde_json::json!({ "Volumes": volumes }),
            serde_json::json!({ "VolumeUsage": { "Items": volumes } }),
        ] {
            assert_eq!(volume_sizes(&answer), [("a".to_owned(), 7)].into());
        }
        assert_eq!(volume_sizes(&Value::Null), HashMap::new());
    }
}
