//! Which images in an engine are ours: those on record that still are what they were when they came, and those that
//! carry the labels of our builds. A name alone makes none ours: it may have been given to another image since.

use deskgrid_docker::{Engine, HeldImage};
use deskgrid_job::Time;
use deskgrid_store::{Change, ImageRecord, Origin};

/// The images in an engine that are on record, and what the record has to learn.
#[derive(Debug, Default)]
pub(super) struct Owned {
    /// Each with its record. One without an id there may be somebody else's.
    pub(super) images: Vec<(HeldImage, ImageRecord)>,
    /// What is gone, and what was found to be ours.
    pub(super) changes: Vec<Change>,
}

/// What is noted of an image that we bring into `engine` now; without an id, of one that is on its way.
pub(crate) fn record(engine: &Engine, name: &str, id: Option<&str>, origin: Origin) -> ImageRecord {
    ImageRecord {
        engine: engine.info().id.clone(),
        name: name.to_owned(),
        id: id.map(str::to_owned),
        origin,
        used_at: Time::now(),
        is_unwanted: false,
    }
}

/// Whether this record speaks of the engine. One of an older program may speak of any.
pub(super) fn is_in(record: &ImageRecord, engine: &str) -> bool {
    record.engine.is_empty() || record.engine == engine
}

/// Compares what `engine` holds with the records. Those of other engines are left as they are, and so are those of
/// images that are `coming`, by their names, and not there yet.
pub(super) fn compare(
    engine: &str,
    records: &[ImageRecord],
    held: &[HeldImage],
    coming: impl Fn(&str) -> bool,
) -> Owned {
    let mut owned = Owned::default();
    for record in records.iter().filter(|record| is_in(record, engine)) {
        let image = held.iter().find(|image| image.name == record.name);
        match image.filter(|image| record.id.as_ref().is_none_or(|id| *id == image.id)) {
            // Its labels say more, see below.
            Some(image) if record.id.is_none() && image.is_built => {}
            Some(image) => owned.images.push((image.clone(), record.clone())),
            None if record.id.is_none() && coming(&record.name) => {}
            // Somebody else has removed it: should its name come back, then by somebody else's hand.
            None => owned.changes.push(Change::ImageGone(record.clone())),
        }
    }
    for record in adopted(engine, records, held) {
        let image = held.iter().find(|image| image.name == record.name);
        owned.images.extend(image.map(|image| (image.clone(), record.clone())));
        owned.changes.push(Change::ImageBrought(record));
    }
    owned
}

/// Records of the images that were built for us and are not on record as what they are: we died between the two, or an
/// older program built them.
pub(super) fn adopted(engine: &str, records: &[ImageRecord], held: &[HeldImage]) -> Vec<ImageRecord> {
    let adopt = |image: &HeldImage| {
        let noted = records.iter().find(|record| is_in(record, engine) && record.name == image.name);
        let is_known = noted.is_some_and(|record| record.id.as_ref() == Some(&image.id));
        let noted = noted.filter(|record| record.id.is_none());
        (image.is_built && !is_known).then(|| ImageRecord {
            engine: engine.to_owned(),
            name: image.name.clone(),
            id: Some(image.id.clone()),
            origin: Origin::Built,
            used_at: noted.map_or(image.made_at, |record| record.used_at),
            is_unwanted: noted.is_some_and(|record| record.is_unwanted),
        })
    };
    held.iter().filter_map(adopt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(engine: &str, name: &str, id: Option<&str>) -> ImageRecord {
        ImageRecord {
            engine: engine.to_owned(),
            name: name.to_owned(),
            id: id.map(str::to_owned),
            origin: Origin::Pulled,
            used_at: Time(1),
            is_unwanted: false,
        }
    }

    fn held(name: &str, id: &str) -> HeldImage {
        HeldImage { name: name.to_owned(), id: id.to_owned(), made_at: Time(7), ..HeldImage::default() }
    }

    /// Names of what is ours, of what is gone, and of what is adopted.
    fn compared(records: &[ImageRecord], images: &[HeldImage]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let owned = compare("e", records, images, |_| false);
        let (mut gone, mut adopted) = (Vec::new(), Vec::new());
        for change in owned.changes {
            match change {
                Change::ImageGone(record) => gone.push(record.name),
                Change::ImageBrought(record) => adopted.push(record.name),
                other => panic!("{other:?}"),
            }
        }
        (owned.images.into_iter().map(|(image, _)| image.name).collect(), gone, adopted)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_image_is_ours_while_its_name_stands_for_what_we_brought() {
        let records = [record("e", "same", Some("1")), record("e", "other", Some("2"))];
        let images = [held("same", "1"), held("other", "9"), held("never ours", "3")];
        assert_eq!(compared(&records, &images), (names(&["same"]), names(&["other"]), vec![]));
        assert_eq!(compared(&records, &[]), (vec![], names(&["same", "other"]), vec![]));
    }

    #[test]
    fn what_another_engine_has_is_neither_ours_here_nor_gone() {
        let records = [record("f", "there", Some("1")), record("f", "both", Some("1"))];
        assert_eq!(compared(&records, &[held("both", "1")]), (vec![], vec![], vec![]));
    }

    #[test]
    fn what_was_noted_by_its_name_alone_is_listed_while_it_is_there_and_then_forgotten() {
        let records = [record("", "old", None), record("e", "on its way", None), record("", "away", None)];
        let images = [held("old", "1"), held("on its way", "2")];
        assert_eq!(compared(&records, &images), (names(&["old", "on its way"]), names(&["away"]), vec![]));
        assert!(
            compare("e", &records, &images, |_| false).images.iter().all(|(_, record)| record.id.is_none())
        );
    }

    #[test]
    fn what_is_on_its_way_is_neither_there_nor_gone() {
        let records = [record("e", "coming", None), record("e", "broken off", None)];
        let owned = compare("e", &records, &[], |name| name == "coming");
        assert!(owned.images.is_empty());
        let gone: Vec<_> = owned.changes.iter().map(|change| format!("{change:?}")).collect();
        assert!(gone.len() == 1 && gone[0].contains("broken off"), "{gone:?}");
    }

    #[test]
    fn an_image_with_the_labels_of_our_build_is_ours_whatever_is_on_record() {
        let built = HeldImage { is_built: true, ..held("b", "2") };
        let old = ImageRecord { used_at: Time(99), is_unwanted: true, ..record("", "b", None) };
        for (records, gone, used_at) in [
            (vec![], vec![], 7),
            (vec![old], vec![], 99),
            // Built again, and we died before that was noted.
            (vec![record("e", "b", Some("1"))], names(&["b"]), 7),
            (vec![record("f", "b", Some("2"))], vec![], 7),
        ] {
            assert_eq!(
                compared(&records, std::slice::from_ref(&built)),
                (names(&["b"]), gone, names(&["b"]))
            );
            let (_, record) =
                compare("e", &records, std::slice::from_ref(&built), |_| false).images.remove(0);
            assert_eq!((record.id.as_deref(), record.used_at.0), (Some("2"), used_at));
        }
        let known = [ImageRecord { origin: Origin::Built, ..record("e", "b", Some("2")) }];
        assert_eq!(compared(&known, &[built]), (names(&["b"]), vec![], vec![]));
    }
}
