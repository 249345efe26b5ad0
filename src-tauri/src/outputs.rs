//! Saves the outputs of a job in a folder, whatever their names say, never outside it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use deskgrid_job::{BlobHash, FilePath};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::error::CliError;
use crate::job_ref::JobRef;
use crate::records::Output;

/// Outputs on their way at the same time: many are small, and each costs a round trip.
const AT_ONCE: usize = 4;
/// Pieces that may wait for the disk, so that memory stays small when the network is faster.
const WAITING_PIECES: usize = 16;

/// Saves `outputs` below `folder`, which is created. Files of the same names are replaced. One that cannot be saved
/// does not hold back the others; the first such error is told at the end.
pub(crate) async fn save_all(
    client: &Client,
    job: &JobRef,
    outputs: &BTreeMap<String, Output>,
    folder: &Path,
) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(|error| CliError::file("Creating the folder", folder, error))?;
    let saved: Vec<_> = stream::iter(outputs)
        .map(|(name, output)| save(client, job, name, output, folder))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    saved.into_iter().collect()
}

async fn save(
    client: &Client,
    job: &JobRef,
    name: &str,
    output: &Output,
    folder: &Path,
) -> Result<(), CliError> {
    let path = checked(name)?;
    let target = folder.join(path.as_str());
    let wanted = output.hash.as_deref().and_then(BlobHash::parse);
    let mut bytes = client.output(job, name).await?.bytes_stream();
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    let folder = folder.to_owned();
    let writer = tokio::task::spawn_blocking(move || write(&folder, &path, wanted, receiver));
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| client.lost(&format!("Fetching the output {name}"), error))?;
        // The writer goes away only with an error, which it tells below.
        if sender.send(Piece::Bytes(piece)).await.is_err() {
            break;
        }
    }
    let _ = sender.send(Piece::End).await;
    drop(sender);
    let written = writer.await.unwrap_or_else(|error| Err(error.into()));
    written.map_err(|error| CliError::file("Writing", &target, error))
}

/// A part of a file on its way to the disk.
enum Piece {
    Bytes(bytes::Bytes),
    /// All of it came. Without this the file is incomplete and is thrown away.
    End,
}

fn write(
    folder: &Path,
    path: &FilePath,
    wanted: Option<BlobHash>,
    mut pieces: mpsc::Receiver<Piece>,
) -> io::Result<()> {
    let target = place(folder, path)?;
    let mut file = draft(target.parent().unwrap_or(folder))?;
    let mut hasher = Sha256::new();
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                hasher.update(&bytes);
                file.write_all(&bytes)?;
            }
            Some(Piece::End) => break,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    let hash = BlobHash(hasher.finalize().into());
    if wanted.is_some_and(|wanted| wanted != hash) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes arrived than the job wrote"));
    }
    file.persist(target).map(|_| ()).map_err(|error| error.error)
}

/// A file of a temporary name that goes away unless it is completed, with the rights of any new file.
fn draft(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".deskgrid-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Where `path` lies below `folder`, after creating the folders on the way. A link among them could lead elsewhere.
fn place(folder: &Path, path: &FilePath) -> io::Result<PathBuf> {
    let mut place = folder.to_owned();
    let mut segments = path.segments().peekable();
    while let Some(segment) = segments.next() {
        place.push(segment);
        if segments.peek().is_none() {
            break;
        }
        match std::fs::create_dir(&place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !place.symlink_metadata()?.is_dir() {
            let problem = format!("{} is a link or a file, not a folder", place.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, problem));
        }
    }
    Ok(place)
}

/// The name of an output, if it stays in its folder on this system. The server checks this too, but a client need not
/// believe a server.
fn checked(name: &str) -> Result<FilePath, CliError> {
    let refuse = |problem: &dyn std::fmt::Display| {
        CliError::Usage(format!(
            "The output {name:?} was not saved: {problem}. Fetch it from its job's page."
        ))
    };
    let path = FilePath::new(name).map_err(|error| refuse(&error))?;
    if !path.is_fit_for_this_system() {
        return Err(refuse(&"this system allows no such name"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).unwrap()
    }

    fn write_all(folder: &Path, name: &str, pieces: Vec<Piece>, wanted: Option<BlobHash>) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(8);
        for piece in pieces {
            sender.try_send(piece).ok().unwrap();
        }
        drop(sender);
        write(folder, &path(name), wanted, receiver)
    }

    fn bytes(text: &'static str) -> Piece {
        Piece::Bytes(text.into())
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        for bad in ["../x", "/etc/passwd", "a/../../x", "", "a\0b", "."] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
        assert!(checked("a/b/ü #%.txt").is_ok());
    }

    #[test]
    fn a_complete_file_arrives_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path(), "a/b/c.txt", vec![bytes("x"), bytes("y"), Piece::End], None).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("a/b/c.txt")).unwrap(), "xy");
    }

    #[test]
    fn an_incomplete_or_altered_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_all(folder.path(), "cut", vec![bytes("x")], None).is_err());
        let other = Some(BlobHash([0; 32]));
        assert!(write_all(folder.path(), "altered", vec![bytes("x"), Piece::End], other).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_folder_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a")).unwrap();
        let error = write_all(folder.path(), "a/b", vec![bytes("x"), Piece::End], None).unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_an_output_is_replaced_and_not_written_through() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a")).unwrap();
        write_all(folder.path(), "a", vec![bytes("x"), Piece::End], None).unwrap();
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"x");
    }
}
