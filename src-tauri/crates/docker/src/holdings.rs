//! What the engine keeps for us: images that we brought and the caches of jobs, with their sizes. Volumes and images that
//! were built for us have our labels; of all other images the caller says which may be ours. Their removal is in
//! `disposal`.
//!
//! What the engine's own builder keeps for later builds is the person's: it is neither listed nor touched.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::query_parameters::{ListImagesOptions, ListImagesOptionsBuilder, ListVolumesOptionsBuilder};
use deskgrid_job::{BUILT_IMAGES, Time};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::LABEL_BUILDER;
use crate::build::BUILD_LABEL;
use crate::engine::{Engine, QUESTION};
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

/// An image that may be ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Whether it was built for this worker under this name, by its labels.
    pub is_built: bool,
    /// When it was made.
    pub made_at: Time,
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
    /// Those of the images that were asked for which it has, and those that were built for us.
    pub images: Vec<HeldImage>,
    /// The volumes that were made for our jobs.
    pub volumes: Vec<HeldVolume>,
    /// Bytes of the layers of all its images, whosever they are, where it told them in time.
    pub layers: Option<u64>,
}

impl Engine {
    /// Looks for the images of these names, for those that were built for `worker`, and for the volumes of our jobs.
    pub async fn holdings(&self, names: &[String], worker: &str) -> Result<EngineHoldings, EngineError> {
        let answer = match self.measured().await {
            Ok(answer) => answer,
            Err(error) if error.is_engine_lost() && !matches!(error, EngineError::TimedOut { .. }) => {
                return Err(error);
            }
            Err(_) => self.listed().await?,
        };
        Ok(EngineHoldings {
            images: images(&answer, names, worker),
            volumes: volumes(&answer),
            layers: layers(&answer),
        })
    }

    /// The images that were built for `worker`, which is a quick look.
    pub async fn built_images(&self, worker: &str) -> Result<Vec<HeldImage>, EngineError> {
        let filters = HashMap::from([("label", vec![format!("{LABEL_BUILDER}={worker}")])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let found =
            self.call("listing its images", QUESTION, self.docker().list_images(Some(options))).await?;
        Ok(images(&json!({ "Images": found }), &[], worker))
    }

    /// The same images without what they share and who uses them, which is a quick look.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn held_images(&self, names: &[String], worker: &str) -> Result<Vec<HeldImage>, EngineError> {
        let images = self.docker().list_images(None::<ListImagesOptions>);
        let images = self.call("listing its images", QUESTION, images).await?;
        Ok(self::images(&json!({ "Images": images }), names, worker))
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

fn images(answer: &Value, names: &[String], worker: &str) -> Vec<HeldImage> {
    let mut found = Vec::new();
    for image in part(answer, "Images", "ImageUsage") {
        let known = References::of(image);
        let asked = names.iter().filter(|name| known.all.contains(&full_name(name)));
        let built = known.all.iter().filter(|name| is_built(image, name, worker));
        let listed: BTreeSet<_> = asked.chain(built.filter(|name| !names.contains(name))).collect();
        found.extend(listed.into_iter().map(|name| held(image, name, &known, worker)));
    }
    found
}

fn held(image: &Value, name: &str, known: &References, worker: &str) -> HeldImage {
    let bytes = image["Size"].as_u64().unwrap_or(0);
    // It is -1 where it was not measured.
    let shared = image["SharedSize"].as_u64();
    HeldImage {
        name: name.to_owned(),
        id: image["Id"].as_str().unwrap_or_default().to_owned(),
        bytes,
        unique: shared.map(|shared| bytes.saturating_sub(shared)),
        names: known.counted,
        is_used: image["Containers"].as_i64().is_some_and(|count| count > 0),
        is_built: is_built(image, name, worker),
        // In seconds.
        made_at: Time(image["Created"].as_u64().unwrap_or(0).saturating_mul(1000)),
    }
}

/// An image that the person makes of ours has our labels too, but not the name that belongs to them.
fn is_built(image: &Value, name: &str, worker: &str) -> bool {
    let labels = &image["Labels"];
    let tag = name.strip_prefix(BUILT_IMAGES).and_then(|rest| rest.strip_prefix(':'));
    labels[LABEL_BUILDER] == worker && tag.is_some_and(|tag| labels[BUILD_LABEL] == tag)
}

/// Bytes of all layers, in either form of the answer.
fn layers(answer: &Value) -> Option<u64> {
    answer["LayersSize"].as_u64().or_else(|| answer["ImageUsage"]["TotalSize"].as_u64())
}

/// The names of an image.
pub(crate) struct References {
    pub(crate) all: HashSet<String>,
    /// How many keep it: a digest goes with the last tag of its repository.
    pub(crate) counted: usize,
}

impl References {
    /// Reads them off the engine's description of an image.
    pub(crate) fn of(image: &Value) -> Self {
        let listed = |field: &str| {
            let names = image[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            names.filter(|name| !name.contains("<none>")).map(full_name).collect::<BTreeSet<_>>()
        };
        let (tags, digests) = (listed("RepoTags"), listed("RepoDigests"));
        let repository =
            |tag: &str| tag.rsplit_once(':').map_or(tag, |(repository, _)| repository).to_owned();
        let tagged: HashSet<_> = tags.iter().map(|tag| repository(tag)).collect();
        let is_alone = |digest: &&String| {
            digest.split_once('@').is_none_or(|(repository, _)| !tagged.contains(repository))
        };
        let counted = tags.len() + digests.iter().filter(is_alone).count();
        Self { all: tags.into_iter().chain(digests).collect(), counted }
    }
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
        let (name, id, unique) = (name.to_owned(), id.to_owned(), Some(unique));
        HeldImage { name, id, bytes, unique, names, made_at: Time(7000), ..HeldImage::default() }
    }

    #[test]
    fn both_forms_of_the_answer_are_read() {
        let images = json!([
            { "Id": "1", "RepoTags": ["python:3", "mine:1"], "RepoDigests": ["python@sha256:00"], "Size": 50,
              "SharedSize": 20, "Containers": 0, "Created": 7, "Labels": null },
            { "Id": "2", "RepoTags": ["other:1"], "RepoDigests": null, "Size": 5, "SharedSize": -1, "Containers": 1 },
            { "Id": "3", "RepoTags": ["<none>:<none>"], "RepoDigests": [format!("x/y@sha256:{}", "a".repeat(64))],
              "Size": 7, "SharedSize": 0, "Containers": -1, "Created": 7 },
        ]);
        let volumes = json!([
            { "Name": "a", "Labels": { "deskgrid.job-cache": "" }, "UsageData": { "Size": 7, "RefCount": 1 } },
            { "Name": "unknown", "Labels": { "deskgrid.job-cache": "" }, "UsageData": { "Size": -1, "RefCount": 0 } },
            { "Name": "theirs", "Labels": null, "UsageData": { "Size": 9, "RefCount": 0 } },
        ]);
        let digest = format!("x/y@sha256:{}", "a".repeat(64));
        let names = ["docker.io/library/python:3".to_owned(), digest.clone(), "never-here".to_owned()];
        for answer in [
            json!({ "Images": images, "Volumes": volumes, "LayersSize": 60 }),
            json!({ "ImageUsage": { "Items": images, "TotalSize": 60 }, "VolumeUsage": { "Items": volumes } }),
        ] {
            assert_eq!(layers(&answer), Some(60));
            let found = super::images(&answer, &names, "w");
            assert_eq!(found, [image(&names[0], "1", (50, 30), 2), image(&digest, "3", (7, 7), 1)]);
            let found = super::volumes(&answer);
            assert_eq!(
                found.iter().map(|one| (one.bytes, one.is_used)).collect::<Vec<_>>(),
                [(Some(7), true), (None, false)]
            );
        }
    }

    #[test]
    fn an_image_that_was_built_for_us_is_found_by_its_labels_and_the_name_that_belongs_to_them() {
        let image = |tags: &[&str], worker: &str| {
            json!({ "Id": "1", "RepoTags": tags, "RepoDigests": null, "Size": 1,
                    "Labels": { "deskgrid.worker": worker, "deskgrid.build": "abc" } })
        };
        let found = |tags: &[&str], worker: &str, asked: &[String]| {
            let answer = json!({ "Images": [image(tags, worker)] });
            let found = super::images(&answer, asked, "w");
            found.into_iter().map(|image| (image.name, image.is_built)).collect::<Vec<_>>()
        };
        let ours = "deskgrid/build:abc";
        assert_eq!(found(&[ours, "mine:abc", "deskgrid/build:other"], "w", &[]), [(ours.to_owned(), true)]);
        assert_eq!(found(&[ours], "w", &[ours.to_owned()]), [(ours.to_owned(), true)]);
        assert_eq!(found(&[ours], "another", &[ours.to_owned()]), [(ours.to_owned(), false)]);
        assert_eq!(found(&[ours], "another", &[]), []);
    }

    #[test]
    fn names_that_mean_the_same_image_are_the_same() {
        for name in ["python", "python:latest", "library/python", "docker.io/library/python:latest"] {
            assert_eq!(full_name(name), "python:latest");
        }
        assert_eq!(full_name("localhost:5000/x"), "localhost:5000/x:latest");
    }
}
