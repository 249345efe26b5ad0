//! A server of somebody who is not root, over an engine that is.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tempfile::TempDir;

use crate::server::{Options, program, test_engine};

/// Nobody on any machine; the tests only need some user who is not root.
const USER: u32 = 12345;

/// Such a user, with a copy of the program, since the built one may lie in a home that the user cannot enter.
pub struct OrdinaryUser {
    folder: TempDir,
}

impl OrdinaryUser {
    /// None when the tests themselves do not run as root: then every test is this user's already.
    pub fn new() -> Option<Self> {
        is_root().then(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
            std::fs::copy(program(), folder.path().join("deskgrid")).expect("a copy");
            Self { folder }
        })
    }

    /// How this user starts a server. The user is in the group that may use the test engine and in no other.
    pub fn options(&self) -> Options {
        let socket = test_engine().and_then(|host| host.strip_prefix("unix://").map(str::to_owned));
        let group = socket.and_then(|path| std::fs::metadata(path).ok()).map_or(USER, |socket| socket.gid());
        let launcher = ["setpriv", &format!("--reuid={USER}"), &format!("--regid={group}"), "--clear-groups"];
        Options {
            launcher: launcher.map(str::to_owned).into(),
            program: Some(self.folder.path().join("deskgrid")),
            owner: Some((USER, group)),
            ..Options::default()
        }
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|ourselves| ourselves.uid() == 0)
}
