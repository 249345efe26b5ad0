//! Brings a job's input and config files to where its container will see them.
//!
//! Small files are copied, so that the job may write to them. Big ones are mounted read-only from the store: that
//! costs no time, and not even root in the container can change a stored blob. Where mounts do not work the files
//! travel in one archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use deskgrid_docker::{Bind, Delivery};
use deskgrid_job::{
    BlobHash, BlobKey, ConfigPath, DataRef, Definition, Failure, FailureCode, FilePath, StageName,
};
use deskgrid_store::{Change, Scratch, Store, StoreError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Run;
use super::upload::{Parcel, Shipment};
use crate::disk;
use crate::fetch::Fetcher;

/// Files up to this size are copied and may be written to by the job.
const COPIED_UP_TO: u64 = 1_000_000;
/// Downloads of one job at a time.
const DOWNLOADS: usize = 4;
/// Where inputs are in the container.
const INPUTS: &str = "inputs";

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// In memory: they came inside the definition.
    Inline(Vec<u8>),
    /// In the store.
    Blob { hash: BlobHash, size: u64, path: PathBuf },
}

/// All files of a job by where they belong; a config file wins over an input of the same name.
pub(super) type Files = BTreeMap<ConfigPath, Content>;

/// Finds or downloads every file of `definition`.
///
/// # Errors
/// When one is not in the store or cannot be downloaded; the failure names it.
pub(super) async fn gather(run: &Run, definition: Definition) -> Result<Files, Failure> {
    let (store, fetcher) = (&run.kit.store, &run.kit.fetcher);
    let inputs = definition.inputs.into_iter().map(|(path, data)| (ConfigPath::Input(path), data));
    let wanted: BTreeMap<_, _> = inputs.chain(definition.config_files).collect();
    let (done, total) = (AtomicU64::new(0), wanted.len() as u64);
    let done = &done;
    stream::iter(wanted)
        .map(|(path, data)| async move {
            let content = content(store, fetcher, &path, data).await?;
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            run.pulse.progress(StageName::Inputs, Some(&path.to_string()), count, Some(total));
            Ok((path, content))
        })
        .buffer_unordered(DOWNLOADS)
        .try_collect()
        .await
}

/// The blobs among the inputs, so that they can be shown later under the job's own address.
pub(super) fn blobs(files: &Files) -> BTreeMap<FilePath, BlobHash> {
    let blob = |(path, content): (&ConfigPath, &Content)| match (path, content) {
        (ConfigPath::Input(path), Content::Blob { hash, .. }) => Some((path.clone(), *hash)),
        _ => None,
    };
    files.iter().filter_map(blob).collect()
}

/// Notes what downloads brought. Their definition does not name it, and nothing may go that a running job needs.
///
/// # Errors
/// When our own disk refuses.
pub(super) async fn note_downloads(run: &Run, definition: &Definition, files: &Files) -> Result<(), Failure> {
    let is_unnamed = |data: &DataRef| matches!(data, DataRef::Url { hash: None, .. });
    if !definition.inputs.values().chain(definition.config_files.values()).any(is_unnamed) {
        return Ok(());
    }
    let noted = Change::Inputs { id: run.id.clone(), files: blobs(files) };
    run.kit.store.commit(vec![noted]).await.map_err(disk::failure)
}

async fn content(
    store: &Store,
    fetcher: &Fetcher,
    path: &ConfigPath,
    data: DataRef,
) -> Result<Content, Failure> {
    let hash = match data {
        DataRef::Inline(bytes) => return Ok(Content::Inline(bytes)),
        DataRef::Url { url, hash, key } => {
            let names = hash.map(BlobKey::Hash).into_iter().chain(key);
            match stored(store, names).await {
                Ok(Some(hash)) => hash,
                // A damaged one is as good as none, as it can be had again.
                Ok(None) | Err(StoreError::DamagedFile { .. }) => fetcher.download(store, &url).await?,
                Err(error) => return Err(disk::failure(error)),
            }
        }
        DataRef::Key(key) => {
            let found = stored(store, [key.clone()])
                .await
                .map_err(|error| unusable(path, &key.to_string(), error))?;
            found.ok_or_else(|| missing(path, &key.to_string()))?
        }
    };
    let size = store.blobs().size(hash).await.map_err(disk::failure)?;
    let size = size.ok_or_else(|| missing(path, &hash.to_string()))?;
    Ok(Content::Blob { hash, size, path: store.blobs().path(hash) })
}

/// The first of `keys` that is stored here, and has the bytes that were put there.
async fn stored(
    store: &Store,
    keys: impl IntoIterator<Item = BlobKey>,
) -> Result<Option<BlobHash>, StoreError> {
    for key in keys {
        if let Some(hash) = store.blobs().resolve(&key).await?
            && store.blobs().open_sound(hash).await?.is_some()
        {
            store.blobs().note_use(hash).await;
            return Ok(Some(hash));
        }
    }
    Ok(None)
}

/// Why an input that should be stored here cannot be used.
fn unusable(path: &ConfigPath, key: &str, error: StoreError) -> Failure {
    if !matches!(error, StoreError::DamagedFile { .. }) {
        return disk::failure(error);
    }
    let words = format!(
        "The input {path} refers to the file {key}, which was damaged on this disk and has been set aside. Upload it \
         again (PUT /f/{key}), then run the job again."
    );
    Failure::new(FailureCode::InputDamaged, words)
}

fn missing(path: &ConfigPath, key: &str) -> Failure {
    Failure::new(
        FailureCode::InputUnavailable,
        format!(
            "The input {path} refers to the file {key}, which is not stored here. Upload it again \
             (PUT /f/{key}), then run the job again."
        ),
    )
}

/// How the files of a job reach its container.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// Mounts the container is created with.
    pub(super) binds: Vec<Bind>,
    /// What is sent into the container before it starts.
    pub(super) shipment: Option<Shipment>,
}

/// Puts every file in its place. Blocking.
///
/// # Errors
/// When our own disk refuses.
pub(super) fn place(files: Files, delivery: Delivery, scratch: &Scratch) -> Result<Placement, Failure> {
    match delivery {
        Delivery::Bind => place_in_folders(files, scratch).map_err(disk::failure),
        Delivery::ArchiveWithBinds => Ok(place_in_archive(files, COPIED_UP_TO)),
        Delivery::Archive => Ok(place_in_archive(files, u64::MAX)),
    }
}

fn place_in_folders(files: Files, scratch: &Scratch) -> std::io::Result<Placement> {
    let mut binds = vec![
        bind(&scratch.inputs(), format!("/{INPUTS}"), false),
        bind(&scratch.outputs(), "/outputs".to_owned(), false),
    ];
    for (number, (path, content)) in files.into_iter().enumerate() {
        let (ours, theirs) = match &path {
            ConfigPath::Input(path) => (below(&scratch.inputs(), path)?, format!("/{INPUTS}/{path}")),
            ConfigPath::Absolute(path) => (scratch.config().join(number.to_string()), format!("/{path}")),
        };
        let is_input = matches!(path, ConfigPath::Input(_));
        match content {
            Content::Blob { size, path, .. } if size > COPIED_UP_TO => {
                if is_input {
                    // The engine would make the mount point as root; made by us it can be removed by us.
                    std::fs::write(&ours, b"")?;
                }
                binds.push(bind(&path, theirs, true));
            }
            content => {
                write(&ours, &content)?;
                if !is_input {
                    binds.push(bind(&ours, theirs, false));
                }
            }
        }
    }
    Ok(Placement { binds, shipment: None })
}

fn bind(host: &Path, container: String, read_only: bool) -> Bind {
    // The store refuses data folders whose path is not UTF-8, so nothing is lost here.
    Bind { host: host.to_string_lossy().into_owned(), container, read_only }
}

/// The place of an input in our folder, with the folders above it, which any user of a container may write to.
fn below(folder: &Path, path: &FilePath) -> std::io::Result<PathBuf> {
    if !path.is_fit_for_this_system() {
        let words =
            format!("The input {path} has a name that this system does not allow. Choose another one.");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, words));
    }
    let mut place = folder.to_owned();
    let mut segments = path.segments().peekable();
    while let Some(segment) = segments.next() {
        place.push(segment);
        if segments.peek().is_some() && !place.is_dir() {
            std::fs::create_dir(&place)?;
            open_to_all(&place, 0o777)?;
        }
    }
    Ok(place)
}

fn write(place: &Path, content: &Content) -> std::io::Result<()> {
    match content {
        Content::Inline(bytes) => std::fs::write(place, bytes)?,
        Content::Blob { path, .. } => {
            // Not `fs::copy`, which would copy the blob's being read-only too.
            let mut copy = std::fs::File::create(place)?;
            std::io::copy(&mut std::fs::File::open(path)?, &mut copy)?;
        }
    }
    open_to_all(place, 0o666)
}

#[cfg(unix)]
fn open_to_all(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature on every system")]
fn open_to_all(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}

/// Everything up to `packed_up_to` bytes goes into the archive, the rest is mounted.
fn place_in_archive(files: Files, packed_up_to: u64) -> Placement {
    let mut binds = Vec::new();
    let mut parcels = Vec::new();
    for (path, content) in files {
        let place = match path {
            ConfigPath::Input(path) => format!("{INPUTS}/{path}"),
            ConfigPath::Absolute(path) => path.to_string(),
        };
        match content {
            Content::Blob { size, path, .. } if size > packed_up_to => {
                binds.push(bind(&path, format!("/{place}"), true));
            }
            content => parcels.push(Parcel { place, content }),
        }
    }
    Placement { binds, shipment: Some(Shipment { folders: vec![INPUTS, "outputs"], parcels }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ConfigPath {
        ConfigPath::new(text).unwrap()
    }

    fn blob(size: u64) -> Content {
        Content::Blob { hash: BlobHash([1; 32]), size, path: PathBuf::from("/store/blob") }
    }

    #[test]
    fn a_big_blob_is_mounted_read_only_and_a_small_one_is_packed() {
        let files = Files::from([(path("big"), blob(COPIED_UP_TO + 1)), (path("small"), blob(COPIED_UP_TO))]);
        let placement = place_in_archive(files, COPIED_UP_TO);
        let [bind] = placement.binds.as_slice() else { panic!("{:?}", placement.binds) };
        assert!(bind.read_only && bind.container == "/inputs/big");
        assert_eq!(placement.shipment.unwrap().parcels[0].place, "inputs/small");
    }

    #[test]
    fn an_engine_elsewhere_gets_everything_in_the_archive() {
        let placement = place_in_archive(Files::from([(path("/etc/x"), blob(1 << 30))]), u64::MAX);
        assert!(placement.binds.is_empty());
        assert_eq!(placement.shipment.unwrap().parcels[0].place, "etc/x");
    }
}
