//! What the engine keeps for us: images that we brought and the caches of jobs, with their sizes, and their removal.
//! Which of them are ours is said by the caller for images and by our label for volumes.
//!
//! What the engine's own builder keeps for later builds is the person's: it is neither listed nor touched.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::query_parameters::{
    ListImagesOptions, ListVolumesOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::engine::{Engine, QUESTION, WORK};
use crate::error::EngineError;
use crate::reference::Reference;

/// Label of the volumes that were made for our jobs.
pub(crate) const VOLUME_LABEL: &str = "deskgrid.job-cache";
/// An engine with much in it walks through all of it to tell the sizes.
const MEASURING: Duration = Duration::from_secs(15);
/// What an engine says that measures for somebody else just now.
const BUSY: &str = "disk usage operation is already running";
/// Until it is asked again then.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// An image of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldImage {
    /// The name that was asked for.
    pub name: String,
    /// Its id, which it has in common with its other names.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// What of it no other image has, where the engine tells.
    pub unique: Option<u64>,
    /// How many names it has, whoever gave them; it goes with the last one.
    pub names: usize,
    /// Whether a container has it, whosever that is.
    pub is_used: bool,
}

/// A volume of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldVolume {
    /// Its name.
    pub name: String,
    /// Its size, where the engine told it in time.
    pub bytes: Option<u64>,
    /// Whether a container has it.
    pub is_used: bool,
}

/// What the engine keeps for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineHoldings {
    /// Those of the images that were asked for which it has.
    pub images: Vec<HeldImage>,
    /// The volumes that were made for our jobs.
    pub volumes: Vec<HeldVolume>,
}

/// The bytes that the engine gives back when these images lose these names; and whether it may be more, since images
/// that go together may share what none of the others has, or since the engine did not tell what they share.
pub fn freed(images: &[&HeldImage]) -> (u64, bool) {
    let mut going: HashMap<&str, Vec<&HeldImage>> = HashMap::new();
    for image in images {
        going.entry(&image.id).or_default().push(image);
    }
    let gone = going.values().filter(|names| names.len() >= names[0].names && !names[0].is_used);
    let gone: Vec<_> = gone.map(|names| names[0]).collect();
    let sharing = gone.iter().filter(|image| image.unique.is_some_and(|unique| unique < image.bytes)).count();
    let is_unknown = gone.iter().any(|image| image.unique.is_none());
    (gone.iter().filter_map(|image| image.unique).sum(), sharing > 1 || is_unknown)
}

impl Engine {
    /// Looks for the images of these names and for the volumes of our jobs.
    pub async fn holdings(&self, names: &[String]) -> Result<EngineHoldings, EngineError> {
        let answer = match self.measured().await {
            Ok(answer) => answer,
            Err(error) if error.is_engine_lost() && !matches!(error, EngineError::TimedOut { .. }) => {
                return Err(error);
            }
            Err(_) => self.listed().await?,
        };
        Ok(EngineHoldings { images: images(&answer, names), volumes: volumes(&answer) })
    }

    /// All images and volumes with their sizes. Some engines measure for one at a time and refuse all others.
    async fn measured(&self) -> Result<Value, EngineError> {
        let patiently = async {
            loop {
                match self.measure().await {
                    Err(EngineError::Refused { message, .. }) if message.contains(BUSY) => {
                        tokio::time::sleep(BETWEEN_TRIES).await;
                    }
                    result => return result,
                }
            }
        };
        let out_of_time = EngineError::TimedOut { doing: "measuring what it keeps", limit: MEASURING };
        tokio::time::timeout(MEASURING, patiently).await.unwrap_or(Err(out_of_time))
    }

    async fn measure(&self) -> Result<Value, EngineError> {
        let docker = self.docker().clone().with_request_modifier(ask_for_sizes);
        // Bollard reads the newest form of this answer only, so it is asked by a call that hands on the bytes.
        let answer = docker.export_image("sizes").try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let answer = self.call("measuring what it keeps", MEASURING, answer).await?;
        serde_json::from_slice(&answer).map_err(|error| EngineError::Refused {
            doing: "measuring what it keeps",
            status: 0,
            message: error.to_string(),
        })
    }

    /// The same without sizes of volumes and without what images share, which is quick.
    async fn listed(&self) -> Result<Value, EngineError> {
        let images = self.docker().list_images(None::<ListImagesOptions>);
        let images = self.call("listing its images", QUESTION, images).await?;
        let filters = HashMap::from([("label", vec![VOLUME_LABEL])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = self.docker().list_volumes(Some(options));
        let volumes = self.call("listing its volumes", QUESTION, volumes).await?.volumes;
        Ok(json!({ "Images": images, "Volumes": volumes }))
    }

    /// Takes this name away from an image, and says whether the image went with it; fine when it is gone already.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when a container uses it.
    pub async fn remove_image(&self, name: &str) -> Result<bool, EngineError> {
        let name = full_name(name);
        let call = self.docker().remove_image(&name, None::<RemoveImageOptions>, None);
        let removed = gone(self.call("removing an image", WORK, call).await)?;
        Ok(removed.is_some_and(|parts| parts.iter().any(|part| part.deleted.is_some())))
    }

    /// Removes a volume that no container uses; fine when it is gone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let call = self.docker().remove_volume(name, None::<RemoveVolumeOptions>);
        gone(self.call("removing a volume", WORK, call).await).map(drop)
    }
}

fn gone<T>(result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match result {
        Err(EngineError::Image { .. } | EngineError::Refused { status: 404, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// An image's name with its tag and without what engines leave out, so that all ways to write it are the same.
pub fn full_name(name: &str) -> String {
    let full = Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.full());
    let short = full.strip_prefix("docker.io/").unwrap_or(&full);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

fn ask_for_sizes(mut request: BollardRequest) -> BollardRequest {
    let address = request.uri().to_string();
    if let Some(start) = address.strip_suffix("/images/sizes/get")
        && let Ok(address) = format!("{start}/system/df?type=image&type=volume&verbose=1").parse()
    {
        *request.uri_mut() = address;
    }
    request
}

/// A part of either form of the answer: engines changed it with API 1.52.
fn part<'a>(answer: &'a Value, old: &str, new: &str) -> impl Iterator<Item = &'a Value> {
    answer[old].as_array().or_else(|| answer[new]["Items"].as_array()).into_iter().flatten()
}

fn images(answer: &Value, names: &[String]) -> Vec<HeldImage> {
    let mut found = Vec::new();
    for image in part(answer, "Images", "ImageUsage") {
        let known = references(image);
        let bytes = image["Size"].as_u64().unwrap_or(0);
        // It is -1 where it was not measured.
        let shared = image["SharedSize"].as_u64();
        for name in names.iter().filter(|name| known.all.contains(&full_name(name))) {
            found.push(HeldImage {
                name: name.clone(),
                id: image["Id"].as_str().unwrap_or_default().to_owned(),
                bytes,
                unique: shared.map(|shared| bytes.saturating_sub(shared)),
                names: known.counted,
                is_used: image["Containers"].as_i64().is_some_and(|count| count > 0),
            });
        }
    }
    found
}

/// The names of an image.
struct References {
    all: HashSet<String>,
    /// How many keep it: a digest goes with the last tag of its repository.
    counted: usize,
}

fn references(image: &Value) -> References {
    let listed = |field: &str| {
        let names = image[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.filter(|name| !name.contains("<none>")).map(full_name).collect::<BTreeSet<_>>()
    };
    let (tags, digests) = (listed("RepoTags"), listed("RepoDigests"));
    let repository = |tag: &str| tag.rsplit_once(':').map_or(tag, |(repository, _)| repository).to_owned();
    let tagged: HashSet<_> = tags.iter().map(|tag| repository(tag)).collect();
    let is_alone =
        |digest: &&String| digest.split_once('@').is_none_or(|(repository, _)| !tagged.contains(repository));
    let counted = tags.len() + digests.iter().filter(is_alone).count();
    References { all: tags.into_iter().chain(digests).collect(), counted }
}

fn volumes(answer: &Value) -> Vec<HeldVolume> {
    let volume = |volume: &Value| {
        volume["Labels"].get(VOLUME_LABEL)?;
        Some(HeldVolume {
            name: volume["Name"].as_str()?.to_owned(),
            bytes: volume["UsageData"]["Size"].as_u64(),
            is_used: volume["UsageData"]["RefCount"].as_i64().is_some_and(|count| count > 0),
        })
    };
    part(answer, "Volumes", "VolumeUsage").filter_map(volume).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, id: &str, (bytes, unique): (u64, u64), names: usize) -> HeldImage {
        let unique = Some(unique);
        HeldImage { name: name.to_owned(), id: id.to_owned(), bytes, unique, names, is_used: false }
    }

    #[test]
    fn both_forms_of_the_answer_are_read() {
        let images = json!([
            { "Id": "1", "RepoTags": ["python:3", "mine:1"], "RepoDigests": ["python@sha256:00"], "Size": 50,
              "SharedSize": 20, "Containers": 0 },
            { "Id": "2", "RepoTags": ["other:1"], "RepoDigests": null, "Size": 5, "SharedSize": -1, "Containers": 1 },
            { "Id": "3", "RepoTags": ["<none>:<none>"], "RepoDigests": [format!("x/y@sha256:{}", "a".repeat(64))],
              "Size": 7, "SharedSize": 0, "Containers": -1 },
        ]);
        let volumes = json!([
            { "Name": "a", "Labels": { "deskgrid.job-cache": "" }, "UsageData": { "Size": 7, "RefCount": 1 } },
            { "Name": "unknown", "Labels": { "deskgrid.job-cache": "" }, "UsageData": { "Size": -1, "RefCount": 0 } },
            { "Name": "theirs", "Labels": null, "UsageData": { "Size": 9, "RefCount": 0 } },
        ]);
        let digest = format!("x/y@sha256:{}", "a".repeat(64));
        let names = ["docker.io/library/python:3".to_owned(), digest.clone(), "never-here".to_owned()];
        for answer in [
            json!({ "Images": images, "Volumes": volumes }),
            json!({ "ImageUsage": { "Items": images }, "VolumeUsage": { "Items": volumes } }),
        ] {
            let found = super::images(&answer, &names);
            assert_eq!(found, [image(&names[0], "1", (50, 30), 2), image(&digest, "3", (7, 7), 1)]);
            let found = super::volumes(&answer);
            assert_eq!(
                found.iter().map(|one| (one.bytes, one.is_used)).collect::<Vec<_>>(),
                [(Some(7), true), (None, false)]
            );
        }
    }

    #[test]
    fn an_image_gives_its_bytes_back_with_the_last_of_its_names() {
        let (one, other) = (image("x", "1", (50, 30), 2), image("y", "1", (50, 30), 2));
        assert_eq!(freed(&[&one]), (0, false));
        assert_eq!(freed(&[&one, &other]), (30, false));
        let unknown = HeldImage { unique: None, ..image("u", "5", (9, 9), 1) };
        assert_eq!(freed(&[&unknown]), (0, true));
        let used = HeldImage { is_used: true, ..image("z", "2", (9, 9), 1) };
        assert_eq!(freed(&[&used]), (0, false));
        assert_eq!(freed(&[&image("a", "3", (9, 5), 1), &image("b", "4", (9, 5), 1)]), (10, true));
    }

    #[test]
    fn names_that_mean_the_same_image_are_the_same() {
        for name in ["python", "python:latest", "library/python", "docker.io/library/python:latest"] {
            assert_eq!(full_name(name), "python:latest");
        }
        assert_eq!(full_name("localhost:5000/x"), "localhost:5000/x:latest");
    }
}
