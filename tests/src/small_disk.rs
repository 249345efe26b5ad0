//! A real file system of a test's own, small enough to run full.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Deskgrid, Options};
use crate::user::is_root;

/// Megabytes of it.
const SIZE: u64 = 200;

/// A server whose data folder is such a file system. The disk goes before the server does.
pub struct OnSmallDisk {
    /// The disk.
    pub disk: SmallDisk,
    /// The server.
    pub server: Deskgrid,
}

impl OnSmallDisk {
    /// Starts a server with further arguments of `deskgrid serve`.
    pub async fn start(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::start_with(SIZE, Options { args, ..Options::default() }).await
    }

    /// Starts a server on a disk that says to have so many megabytes. It takes no more than is written to it, so it may
    /// be larger than what this computer has.
    pub async fn start_with(megabytes: u64, options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = SmallDisk::mount_of(&folder.path().join("data"), megabytes);
        let server = Deskgrid::start_over(folder, options).await;
        Self { disk, server }
    }
}

/// A mounted file system of 200 MB.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `path`.
    ///
    /// # Panics
    /// When the tests may not mount anything: run them as root, or with sudo that asks for no password.
    pub fn mount(path: &Path) -> Self {
        Self::mount_of(path, SIZE)
    }

    fn mount_of(path: &Path, megabytes: u64) -> Self {
        std::fs::create_dir_all(path).expect("a folder");
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).expect("a folder"));
        let options = format!("size={megabytes}m,mode=0700,uid={owner}");
        as_root(&["mount", "-t", "tmpfs", "-o", &options, "deskgrid-test", &path.to_string_lossy()]);
        Self { path: path.to_owned() }
    }

    /// Bytes that can still be written.
    pub fn free(&self) -> u64 {
        let told =
            Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.path).output().expect("stat runs");
        let told = String::from_utf8(told.stdout).expect("UTF-8");
        let numbers: Vec<u64> = told.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        numbers[0] * numbers[1]
    }

    /// Writes a file of another program, until so many bytes are left.
    pub fn fill_but(&self, left: u64) {
        let mut file =
            std::fs::File::options().create(true).append(true).open(self.filler()).expect("a file");
        let piece = vec![0x55; 1024 * 1024];
        // Writing takes room of its own, so this comes near step by step.
        while let mut excess @ 1.. = self.free().saturating_sub(left) {
            while excess > 0 {
                let count = usize::try_from(excess).unwrap_or(usize::MAX).min(piece.len());
                match file.write_all(&piece[..count]) {
                    Ok(()) => excess -= count as u64,
                    Err(error) if error.kind() == ErrorKind::StorageFull => return,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Removes that file again.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it was there");
    }

    /// Lets nobody write any more, or anyone again.
    pub fn set_read_only(&self, on: bool) {
        let options = format!("remount,{}", if on { "ro" } else { "rw" });
        as_root(&["mount", "-o", &options, &self.path.to_string_lossy()]);
    }

    /// Lets nobody open a file for writing, as long as the result lives. Files that are open for that stay so, other than
    /// on a disk that a system makes read-only because it fails: nothing here can have that.
    pub fn read_only_for_now(&self) -> ReadOnly<'_> {
        let aside = tempfile::tempdir().expect("a temporary folder");
        let (path, beside) = (self.path.to_string_lossy(), aside.path().to_string_lossy());
        as_root(&["mount", "--bind", &path, &beside]);
        as_root(&["mount", "-o", "remount,bind,ro", &beside]);
        // In one step, so that nobody opens a file in between.
        as_root(&["mount", "--bind", &beside, &path]);
        as_root(&["umount", &beside]);
        ReadOnly { disk: self }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

/// A time in which a disk is read-only. It ends when dropped.
pub struct ReadOnly<'a> {
    disk: &'a SmallDisk,
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        // At once, whoever reads there.
        as_root(&["umount", "--lazy", &self.disk.path.to_string_lossy()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once, whoever still uses it.
        as_root(&["umount", "--lazy", &self.path.to_string_lossy()]);
    }
}

fn as_root(words: &[&str]) {
    let sudo: &[&str] = if is_root() { &[] } else { &["sudo", "--non-interactive"] };
    let words: Vec<_> = sudo.iter().chain(words).collect();
    let done = Command::new(words[0]).args(&words[1..]).output();
    let done = done.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(
        done.status.success(),
        "This test mounts a small disk, for which it has to be root or to have sudo without a password; {words:?} \
         said: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
