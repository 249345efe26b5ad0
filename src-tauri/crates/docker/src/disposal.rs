//! Removing what the engine keeps for us, and how much that frees. An image is removed as what it was when it came to
//! us: one that got its name meanwhile is not touched.

use std::collections::HashMap;

use bollard::query_parameters::{RemoveImageOptions, RemoveVolumeOptions};
use serde_json::json;

use crate::engine::{Engine, QUESTION, WORK};
use crate::error::EngineError;
use crate::holdings::{HeldImage, References, full_name};

/// What became of an image that was to lose a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// It went.
    Image,
    /// It stays under other names.
    Name,
    /// Nothing, since it had no such name any more.
    Nothing,
}

/// How well a number of bytes is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certainty {
    /// To the byte.
    #[default]
    Exact,
    /// It may be more: the engine does not tell what images share that go together.
    AtLeast,
    /// It may be less, as the engine's builder may keep what it made, or somebody else's work was measured too.
    About,
}

impl Certainty {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtLeast => "atLeast",
            Self::About => "about",
        }
    }
}

/// The bytes that the engine gives back when these images lose these names.
pub fn freed(images: &[&HeldImage]) -> (u64, Certainty) {
    let mut going: HashMap<&str, Vec<&HeldImage>> = HashMap::new();
    for image in images {
        going.entry(&image.id).or_default().push(image);
    }
    let gone = going.values().filter(|names| names.len() >= names[0].names && !names[0].is_used);
    calculated(&gone.map(|names| names[0]).collect::<Vec<_>>())
}

/// The bytes that the engine gave back when these images went, where it had so many bytes of layers before and after.
/// What is known without that is not taken from it: others come and go in the engine too.
pub fn freed_by(gone: &[&HeldImage], layers: Option<(u64, u64)>) -> (u64, Certainty) {
    let (calculated, certainty) = calculated(gone);
    let Some((before, after)) = layers.filter(|_| certainty != Certainty::Exact) else {
        return (calculated, certainty);
    };
    let least = gone.iter().filter(|image| !image.is_built).filter_map(|image| image.unique).sum();
    let most: u64 = gone.iter().map(|image| image.bytes).sum();
    (before.saturating_sub(after).clamp(least, most.max(least)), Certainty::About)
}

fn calculated(gone: &[&HeldImage]) -> (u64, Certainty) {
    let sharing = gone.iter().filter(|image| image.unique.is_some_and(|unique| unique < image.bytes)).count();
    let is_unknown = gone.iter().any(|image| image.unique.is_none());
    let certainty = if gone.iter().any(|image| image.is_built) {
        Certainty::About
    } else if sharing > 1 || is_unknown {
        Certainty::AtLeast
    } else {
        Certainty::Exact
    };
    (gone.iter().filter_map(|image| image.unique).sum(), certainty)
}

impl Engine {
    /// Takes the name `name` away from the image `id`, and from no other.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when a container uses it.
    pub async fn remove_image(&self, name: &str, id: &str) -> Result<Disposal, EngineError> {
        let name = full_name(name);
        let inspect = self.docker().inspect_image(id);
        let Some(found) = gone(self.call("looking for an image", QUESTION, inspect).await)? else {
            return Ok(Disposal::Nothing);
        };
        let known =
            References::of(&json!({ "RepoTags": found.repo_tags, "RepoDigests": found.repo_digests }));
        if !known.all.contains(&name) {
            return Ok(Disposal::Nothing);
        }
        // By its id where that does: should another image get the name in this very moment, that one stays.
        let target = if known.counted == 1 { id } else { &name };
        let call = self.docker().remove_image(target, None::<RemoveImageOptions>, None);
        let Some(parts) = gone(self.call("removing an image", WORK, call).await)? else {
            return Ok(Disposal::Nothing);
        };
        let went = parts.iter().any(|part| part.deleted.is_some());
        Ok(if went { Disposal::Image } else { Disposal::Name })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, (bytes, unique): (u64, u64), names: usize) -> HeldImage {
        HeldImage { id: id.to_owned(), bytes, unique: Some(unique), names, ..HeldImage::default() }
    }

    #[test]
    fn an_image_gives_its_bytes_back_with_the_last_of_its_names() {
        let (one, other) = (image("1", (50, 30), 2), image("1", (50, 30), 2));
        assert_eq!(freed(&[&one]), (0, Certainty::Exact));
        assert_eq!(freed(&[&one, &other]), (30, Certainty::Exact));
        let unknown = HeldImage { unique: None, ..image("5", (9, 9), 1) };
        assert_eq!(freed(&[&unknown]), (0, Certainty::AtLeast));
        let used = HeldImage { is_used: true, ..image("2", (9, 9), 1) };
        assert_eq!(freed(&[&used]), (0, Certainty::Exact));
        let both = [&image("3", (9, 5), 1), &image("4", (9, 5), 1)];
        assert_eq!(freed(&both), (10, Certainty::AtLeast));
    }

    #[test]
    fn what_the_builder_may_keep_is_an_estimate() {
        let built = HeldImage { is_built: true, ..image("1", (50, 30), 1) };
        assert_eq!(freed(&[&built]), (30, Certainty::About));
    }

    #[test]
    fn what_became_free_is_measured_where_it_cannot_be_known() {
        let (alone, built) = (image("1", (9, 9), 1), HeldImage { is_built: true, ..image("2", (50, 30), 1) });
        assert_eq!(freed_by(&[&alone], Some((100, 10))), (9, Certainty::Exact));
        assert_eq!(freed_by(&[&built], Some((100, 98))), (2, Certainty::About));
        // Of what others did meanwhile no more is taken for ours than can be.
        assert_eq!(freed_by(&[&built], Some((100, 0))), (50, Certainty::About));
        assert_eq!(freed_by(&[&built, &alone], Some((100, 300))), (9, Certainty::About));
        assert_eq!(freed_by(&[&built], None), (30, Certainty::About));
        let sharing = [&image("3", (9, 5), 1), &image("4", (9, 5), 1)];
        assert_eq!(freed_by(&sharing, Some((100, 86))), (14, Certainty::About));
    }
}
