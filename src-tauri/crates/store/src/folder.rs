//! The layout of the data folder: where each thing lies, and the sweep of what a crash left.
//!
//! What is in the files is the business of the other modules.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deskgrid_fault::{Point, point};
use deskgrid_job::{BlobHash, JobId};
use sha2::{Digest, Sha256};

use crate::blobs::Proofs;
use crate::closed::InUse;
use crate::database::Damage;
use crate::error::{StoreError, failed};
use crate::logs::LogKind;
use crate::platform;
use crate::room::Reserve;

const CACHE_TAG: &str = "CACHEDIR.TAG";
/// The first line is fixed by the convention, so that backup programs know the folder.
const CACHE_TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Deskgrid keeps only temporary files here; a backup can leave them out.\n";

/// The folder of the blobs, in the data folder.
pub(crate) const BLOBS: &str = "blobs";

/// The data folder, created and swept.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Numbers temporary names. The lock on the folder makes a number of this process enough.
    next: AtomicU64,
    /// Held for reading while files are given their names, and for writing while one is removed.
    pub(crate) comings: RwLock<()>,
    pub(crate) reserve: Reserve,
    /// Raised when it turned out that the disk may only be read, until something can be written.
    pub(crate) is_read_only: AtomicBool,
    pub(crate) proofs: Proofs,
    pub(crate) damage: Damage,
    in_use: InUse,
}

impl Folder {
    /// Creates the data folder itself, so that it can be locked before anything else is touched.
    pub(crate) fn create(root: &Path) -> Result<Self, StoreError> {
        platform::create_private_folder(root).map_err(failed("create the data folder", root))?;
        // Containers are given paths below it, and the engine takes absolute ones only.
        let root = std::path::absolute(root).map_err(failed("find", root))?;
        Ok(Self {
            root,
            next: AtomicU64::new(0),
            comings: RwLock::new(()),
            reserve: Reserve::default(),
            is_read_only: AtomicBool::new(false),
            proofs: Proofs::default(),
            damage: Damage::default(),
            in_use: InUse::default(),
        })
    }

    /// Held by whoever has more of the folder than this.
    pub(crate) fn in_use(&self) -> InUse {
        self.in_use.clone()
    }

    /// Creates the folders inside, and removes temporary files of an earlier process.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        for folder in [self.incoming(), self.runs(), self.logs()] {
            create(&folder)?;
        }
        for folder in [self.incoming(), self.runs()] {
            let tag = folder.join(CACHE_TAG);
            if !tag.exists() {
                fs::write(&tag, CACHE_TAG_TEXT).map_err(failed("write", &tag))?;
            }
        }
        self.prepare_blobs()?;
        self.sweep_incoming()
    }

    /// All 256 folders of the fan-out are there from the start, so that storing a blob never has to bring a new
    /// folder onto the disk.
    fn prepare_blobs(&self) -> Result<(), StoreError> {
        let blobs = self.blobs();
        if !blobs.join("ff").is_dir() {
            for byte in 0..=u8::MAX {
                create(&blobs.join(format!("{byte:02x}")))?;
            }
        }
        // Also when they were there: the process that made them may have died before it came to this.
        platform::sync_folder(&blobs).map_err(failed("bring onto the disk", &blobs))
    }

    /// What cannot be removed harms nobody, and is no reason not to start.
    fn sweep_incoming(&self) -> Result<(), StoreError> {
        for leftover in entries(&self.incoming())? {
            if let Err(error) = fs::remove_file(&leftover) {
                tracing::warn!(path = %leftover.display(), %error, "an unfinished file stays behind");
            }
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        lock_of(&self.root)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("deskgrid.sqlite3")
    }

    /// A new database that is being made in place of a damaged one, and is not complete.
    pub(crate) fn unfinished_database(&self) -> PathBuf {
        self.root.join("deskgrid.rebuilding.sqlite3")
    }

    /// A new database that is to take the place of a damaged one.
    pub(crate) fn rebuilt_database(&self) -> PathBuf {
        self.root.join("deskgrid.rebuilt.sqlite3")
    }

    /// Says what was done about a damaged database, until the person has read it.
    pub(crate) fn rebuilt_note(&self) -> PathBuf {
        self.root.join("deskgrid.sqlite3.rebuilt")
    }

    /// Says that the database was found damaged by a program that went on.
    pub(crate) fn suspicion(&self) -> PathBuf {
        self.root.join("deskgrid.sqlite3.damaged")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// A second copy of what the database says of a job, or of a row of no job.
    pub(crate) fn record(&self, subject: &str) -> PathBuf {
        let stem = JobId::new(subject).map_or_else(|_| digits(subject), |id| stem(&id));
        self.records().join(&stem[..2]).join(format!("{stem}.json"))
    }

    /// Says that all that is to have a second copy has one, and that these say what the database says.
    pub(crate) fn records_in_step(&self) -> PathBuf {
        self.records().join("all-in-step")
    }

    /// What said so when only jobs had second copies.
    pub(crate) fn jobs_in_step(&self) -> PathBuf {
        self.records().join("in-step")
    }

    pub(crate) fn worker_id(&self) -> PathBuf {
        self.root.join("worker-id")
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join(BLOBS)
    }

    pub(crate) fn blob(&self, hash: BlobHash) -> PathBuf {
        self.blobs().join(format!("{:02x}", hash.0[0])).join(hash.to_string())
    }

    /// Where files are that were found damaged.
    pub(crate) fn damaged(&self) -> PathBuf {
        self.root.join(crate::DAMAGED)
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// A name in `incoming/` that nothing has yet.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.incoming().join(self.number().to_string())
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn log(&self, id: &JobId, kind: LogKind) -> PathBuf {
        let stem = stem(id);
        self.logs().join(&stem[..2]).join(format!("{stem}.{}.jsonl", kind.as_str()))
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub(crate) fn run(&self, id: &JobId, run: u32) -> PathBuf {
        self.runs().join(format!("{}.{run}", stem(id)))
    }

    /// A name in `runs/` that nothing has yet, also where an earlier removal did not come to its end.
    pub(crate) fn fresh_run(&self) -> PathBuf {
        loop {
            let path = self.runs().join(format!("removed.{}", self.number()));
            if fs::symlink_metadata(&path).is_err() {
                return path;
            }
        }
    }

    /// Writes a small file so that after a crash it is there in full, or as it was before.
    pub(crate) fn write_durably(&self, path: &Path, text: &str) -> Result<(), StoreError> {
        let fresh = self.fresh();
        let written: io::Result<()> = (|| {
            let mut file = platform::private_file().write(true).create_new(true).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            point(Point::SmallFileWritten);
            fs::rename(&fresh, path)?;
            point(Point::SmallFileRenamed);
            platform::sync_folder(&self.root)
        })();
        written.map_err(failed("write", path))
    }

    /// Creates the database file for our eyes only; the database program would let others read it.
    pub(crate) fn create_database(&self) -> Result<File, StoreError> {
        let path = self.database();
        platform::private_file().append(true).create(true).open(&path).map_err(failed("create", &path))
    }
}

/// The file that is locked while a program has the data folder at `root`.
pub(crate) fn lock_of(root: &Path) -> PathBuf {
    root.join("deskgrid.lock")
}

/// A file name for a job that no other job has, also where upper and lower case are the same and where some names
/// (`con`, `nul`) mean devices: ids may be chosen by clients. The id itself is there for people who look.
fn stem(id: &JobId) -> String {
    let mut stem = digits(id.as_str());
    stem.push('-');
    stem.push_str(id.as_str());
    stem
}

/// Half of the digits of its hash.
fn digits(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..16])
}

fn create(folder: &Path) -> Result<(), StoreError> {
    platform::create_private_folder(folder).map_err(failed("create", folder))
}

/// What lies in a temporary folder, without its tag.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed: io::Result<Vec<_>> =
        fs::read_dir(folder).and_then(|list| list.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut paths = listed.map_err(failed("list", folder))?;
    paths.retain(|path| path.file_name().is_none_or(|name| name != CACHE_TAG));
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_only_in_case_have_names_that_differ_in_more() {
        let name = |id| stem(&JobId::new(id).unwrap()).to_lowercase();
        assert_ne!(name("Job"), name("job"));
        assert!(name("con").len() > 32);
    }

    #[test]
    fn a_sweep_takes_unfinished_files_and_leaves_the_tag() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(&dir.path().join("data")).unwrap();
        folder.prepare().unwrap();
        fs::write(folder.fresh(), "half").unwrap();
        folder.prepare().unwrap();
        assert!(entries(&folder.incoming()).unwrap().is_empty());
        let tag = fs::read_to_string(folder.incoming().join(CACHE_TAG)).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_enter_the_data_folder() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(&dir.path().join("a/data")).unwrap();
        folder.prepare().unwrap();
        for path in [folder.root().to_owned(), folder.blobs(), folder.incoming(), folder.runs()] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{path:?}");
        }
    }
}
