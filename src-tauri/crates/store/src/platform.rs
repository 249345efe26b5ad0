//! What differs between operating systems: modes, owners, and how bytes are forced onto the disk.
//!
//! Everything else in this crate is the same everywhere.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Creates `folder` and what is missing above it, for nobody but us.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Options for a file that nobody but us may read.
pub(crate) fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "only Unix changes them"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Lets anyone create files in `folder`.
#[cfg_attr(not(unix), allow(clippy::unnecessary_wraps, reason = "modes exist on Unix only"))]
pub(crate) fn open_to_all(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Gives us back the right to list `folder` and to change it, where it is ours.
pub(crate) fn take_back(folder: &Path) {
    // Whether this helped shows when the folder is used next, which gives the better error.
    #[cfg(unix)]
    let _ = fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    #[cfg(not(unix))]
    let _ = folder;
}

/// Whether nobody but us may read `file`, as far as its mode tells.
#[cfg_attr(not(unix), allow(clippy::unnecessary_wraps, reason = "modes exist on Unix only"))]
pub(crate) fn is_private(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    let is_private = {
        const OTHERS: u32 = 0o077;
        std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & OTHERS == 0
    };
    #[cfg(not(unix))]
    let is_private = {
        let _ = file;
        true
    };
    Ok(is_private)
}

/// Makes `file` read-only for everyone, and takes away whatever else its mode said.
pub(crate) fn freeze(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    #[cfg(not(unix))]
    let permissions = {
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        permissions
    };
    file.set_permissions(permissions)
}

/// Gives a file the present time. Its bytes are not opened for writing.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    {
        const READ_AND_WRITE_ATTRIBUTES: u32 = 0x0080 | 0x0100;
        std::os::windows::fs::OpenOptionsExt::access_mode(&mut options, READ_AND_WRITE_ATTRIBUTES);
    }
    options.open(path)?.set_modified(std::time::SystemTime::now())
}

/// Whether `file` has this one name only and belongs to us, or could be made ours: then nobody else can change it
/// any more.
#[cfg(unix)]
pub(crate) fn take_over(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let metadata = file.metadata()?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Ok(metadata.nlink() == 1 && (metadata.uid() == user || fchown(file, Some(user), Some(group)).is_ok()))
}

/// How much of the disk a file takes: one with holes less than its length.
#[cfg(unix)]
pub(crate) fn bytes_on_disk(facts: &fs::Metadata) -> u64 {
    /// The unit in which systems tell it.
    const BLOCK: u64 = 512;
    std::os::unix::fs::MetadataExt::blocks(facts) * BLOCK
}

/// How much of the disk a file takes, as far as is known.
#[cfg(not(unix))]
pub(crate) fn bytes_on_disk(facts: &fs::Metadata) -> u64 {
    facts.len()
}

/// Whether two folders are on one disk. Where nobody can tell they are not.
pub(crate) fn is_same_disk(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    let is_same = {
        use std::os::unix::fs::MetadataExt;
        let disk = |path: &Path| fs::metadata(path).ok().map(|facts| facts.dev());
        disk(one).is_some_and(|disk_of_one| disk(other) == Some(disk_of_one))
    };
    #[cfg(not(unix))]
    let is_same = {
        let _ = (one, other);
        false
    };
    is_same
}

/// What tells a file from another one that has taken its name; always the same where nobody can tell.
pub(crate) fn file_number(facts: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(facts);
    #[cfg(not(unix))]
    let number = {
        let _ = facts;
        0
    };
    number
}

/// Whether `path` names the very file that is open as `file`.
#[cfg(unix)]
pub(crate) fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Elsewhere the number of a file's names is not known, so files are copied.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "same form on every system")]
pub(crate) fn take_over(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Elsewhere nobody can tell, and an open file keeps its name.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "same form on every system")]
pub(crate) fn is_same_file(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Has the system forget what it keeps of a file in memory, so that the next reader reads the disk. What is not on
/// the disk yet is kept.
#[cfg(target_os = "linux")]
pub(crate) fn forget(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Elsewhere nobody can ask for it.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "same form on every system")]
pub(crate) fn forget(_: &File) -> io::Result<()> {
    Ok(())
}

/// Brings the names in `folder` onto the disk. Windows does so by itself.
#[cfg_attr(not(unix), allow(clippy::unnecessary_wraps, reason = "folders can be synced on Unix only"))]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Whether bytes may stay in memory until [`sync_files`]: only where many files are brought onto the disk at once.
pub(crate) const SYNCS_LATE: bool = cfg!(target_os = "linux");

/// With more files than this, one call for the whole file system is quicker than one for each.
#[cfg(target_os = "linux")]
const MANY: usize = 16;

/// Brings the bytes of `files`, all on the file system of `folder`, onto the disk.
#[cfg(target_os = "linux")]
pub(crate) fn sync_files(files: &[PathBuf], folder: &Path) -> io::Result<()> {
    if files.len() > MANY {
        return Ok(rustix::fs::syncfs(File::open(folder)?)?);
    }
    files.iter().try_for_each(|file| File::open(file)?.sync_all())
}

/// Elsewhere each file was synced when it was written.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "same form on every system")]
pub(crate) fn sync_files(_: &[PathBuf], _: &Path) -> io::Result<()> {
    Ok(())
}

/// Brings the names in `folders`, all on the same file system, onto the disk.
pub(crate) fn sync_folders(folders: &[PathBuf]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if folders.len() > MANY {
        return Ok(rustix::fs::syncfs(File::open(&folders[0])?)?);
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}
