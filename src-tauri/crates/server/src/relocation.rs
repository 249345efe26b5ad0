//! Brings the data folder to another place: everything is copied, on the disk there, and read back and compared before
//! the settings name it, and only then it goes from the old place. Whatever breaks off in between, the old folder is
//! whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deskgrid_http::{Complaint, LocalDoor, Move};
use deskgrid_store::{AtRest, PASSING, StoreError, is_true_copy};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Server;
use crate::settings::{Chosen, Key, Overrides, Settings, SettingsError, SettingsSource};

/// Why the data folder stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum RelocationError {
    /// The new place is no full path.
    #[error("{} is not the full path of a folder. Write it from the root of the disk on.", .0.display())]
    NotAbsolute(PathBuf),
    /// The new place lies in the old one, or the other way round.
    #[error("{} and the present data folder lie in each other. Choose a folder beside it.", .0.display())]
    Nested(PathBuf),
    /// Something is there already.
    #[error("{} is not an empty folder. Choose a new or an empty one, so that nothing of yours is mixed up.", .0.display())]
    NotEmpty(PathBuf),
    /// The other disk is too small.
    #[error(
        "The data take {needed} MB, and the disk of {} has {free} MB free. Make room there, or delete results first.",
        to.display()
    )]
    NoSpace {
        /// The new place.
        to: PathBuf,
        /// Megabytes of data.
        needed: u64,
        /// Megabytes that are free.
        free: u64,
    },
    /// The disk refused.
    #[error("{} could not be copied ({source}). The data stay where they were.", path.display())]
    Disk {
        /// What was at hand.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// What arrived is not what was sent.
    #[error(
        "The copy of {} in {} is not the same as the file itself. The data stay where they were; the disk there may be \
         failing, so choose another one.",
        path.display(), to.display()
    )]
    Differs {
        /// The file, as it is called in the data folder.
        path: PathBuf,
        /// The new place.
        to: PathBuf,
    },
    /// Somebody has the data folder open.
    #[error("The data stay where they were: {0}.")]
    NotAtRest(StoreError),
}

impl RelocationError {
    /// Stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAbsolute(_) => "move-not-absolute",
            Self::Nested(_) => "move-nested",
            Self::NotEmpty(_) => "move-not-empty",
            Self::NoSpace { .. } => "move-no-space",
            Self::Disk { .. } => "move-disk",
            Self::Differs { .. } => "move-differs",
            Self::NotAtRest(_) => "move-not-at-rest",
        }
    }
}

/// A way from one place to another that was found to be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    from: PathBuf,
    to: PathBuf,
    /// Bytes of all files in the old folder, when it was looked at.
    total: u64,
    /// The port was open before and is to be again.
    opens: bool,
}

impl Relocation {
    /// Looks whether the data folder `from` can go to `to`. Blocks on the disk.
    ///
    /// # Errors
    /// What stands in the way; nothing was changed.
    pub fn plan(from: &Path, to: &Path) -> Result<Self, RelocationError> {
        if !to.is_absolute() {
            return Err(RelocationError::NotAbsolute(to.to_owned()));
        }
        if to.starts_with(from) || from.starts_with(to) {
            return Err(RelocationError::Nested(to.to_owned()));
        }
        if !is_empty(to)? {
            return Err(RelocationError::NotEmpty(to.to_owned()));
        }
        let total = files(from)?.iter().map(|(_, bytes)| bytes).sum();
        let plan = Self { from: from.to_owned(), to: to.to_owned(), total, opens: true };
        plan.check_space()?;
        Ok(plan)
    }

    fn check_space(&self) -> Result<(), RelocationError> {
        let existing = self.to.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        // Where nobody tells, the copy itself will.
        let free = fs4::available_space(existing).unwrap_or(u64::MAX);
        if free > self.total() {
            return Ok(());
        }
        let (needed, free) = (self.total() / 1_000_000, free / 1_000_000);
        Err(RelocationError::NoSpace { to: self.to.clone(), needed, free })
    }

    /// Where it goes.
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// The same way, after which the port is open or stays shut, as the person had it before.
    #[must_use]
    pub(crate) fn and_then_open(self, opens: bool) -> Self {
        Self { opens, ..self }
    }

    /// Whether the port is to be opened afterwards.
    pub fn opens(&self) -> bool {
        self.opens
    }

    /// The move before the first byte is there.
    pub(crate) fn begun(&self) -> Move {
        Move { to: self.to.clone(), done: 0, total: self.total(), problem: None }
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Copies everything, compares each copy with its file, and tells `progress` the bytes that are there. Nobody
    /// may have the folder open, and nobody can open it meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// What could not be copied; what was copied before is gone again then.
    pub fn copy(&self, mut progress: impl FnMut(u64)) -> Result<(), RelocationError> {
        let copied = self.copy_all(&mut progress);
        if copied.is_err() {
            // It was empty or not there, so what is in it is ours.
            let _ = fs::remove_dir_all(&self.to);
        }
        copied
    }

    fn copy_all(&self, progress: &mut impl FnMut(u64)) -> Result<(), RelocationError> {
        let _at_rest = AtRest::of(&self.from).map_err(RelocationError::NotAtRest)?;
        private_folder(&self.to).map_err(refused(&self.to))?;
        let mut done = 0;
        // Looked for anew: what the server wrote at its end goes along, and what it took away is not missed.
        for (file, bytes) in files(&self.from)? {
            let copied = copy(&self.from.join(&file), &self.to.join(&file)).map_err(refused(&file))?;
            self.check(file, copied == bytes)?;
            done += bytes;
            progress(done.min(self.total));
        }
        Ok(())
    }

    /// Whether a file `is_whole` at the new place, and has the same bytes there.
    fn check(&self, file: PathBuf, is_whole: bool) -> Result<(), RelocationError> {
        if is_whole && is_true_copy(&self.from, &file, &self.to.join(&file)).map_err(refused(&file))? {
            return Ok(());
        }
        Err(RelocationError::Differs { path: file, to: self.to.clone() })
    }

    /// Has the settings name the old folder again, which is whole, and takes the copy away that could not be used.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The settings cannot be changed; they and the copy are as they were then.
    pub fn go_back(&self, source: &SettingsSource) -> Result<(), SettingsError> {
        let names_copy = source.load().is_ok_and(|settings| settings.data_directory == self.to);
        // In one write: settings that name another folder in between would have that one opened.
        source.choose(&[(Key::DataDirectory, self.named_from())])?;
        // Where the person has chosen another folder by hand, it was not the copy that could not be used.
        if names_copy {
            remove_folder(&self.to);
        }
        Ok(())
    }

    /// How the settings name the old folder. Where it is the usual one, they did not.
    fn named_from(&self) -> Option<Chosen> {
        let usual = Settings::from_overrides(Overrides::default()).ok();
        let is_usual = usual.is_some_and(|usual| usual.data_directory == self.from);
        (!is_usual).then(|| chosen(&self.from))
    }

    /// Takes the old folder away, when the data are `in_use` at the new place. Where a person has chosen another folder
    /// meanwhile, maybe the old one, nothing goes. What cannot be removed stays behind. Blocks on the disk.
    pub fn clear_old_place(&self, in_use: &Path) {
        if in_use == self.to {
            remove_folder(&self.from);
        } else {
            let (from, to) = (self.from.display(), self.to.display());
            tracing::warn!(%from, %to, in_use = %in_use.display(), "both folders of a move of the data folder are kept");
        }
    }
}

fn remove_folder(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(path = %folder.display(), %error, "a data folder that is not used any more could not be removed");
    }
}

fn chosen(folder: &Path) -> Chosen {
    Chosen::Text(folder.to_string_lossy().into_owned())
}

/// Somebody may be reading a large file when a move begins: so long it is waited for.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Stops `server` and carries out the move that was planned for it. Meanwhile its local door tells how far that is.
/// When this returns, the settings of `source` name the place where the data are: the new one, or after an error
/// still the old one. The server is to be opened again then, and after that the old place to be cleared; where it
/// cannot be opened at the new one, [`Relocation::go_back`] leads to the old one.
///
/// # Errors
/// Code and words; the data are where they were.
pub async fn relocate(server: Server, source: SettingsSource, plan: Relocation) -> Result<(), Complaint> {
    server.stop_within(READ_TIMEOUT).await;
    let (progress, told) = watch::channel(plan.begun());
    let over = CancellationToken::new();
    let door = LocalDoor::of(&plan.from).open().ok();
    let shown = door.map(|door| tokio::spawn(door.serve_moving(told, over.clone())));
    let moved = tokio::task::spawn_blocking(move || {
        plan.copy(|done| progress.send_modify(|moving| moving.done = done))
            .map_err(|error| (error.code(), error.to_string()))?;
        source
            .choose(&[(Key::DataDirectory, Some(chosen(&plan.to)))])
            .map_err(|error| (error.code(), error.to_string()))
    });
    let moved = moved.await.unwrap_or_else(|error| Err(("broken", error.to_string())));
    over.cancel();
    if let Some(shown) = shown {
        let _ = shown.await;
    }
    moved
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> RelocationError {
    move |source| RelocationError::Disk { path: path.to_owned(), source }
}

fn is_empty(folder: &Path) -> Result<bool, RelocationError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(refused(folder)(error)),
    }
}

/// Every file of the data folder `root`, and its bytes.
fn files(root: &Path) -> Result<Vec<(PathBuf, u64)>, RelocationError> {
    let mut files = Vec::new();
    list(root, Path::new(""), &mut files)?;
    Ok(files)
}

/// Every file below `root`/`inside`, without what only a running server needs.
fn list(root: &Path, inside: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<(), RelocationError> {
    let folder = root.join(inside);
    for entry in fs::read_dir(&folder).map_err(refused(&folder))? {
        let entry = entry.map_err(refused(&folder))?;
        let path = inside.join(entry.file_name());
        if PASSING.iter().any(|passing| path == Path::new(passing)) {
            continue;
        }
        let metadata = entry.metadata().map_err(refused(&path))?;
        if metadata.is_dir() {
            list(root, &path, files)?;
        } else if metadata.is_file() {
            files.push((path, metadata.len()));
        }
    }
    Ok(())
}

/// Copies one file, its mode too, and has it on the disk when it returns.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    if let Some(folder) = to.parent() {
        private_folder(folder)?;
    }
    let bytes = fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    Ok(bytes)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> tempfile::TempDir {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        for (path, text) in [
            ("token", "secret"),
            ("blobs/ab/abc", "bytes"),
            ("deskgrid.lock", "1"),
            ("runs/a.1/outputs/x", "passing"),
        ] {
            fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
            fs::write(data.join(path), text).unwrap();
        }
        parent
    }

    #[tokio::test]
    async fn a_server_goes_on_at_its_new_place_with_all_that_it_had() {
        let parent = tempfile::tempdir().unwrap();
        let settings = parent.path().join("settings.toml");
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let text = format!("port = 0\ndocker_host = 'unix:///nonexistent'\ndata_directory = {from:?}\n");
        fs::write(&settings, text).unwrap();
        let source = SettingsSource::of_file(settings, crate::settings::Overrides::default());
        let server = Server::open(source.clone(), None).await.unwrap();
        let token = fs::read_to_string(from.join("token")).unwrap();
        let plan = Relocation::plan(&from, &to).unwrap();
        relocate(server, source.clone(), plan.clone()).await.unwrap();
        let server = Server::open(source, None).await.unwrap();
        plan.clear_old_place(server.data_directory());
        assert_eq!(server.data_directory(), to);
        assert_eq!(fs::read_to_string(to.join("token")).unwrap(), token);
        assert!(!from.exists());
    }

    #[test]
    fn a_copy_that_cannot_be_used_goes_and_the_settings_name_the_old_place_as_before() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let settings = parent.path().join("settings.toml");
        let plan = Relocation::plan(&from, &to).unwrap();
        plan.copy(|_| {}).unwrap();
        fs::write(&settings, format!("# mine\ndata_directory = {to:?}\n")).unwrap();
        let source = SettingsSource::of_file(settings.clone(), crate::settings::Overrides::default());
        plan.go_back(&source).unwrap();
        assert_eq!(source.load().unwrap().data_directory, from);
        assert!(from.join("blobs/ab/abc").exists() && !to.exists());
        assert!(fs::read_to_string(&settings).unwrap().contains("# mine"));
    }

    #[test]
    fn everything_lasting_goes_along_and_nothing_passing() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new/place"));
        let plan = Relocation::plan(&from, &to).unwrap();
        let mut told = 0;
        plan.copy(|done| told = done).unwrap();
        assert_eq!((told, plan.total()), (11, 11));
        assert_eq!(fs::read_to_string(to.join("blobs/ab/abc")).unwrap(), "bytes");
        assert!(!to.join("runs").exists() && !to.join("deskgrid.lock").exists());
        assert!(from.join("token").exists());
        plan.clear_old_place(&to);
        assert!(!from.exists());
    }

    #[test]
    fn a_copy_that_the_settings_do_not_name_any_more_stays() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let settings = parent.path().join("settings.toml");
        let plan = Relocation::plan(&from, &to).unwrap();
        plan.copy(|_| {}).unwrap();
        fs::write(&settings, format!("data_directory = {from:?}\n")).unwrap();
        let source = SettingsSource::of_file(settings, crate::settings::Overrides::default());
        plan.go_back(&source).unwrap();
        assert_eq!(source.load().unwrap().data_directory, from);
        assert!(from.join("token").exists() && to.join("token").exists());
    }

    #[test]
    fn an_old_folder_that_is_in_use_again_is_not_cleared() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let plan = Relocation::plan(&from, &to).unwrap();
        plan.copy(|_| {}).unwrap();
        for in_use in [&from, &parent.path().join("a third one")] {
            plan.clear_old_place(in_use);
            assert!(from.join("blobs/ab/abc").exists() && to.join("blobs/ab/abc").exists());
        }
    }

    #[test]
    fn a_place_that_will_not_do_is_refused_before_anything_happens() {
        let parent = data();
        let from = parent.path().join("data");
        let code = |to: &Path| Relocation::plan(&from, to).unwrap_err().code();
        assert_eq!(code(Path::new("somewhere")), "move-not-absolute");
        assert_eq!(code(&from.join("inside")), "move-nested");
        assert_eq!(code(parent.path()), "move-nested");
        let full = tempfile::tempdir().unwrap();
        fs::write(full.path().join("mine"), "").unwrap();
        assert_eq!(code(full.path()), "move-not-empty");
    }

    #[test]
    fn a_copy_that_breaks_off_leaves_the_old_folder_whole_and_nothing_at_the_new_place() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let plan = Relocation::plan(&from, &to).unwrap();
        // In the way of a folder is a file.
        fs::create_dir(&to).unwrap();
        fs::write(to.join("blobs"), "").unwrap();
        let error = plan.copy(|_| {}).unwrap_err();
        assert!(error.to_string().contains("abc"), "{error}");
        assert!(!to.exists() && from.join("blobs/ab/abc").exists() && from.join("token").exists());
    }

    #[test]
    fn a_copy_that_is_short_or_differs_is_found_before_anything_goes_and_the_file_is_named() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let plan = Relocation::plan(&from, &to).unwrap();
        plan.copy(|_| {}).unwrap();
        let blob = PathBuf::from("blobs/ab/abc");
        plan.check(blob.clone(), true).unwrap();
        for wrong in ["byte", "bites"] {
            fs::write(to.join(&blob), wrong).unwrap();
            let error = plan.check(blob.clone(), true).unwrap_err();
            assert_eq!(error.code(), "move-differs");
            assert!(error.to_string().contains("abc"), "{error}");
        }
        assert!(plan.check("token".into(), false).is_err() && plan.check("token".into(), true).is_ok());
    }

    #[test]
    fn what_is_written_after_the_plan_goes_along_and_what_is_gone_by_then_is_not_missed() {
        let parent = data();
        let (from, to) = (parent.path().join("data"), parent.path().join("new"));
        let plan = Relocation::plan(&from, &to).unwrap();
        fs::remove_file(from.join("token")).unwrap();
        fs::write(from.join("late"), "records").unwrap();
        plan.copy(|_| {}).unwrap();
        assert!(to.join("late").exists() && !to.join("token").exists());
    }
}
