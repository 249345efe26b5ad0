//! Packs files into the archive that is sent into a container before it starts.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use deskgrid_job::Failure;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::inputs::Content;
use crate::disk;

/// Pieces that wait between packing and sending; bounds the memory.
const PIECES: usize = 16;
const PIECE: usize = 128 * 1024;

/// One file to be sent.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its path from the container's root, without a leading slash.
    pub(super) place: String,
    pub(super) content: Content,
}

/// All that is sent into one container.
#[derive(Debug)]
pub(super) struct Shipment {
    /// Folders that any user of the container may write to.
    pub(super) folders: Vec<&'static str>,
    pub(super) parcels: Vec<Parcel>,
}

impl Shipment {
    /// Packs the archive on a blocking thread while the returned stream is read, and says what file could not be read: the
    /// engine sees a broken archive only. Dropping the stream ends the packing.
    pub(super) fn pack(
        self,
    ) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Arc<OnceLock<Failure>>) {
        let problem = Arc::new(OnceLock::new());
        let noted = problem.clone();
        let stream = stream(move |out| {
            self.write(out).inspect_err(|error| {
                // Where the receiver is gone, it knows best why.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    let _ = noted.set(disk::failure(io::Error::new(error.kind(), error.to_string())));
                }
            })
        });
        (stream, problem)
    }

    fn write(self, out: &mut impl io::Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let mut made = std::collections::BTreeSet::new();
        for folder in self.folders {
            append_folder(&mut archive, folder)?;
            made.insert(folder.to_owned());
        }
        for parcel in self.parcels {
            // Folders outside /inputs belong to the image; the engine makes the missing ones.
            if parcel.place.starts_with("inputs/") {
                for (end, _) in parcel.place.match_indices('/') {
                    if made.insert(parcel.place[..end].to_owned()) {
                        append_folder(&mut archive, &parcel.place[..end])?;
                    }
                }
            }
            match parcel.content {
                Content::Inline(bytes) => {
                    append_file(&mut archive, &parcel.place, bytes.len() as u64, bytes.as_slice())?;
                }
                Content::Blob { size, path, .. } => {
                    append_blob(&mut archive, &parcel.place, size, &path)?;
                }
            }
        }
        archive.into_inner()?.flush()
    }
}

/// What `write` writes, on a blocking thread while the stream is read. Dropping the stream ends the writing.
pub(super) fn stream(
    write: impl FnOnce(&mut io::BufWriter<Pieces>) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, mut receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut pieces = io::BufWriter::with_capacity(PIECE, Pieces(sender));
        if let Err(error) = write(&mut pieces).and_then(|()| io::Write::flush(&mut pieces)) {
            // Breaks the upload off; where that is what broke the packing, nobody listens any more.
            let _ = pieces.get_ref().0.blocking_send(Err(error));
        }
    });
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn append_folder(archive: &mut tar::Builder<impl io::Write>, place: &str) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o777);
    header.set_size(0);
    archive.append_data(&mut header, format!("{place}/"), io::empty())
}

fn append_file(
    archive: &mut tar::Builder<impl io::Write>,
    place: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o666);
    header.set_size(size);
    archive.append_data(&mut header, place, content)
}

/// A file that is shorter than it was would shift all that comes after it.
fn append_blob(
    archive: &mut tar::Builder<impl io::Write>,
    place: &str,
    size: u64,
    path: &Path,
) -> io::Result<()> {
    let unread = |error: io::Error| {
        let words = format!("could not read the stored file {} for {place}: {error}", path.display());
        io::Error::new(error.kind(), words)
    };
    let mut content = std::fs::File::open(path).map_err(unread)?.take(size);
    append_file(archive, place, size, &mut content)?;
    if content.limit() > 0 { Err(unread(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
}

/// Hands what is written to it to a stream.
pub(super) struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    async fn packed(shipment: Shipment) -> Vec<u8> {
        shipment.pack().0.try_collect::<Vec<_>>().await.unwrap().concat()
    }

    #[tokio::test]
    async fn the_archive_holds_the_files_with_their_folders() {
        let parcel = |place: &str| Parcel { place: place.into(), content: Content::Inline(b"x".to_vec()) };
        let shipment = Shipment {
            folders: vec!["inputs", "outputs"],
            parcels: vec![parcel("inputs/a/b"), parcel("etc/c")],
        };
        let bytes = packed(shipment).await;
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(names, ["inputs/", "outputs/", "inputs/a/", "inputs/a/b", "etc/c"]);
    }

    fn blob(path: std::path::PathBuf) -> Shipment {
        let content = Content::Blob { hash: deskgrid_job::BlobHash([1; 32]), size: 9, path };
        Shipment { folders: vec![], parcels: vec![Parcel { place: "inputs/a".into(), content }] }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_told_beside_the_broken_archive() {
        let dir = tempfile::tempdir().unwrap();
        let short = dir.path().join("short");
        std::fs::write(&short, "abc").unwrap();
        for path in [dir.path().join("none"), short] {
            let (stream, problem) = blob(path.clone()).pack();
            assert!(stream.try_collect::<Vec<_>>().await.is_err());
            let told = problem.get().unwrap().message.clone();
            assert!(told.contains(&path.display().to_string()) && told.contains("inputs/a"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_goes_away_is_no_problem_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        std::fs::write(&path, "123456789").unwrap();
        let (stream, problem) = blob(path).pack();
        drop(stream);
        // The thread has ended when it holds its note no more.
        while Arc::strong_count(&problem) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(problem.get(), None);
    }

    #[tokio::test]
    async fn a_name_with_many_long_segments_survives() {
        let place = format!("inputs/{}", vec!["x".repeat(200); 10].join("/"));
        let parcels = vec![Parcel { place: place.clone(), content: Content::Inline(Vec::new()) }];
        let bytes = packed(Shipment { folders: vec![], parcels }).await;
        let mut archive = tar::Archive::new(bytes.as_slice());
        let last = archive.entries().unwrap().last().unwrap().unwrap();
        assert_eq!(last.path_bytes().as_ref(), place.as_bytes());
    }
}
