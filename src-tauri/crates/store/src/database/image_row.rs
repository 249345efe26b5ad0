//! What is on record of images and of the downloads that they are built from.
//!
//! Whether an image is in its engine is not known here.

use deskgrid_job::{BlobHash, JobId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::cache_rows::listed;
use super::change::run;
use super::{signed, unsigned};
use crate::error::StoreError;

/// How an image came into the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// From a registry.
    Pulled,
    /// Made here for a `build` block.
    Built,
}

impl Origin {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulled => "pulled",
            Self::Built => "built",
        }
    }

    fn parse(word: &str) -> Self {
        if word == Self::Built.as_str() { Self::Built } else { Self::Pulled }
    }
}

/// An image that we brought into an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// By what the engine is known; empty where an older program noted it.
    pub engine: String,
    /// Its name.
    pub name: String,
    /// Its id, by which it is known from another that got its name. None of one that was on its way when it was noted,
    /// and of what an older program noted: whether what has its name now is ours, nobody can say.
    pub id: Option<String>,
    /// How it came there.
    pub origin: Origin,
    /// When a job last used it.
    pub used_at: Time,
    /// Whether it is to go as soon as it can; it does not any more when a job uses it.
    pub is_unwanted: bool,
}

/// An image that a job had: the same under each of its names, and another one than what has its name elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedImage {
    /// The engine that has it, see [`ImageRecord::engine`].
    pub engine: String,
    /// Its id.
    pub id: String,
    /// The name by which the job had it, for what is on record by the name alone.
    pub name: String,
}

/// A download that builds are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRecord {
    /// Its address without credentials.
    pub key: String,
    /// What its server calls this state of it.
    pub etag: Option<String>,
    /// Whether what the address stands for never changes.
    pub is_pinned: bool,
    /// The stored file that has its bytes; it may be gone.
    pub hash: BlobHash,
    /// When a build last used it.
    pub used_at: Time,
}

/// The jobs that are kept or not over, each with its image.
const HOLDERS: &str =
    "(SELECT job, job_image.image AS image FROM job_image JOIN job ON job.id = job_image.job
                        WHERE phase IN ('Queued', 'Running', 'Success', 'Error', 'TimedOut'))";

const CONTEXT: &str = "SELECT key, etag, pinned, hash, used_at FROM context";

/// One record for each name in an engine. What an older program noted by the name alone gives way to it; one that is on
/// its way gives way to one that is there, which another run that waits for it may have noted already.
pub(super) fn brought(to: &Connection, image: &ImageRecord) -> Result<(), StoreError> {
    const SQL: &str =
        "INTO image (engine, name, id, origin, used_at, unwanted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let ImageRecord { engine, name, id, origin, used_at, is_unwanted } = image;
    run(to, "DELETE FROM image WHERE engine = '' AND name = ?1", [name])?;
    let verb = if id.is_some() { "INSERT OR REPLACE" } else { "INSERT OR IGNORE" };
    run(
        to,
        &format!("{verb} {SQL}"),
        params![engine, name, id, origin.as_str(), signed(used_at.0), is_unwanted],
    )
}

pub(super) fn came(to: &Connection, image: &ImageRecord) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE image SET id = ?3, used_at = ?4, unwanted = ?5 WHERE engine = ?1 AND name = ?2";
    let ImageRecord { engine, name, id, used_at, is_unwanted, .. } = image;
    run(to, SQL, params![engine, name, id, signed(used_at.0), is_unwanted])
}

pub(super) fn used(to: &Connection, image: &UsedImage, at: Time) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE image SET used_at = ?1, unwanted = 0
                       WHERE (engine = ?2 AND id = ?3) OR (engine IN (?2, '') AND id IS NULL AND name = ?4)";
    run(to, SQL, params![signed(at.0), image.engine, image.id, image.name])
}

/// In this engine, or in all.
pub(super) fn unwanted(to: &Connection, image: &str, engine: Option<&str>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE image SET unwanted = 1 WHERE name = ?1 AND (?2 IS NULL OR engine = ?2)";
    run(to, SQL, params![image, engine])
}

pub(super) fn gone(to: &Connection, image: &ImageRecord) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM image WHERE engine = ?1 AND name = ?2 AND id IS ?3";
    run(to, SQL, params![image.engine, image.name, image.id])
}

pub(super) fn given_up(to: &Connection, image: &ImageRecord) -> Result<(), StoreError> {
    run(to, "DELETE FROM image WHERE engine = ?1 AND name = ?2", [&image.engine, &image.name])
}

pub(super) fn of_job(to: &Connection, id: &JobId, image: &str) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO job_image (job, image) VALUES (?1, ?2)
                       ON CONFLICT DO UPDATE SET image = excluded.image";
    run(to, SQL, params![id.as_str(), image])
}

pub(super) fn save_context(to: &Connection, context: &ContextRecord) -> Result<(), StoreError> {
    const SQL: &str = "INSERT OR REPLACE INTO context (key, etag, pinned, hash, used_at)
                       VALUES (?1, ?2, ?3, ?4, ?5)";
    let ContextRecord { key, etag, is_pinned, hash, used_at } = context;
    run(to, SQL, params![key, etag, is_pinned, hash.0, signed(used_at.0)])
}

pub(super) fn context_used(to: &Connection, key: &str, at: Time) -> Result<(), StoreError> {
    run(to, "UPDATE context SET used_at = ?2 WHERE key = ?1", params![key, signed(at.0)])
}

pub(super) fn all(from: &Connection) -> Result<Vec<ImageRecord>, StoreError> {
    listed(from, "SELECT engine, name, id, origin, used_at, unwanted FROM image", |row| {
        Ok(ImageRecord {
            engine: row.get(0)?,
            name: row.get(1)?,
            id: row.get(2)?,
            origin: Origin::parse(&row.get::<_, String>(3)?),
            used_at: Time(unsigned(row.get(4)?)),
            is_unwanted: row.get(5)?,
        })
    })
}

pub(super) fn all_of_jobs(from: &Connection) -> Result<Vec<(JobId, String)>, StoreError> {
    with_jobs(from, "SELECT job, image FROM job_image")
}

/// The jobs for whose sake images that we built are kept: those that are kept themselves or not over.
pub(super) fn all_built_for(from: &Connection) -> Result<Vec<(JobId, String)>, StoreError> {
    with_jobs(
        from,
        &format!(
            "SELECT job, image FROM {HOLDERS} WHERE image IN (SELECT name FROM image WHERE origin = 'built')"
        ),
    )
}

fn with_jobs(from: &Connection, sql: &str) -> Result<Vec<(JobId, String)>, StoreError> {
    let rows = listed(from, sql, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().filter_map(|(id, image)| Some((JobId::new(&id).ok()?, image))).collect())
}

pub(super) fn job_image(from: &Connection, id: &JobId) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT image FROM job_image WHERE job = ?1";
    Ok(from.prepare_cached(SQL)?.query_row([id.as_str()], |row| row.get(0)).optional()?)
}

/// Whether we built this image, the person does not keep it, and no job that is kept or not over has it.
pub(super) fn is_unused_build(from: &Connection, image: &str) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM image WHERE name = ?1 AND origin = 'built')
         AND NOT EXISTS (SELECT 1 FROM pin WHERE kind = 'image' AND id = ?1)
         AND NOT EXISTS (SELECT 1 FROM {HOLDERS} WHERE image = ?1)"
    );
    Ok(from.prepare_cached(&sql)?.query_row([image], |row| row.get(0))?)
}

pub(super) fn contexts(from: &Connection) -> Result<Vec<ContextRecord>, StoreError> {
    listed(from, CONTEXT, read_context)
}

pub(super) fn context(from: &Connection, key: &str) -> Result<Option<ContextRecord>, StoreError> {
    let sql = format!("{CONTEXT} WHERE key = ?1");
    Ok(from.prepare_cached(&sql)?.query_row([key], read_context).optional()?)
}

fn read_context(row: &Row<'_>) -> rusqlite::Result<ContextRecord> {
    Ok(ContextRecord {
        key: row.get(0)?,
        etag: row.get(1)?,
        is_pinned: row.get(2)?,
        hash: BlobHash(row.get(3)?),
        used_at: Time(unsigned(row.get(4)?)),
    })
}

#[cfg(test)]
mod tests {
    use crate::{Change, Store};

    use super::*;

    fn record(key: &str, etag: &str, number: u8) -> ContextRecord {
        ContextRecord {
            key: key.to_owned(),
            etag: Some(etag.to_owned()),
            is_pinned: number > 5,
            hash: BlobHash([number; 32]),
            used_at: Time(u64::from(number)),
        }
    }

    fn image(engine: &str, name: &str, id: Option<&str>) -> ImageRecord {
        ImageRecord {
            engine: engine.to_owned(),
            name: name.to_owned(),
            id: id.map(str::to_owned),
            origin: Origin::Pulled,
            used_at: Time(1),
            is_unwanted: false,
        }
    }

    fn used(engine: &str, id: &str, name: &str) -> UsedImage {
        UsedImage { engine: engine.to_owned(), id: id.to_owned(), name: name.to_owned() }
    }

    fn brought(name: &str, origin: Origin, at: u64) -> Change {
        Change::ImageBrought(ImageRecord { origin, used_at: Time(at), ..image("e", name, Some("1")) })
    }

    #[tokio::test]
    async fn a_download_is_found_by_its_key_and_replaced_by_a_newer_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (old, new) = (record("https://x/y", "1", 1), record("https://x/y", "2", 9));
        store.commit(vec![Change::Context(old)]).await.unwrap();
        store.commit(vec![Change::Context(new.clone())]).await.unwrap();
        assert_eq!(store.context("https://x/y").await.unwrap(), Some(new.clone()));
        assert_eq!(store.cache_records().await.unwrap().contexts, [new]);
        store.commit(vec![Change::ContextUsed("https://x/y".into(), Time(50))]).await.unwrap();
        assert_eq!(store.context("https://x/y").await.unwrap().unwrap().used_at, Time(50));
        store.commit(vec![Change::ContextGone("https://x/y".into())]).await.unwrap();
        assert_eq!(store.context("https://x/y").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_built_image_is_unused_when_no_kept_job_has_it_and_nobody_pinned_it() {
        use deskgrid_job::{Phase, Reason};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let job = |name: &str, phase| {
            let id = JobId::new(name).unwrap();
            [Change::Save(crate::tests::job(name, phase, 1)), Change::JobImage { id, image: "b".into() }]
        };
        store.commit(vec![brought("b", Origin::Built, 1), brought("p", Origin::Pulled, 1)]).await.unwrap();
        store.commit(job("kept", Phase::Finished(Reason::Success)).into()).await.unwrap();
        store.commit(job("cancelled", Phase::Finished(Reason::Cancelled)).into()).await.unwrap();
        let unused = async |image: &str| store.is_unused_build(image).await.unwrap();
        assert!(!unused("b").await && !unused("p").await && !unused("unknown").await);
        let built_for = async || store.cache_records().await.unwrap().built_for;
        assert_eq!(built_for().await, [(JobId::new("kept").unwrap(), "b".to_owned())]);
        store.commit(vec![Change::Erase(JobId::new("kept").unwrap())]).await.unwrap();
        assert!(unused("b").await && !unused("p").await);
        store.commit(vec![Change::Pin { kind: "image".into(), id: "b".into(), is_on: true }]).await.unwrap();
        assert!(!unused("b").await);
    }

    #[tokio::test]
    async fn images_are_told_apart_by_their_origin_and_the_job_s_goes_with_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let id = JobId::new("a").unwrap();
        let changes = vec![
            Change::ImageBrought(ImageRecord { id: Some("2".into()), ..image("e", "p", None) }),
            brought("b", Origin::Built, 2),
            Change::ImageUsed(used("e", "2", "p"), Time(3)),
            Change::ImageUsed(used("e", "3", "the person's own"), Time(3)),
            Change::JobImage { id: id.clone(), image: "old".into() },
            Change::JobImage { id: id.clone(), image: "b".into() },
        ];
        store.commit(changes).await.unwrap();
        let records = store.cache_records().await.unwrap();
        let found: Vec<_> = records.images.iter().map(|i| (i.name.as_str(), i.origin, i.used_at.0)).collect();
        assert_eq!(found, [("b", Origin::Built, 2), ("p", Origin::Pulled, 3)]);
        assert_eq!(records.job_images, [(id.clone(), "b".to_owned())]);
        assert_eq!(store.job_image(&id).await.unwrap().as_deref(), Some("b"));
        let gone = Change::ImageGone(image("e", "b", Some("1")));
        store.commit(vec![Change::Erase(id.clone()), gone]).await.unwrap();
        let records = store.cache_records().await.unwrap();
        assert!(records.job_images.is_empty() && records.images.len() == 1);
    }

    async fn images(store: &Store) -> Vec<ImageRecord> {
        store.cache_records().await.unwrap().images
    }

    #[tokio::test]
    async fn an_image_is_on_record_once_for_each_engine_and_goes_as_the_one_that_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let [here, there, old, coming] =
            [("e", Some("1")), ("f", Some("1")), ("", None), ("g", None)].map(|(e, id)| image(e, "x", id));
        let commit = async |changes| store.commit(changes).await.unwrap();
        commit(vec![Change::ImageBrought(old)]).await;
        // A program that knows what it brings takes the place of what an older one noted.
        commit([&here, &there, &coming].map(|image| Change::ImageBrought(image.clone())).into()).await;
        commit(vec![Change::ImageBrought(image("f", "x", None))]).await;
        assert_eq!(images(&store).await, [here.clone(), there.clone(), coming.clone()]);
        // It came meanwhile, so that what was seen to be missing is not what is on record now.
        let came = image("g", "x", Some("2"));
        commit(vec![Change::ImageBrought(came.clone())]).await;
        commit(vec![Change::ImageGone(coming), Change::ImageGone(here)]).await;
        assert_eq!(images(&store).await, [there, came]);
    }

    #[tokio::test]
    async fn what_somebody_else_made_theirs_while_it_was_on_its_way_does_not_become_ours_when_it_is_here() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let commit = async |change| store.commit(vec![change]).await.unwrap();
        let (coming, came) = (image("e", "x", None), image("e", "x", Some("1")));
        commit(Change::ImageBrought(coming.clone())).await;
        commit(Change::ImageCame(came.clone())).await;
        assert_eq!(images(&store).await, std::slice::from_ref(&came));
        // Whoever gave it up had read of it before it was here.
        commit(Change::ImageGivenUp(coming)).await;
        commit(Change::ImageCame(came.clone())).await;
        assert_eq!(images(&store).await, []);
        // Another one in the place of what was not known to be gone.
        commit(Change::ImageBrought(came)).await;
        commit(Change::ImageBrought(image("e", "x", None))).await;
        commit(Change::ImageCame(image("e", "x", Some("2")))).await;
        assert_eq!(images(&store).await, [image("e", "x", Some("2"))]);
    }

    #[tokio::test]
    async fn an_image_that_is_to_go_stays_when_a_job_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let unwanted = async || {
            let images = images(&store).await;
            images.into_iter().filter(|image| image.is_unwanted).map(|image| image.engine).collect::<Vec<_>>()
        };
        let all = ["e", "f"].map(|engine| Change::ImageBrought(image(engine, "x", Some("1"))));
        store.commit(all.into()).await.unwrap();
        let unwant = |engine: Option<&str>| {
            vec![Change::ImageUnwanted { name: "x".into(), engine: engine.map(str::to_owned) }]
        };
        store.commit(unwant(Some("f"))).await.unwrap();
        assert_eq!(unwanted().await, ["f"]);
        store.commit(unwant(None)).await.unwrap();
        assert_eq!(unwanted().await, ["e", "f"]);
        store.commit(vec![Change::ImageUsed(used("e", "1", "x"), Time(9))]).await.unwrap();
        assert_eq!(unwanted().await, ["f"], "what has its name elsewhere was not used");
    }

    #[tokio::test]
    async fn an_image_was_used_under_each_of_its_names_and_not_in_another_engine() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let all = [
            image("e", "x", Some("1")),
            image("e", "x:latest", Some("1")),
            image("e", "other", Some("2")),
            image("f", "x", Some("1")),
            image("f", "x:old", None),
            image("", "x:old", None),
        ];
        store.commit(all.map(Change::ImageBrought).into()).await.unwrap();
        store.commit(vec![Change::ImageUsed(used("e", "1", "x:old"), Time(9))]).await.unwrap();
        let mut found: Vec<_> =
            images(&store).await.into_iter().filter(|image| image.used_at == Time(9)).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let found: Vec<_> = found.iter().map(|image| (image.engine.as_str(), image.name.as_str())).collect();
        assert_eq!(found, [("e", "x"), ("e", "x:latest"), ("", "x:old")]);
    }
}
