//! The local door as a Unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// The wait after a connection could not be accepted, mostly for want of file handles.
pub(super) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Systems have room for about this many bytes of a socket's path.
const LONGEST: usize = 100;
const NAME: &str = "deskgrid.sock";

/// In the data folder, or where that has too long a path beside the sockets of the person's session.
pub(super) fn place(data_directory: &Path) -> PathBuf {
    let usual = data_directory.join(NAME);
    if usual.as_os_str().len() <= LONGEST {
        return usual;
    }
    let session = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    session.join(format!("deskgrid-{}.sock", super::digits_of(data_directory)))
}

/// Lets clients in until it is dropped.
pub(super) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        // The data folder is locked by us, so what lies there was left by a process that is dead.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    pub(super) async fn accept(&mut self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Whoever finds it later would take us for hung.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_dead_process_left_is_no_obstacle_and_we_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(folder.path());
        std::mem::forget(Listener::bind(&path).unwrap());
        let listener = Listener::bind(&path).unwrap();
        assert!(path.exists());
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_with_a_long_path_has_its_door_elsewhere() {
        let long = Path::new("/").join("folder".repeat(30));
        assert!(place(&long).as_os_str().len() <= LONGEST);
        assert_ne!(place(&long), place(&long.join("other")));
    }
}
