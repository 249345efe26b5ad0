//! Brings the files of a build here and packs them for the engine. What archives and repositories are is not known
//! here: only where their bytes are kept.
//!
//! A download is a stored file like any other, found again by its address and checked with its server; only what can
//! never change is not asked for twice.

use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use deskgrid_contexts::{
    Archive, Context, ContextError, Fetched, Interest, Recipe, Remote, Sink, Source, Terms, Waiter,
};
use deskgrid_docker::joint::Said;
use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, BuildBlock, Failure, FailureCode, Time};
use deskgrid_store::{Change, ContextRecord, Incoming, StoreError};
use futures_util::Stream;

use super::Kit;
use super::build::Told;
use super::upload;
use crate::disk::failure as disk;

/// A context, and what there is to say about it.
pub(super) struct Prepared {
    pub(super) context: Context,
    pub(super) remarks: Vec<String>,
    /// To be kept as long as the context is wanted.
    pub(super) waiter: Waiter,
}

/// The files of `block`, ready to be sent.
///
/// # Errors
/// When they cannot be had, or are not what the block says.
pub(super) async fn prepare(kit: &Kit, block: &BuildBlock, said: &Said<Told>) -> Result<Prepared, Failure> {
    let file = match &block.context {
        None => None,
        Some(text) => Some(file(kit, text, block, said).await?),
    };
    let (block, limits) = (block.clone(), kit.limits.borrow().contexts);
    // The thread goes on when this future is dropped, but not for long.
    let (interest, waiter) = Interest::new();
    let prepared = tokio::task::spawn_blocking(move || {
        let archive = file.map(|file| Archive::scan_while(file, &limits, interest)).transpose()?;
        let recipe = Recipe {
            dockerfile: block.dockerfile.as_deref(),
            build_context: block.build_context.as_deref(),
            filename: block.filename.as_deref(),
        };
        Context::new(archive, &recipe)
    });
    let context = prepared.await.map_err(disk)?.map_err(|error| failure(&error))?;
    Ok(Prepared { remarks: context.remarks().to_vec(), context, waiter })
}

/// The archive at `address`, on this disk.
async fn file(kit: &Kit, address: &str, block: &BuildBlock, said: &Said<Told>) -> Result<File, Failure> {
    if let Some(key) = &block.context_key
        && let Some(found) = kit.store.blobs().find(key).await.map_err(disk)?
    {
        return open(kit, found.hash).await;
    }
    match Source::parse(address, |_| None).map_err(|error| failure(&error))? {
        Source::Remote(remote) => {
            let hash = download(kit, &remote, block.lacks_secret, said).await?;
            open(kit, hash).await
        }
        // None was named as ours.
        Source::Own(key) => {
            let words = format!("The file {key} is not stored here. Upload it again (PUT /f/{key}).");
            Err(Failure::new(FailureCode::ContextUnavailable, words))
        }
    }
}

async fn open(kit: &Kit, hash: BlobHash) -> Result<File, Failure> {
    let blobs = kit.store.blobs();
    blobs.note_use(hash).await;
    let found = blobs.open_sound(hash).await.map_err(disk)?;
    found.map(|blob| blob.file).ok_or_else(|| disk("The stored files of the image have just been removed."))
}

/// Finds or downloads what `remote` stands for.
async fn download(
    kit: &Kit,
    remote: &Remote,
    lacks_secret: bool,
    said: &Said<Told>,
) -> Result<BlobHash, Failure> {
    let key = remote.cache_key();
    let known = known(kit, &key).await?;
    if let Some(known) = known.as_ref().filter(|known| known.is_pinned) {
        said.tell(Told::Note(format!("{} was fetched before and never changes", remote.shown())));
        used(kit, key).await?;
        return Ok(known.hash);
    }
    said.tell(Told::Note(format!("Fetching {}", remote.shown())));
    let limits = kit.limits.borrow().contexts;
    let scratch = kit.store.passing_folder();
    let etag = known.as_ref().and_then(|known| known.etag.as_deref());
    let terms = Terms { known: etag, scratch: &scratch, limits: &limits };
    let mut blob = Blob(kit.store.blobs().receive(None));
    let progress =
        |progress: deskgrid_contexts::Progress| said.tell(Told::Fetched(progress.done, progress.total));
    let fetched = kit.contexts.fetch(remote, terms, &mut blob, progress).await;
    let fetched = fetched.map_err(|error| match error {
        closed if lacks_secret && closed.is_closed() => token_missing(remote),
        other => failure(&other),
    });
    match (fetched?, known) {
        (Fetched::Archive { etag }, _) => {
            let stored = blob.0.finish().await.map_err(disk)?;
            said.tell(Told::Note(format!("Fetched {} bytes", stored.size)));
            let (hash, is_pinned, used_at) = (stored.hash, remote.is_pinned(), Time::now());
            let record = ContextRecord { key, etag, is_pinned, hash, used_at };
            kit.store.commit(vec![Change::Context(record)]).await.map_err(disk)?;
            point(Point::ContextNoted);
            Ok(hash)
        }
        (Fetched::NotModified, Some(known)) => {
            said.tell(Told::Note("It is the same as before".to_owned()));
            used(kit, key).await?;
            Ok(known.hash)
        }
        (Fetched::NotModified, None) => Err(Failure::new(
            FailureCode::ContextUnavailable,
            format!(
                "The server of {} says that nothing changed, but nothing is known of it.",
                remote.shown()
            ),
        )),
    }
}

/// What is left of the address opened nothing.
fn token_missing(remote: &Remote) -> Failure {
    let words = format!(
        "The build context {} is not there or not open to everybody, and the token or password that its address had is \
         not known any more: Deskgrid never writes one to the disk, and knows it only until the job is over or Deskgrid \
         is started again. Submit the job again, with the complete address.",
        remote.shown()
    );
    Failure::new(FailureCode::ContextTokenMissing, words)
}

/// An earlier download whose bytes are still here.
async fn known(kit: &Kit, key: &str) -> Result<Option<ContextRecord>, Failure> {
    let Some(record) = kit.store.context(key).await.map_err(disk)? else { return Ok(None) };
    let is_here = match kit.store.blobs().open_sound(record.hash).await {
        // It can be had again.
        Err(StoreError::DamagedFile { .. }) => false,
        found => found.map_err(disk)?.is_some(),
    };
    Ok(Some(record).filter(|_| is_here))
}

async fn used(kit: &Kit, key: String) -> Result<(), Failure> {
    kit.store.commit(vec![Change::ContextUsed(key, Time::now())]).await.map_err(disk)
}

/// Keeps a download as a stored file.
struct Blob(Incoming);

impl Sink for Blob {
    async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.push(bytes).await.map_err(not_kept)
    }
}

/// The context as a stream, and what went wrong with it: the engine sees a broken archive only.
pub(super) fn pack(
    context: Context,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Arc<OnceLock<Failure>>) {
    let problem = Arc::new(OnceLock::new());
    let noted = problem.clone();
    let stream = upload::stream(move |out| {
        context.write_to(out).map_err(|error| {
            // Where the receiver is gone, it knows best why.
            if !matches!(error, ContextError::NotSent(_)) {
                let _ = noted.set(failure(&error));
            }
            io::Error::other(error)
        })
    });
    (stream, problem)
}

/// As the room of contexts knows it, which knows nothing of our store.
fn not_kept(error: StoreError) -> io::Error {
    let kind = if error.is_read_only() { io::ErrorKind::ReadOnlyFilesystem } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

/// In our terms: what the block itself says stays wrong, all else may be better the next time.
fn failure(error: &ContextError) -> Failure {
    let code = match error {
        ContextError::BadAddress { .. } | ContextError::BadPath { .. } => FailureCode::BuildFailed,
        ContextError::NotKept(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            FailureCode::DiskReadOnly
        }
        ContextError::NotKept(_) | ContextError::NotRead(_) => FailureCode::DiskFailed,
        _ => FailureCode::ContextUnavailable,
    };
    Failure::new(code, error.to_string())
}
