//! The server of an ordinary user over an engine that runs as root: files travel by archive, since what a container
//! writes would not be the user's.

use deskgrid_tests::{Deskgrid, Options, PrivateEngine, log_text, sha256, shell, unique};
use serde_json::json;

use crate::outputs;

/// Nobody on any machine; the tests only need some user who is not root.
const USER: u32 = 12345;

/// An engine that the user may use, and the server of that user.
struct Home {
    server: Deskgrid,
    // Ends after the server, which is why it stands behind it.
    _engine: PrivateEngine,
    _program: tempfile::TempDir,
}

async fn home() -> Home {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let engine = PrivateEngine::with_busybox().await;
    let host = engine.host();
    let socket = std::path::Path::new(host.trim_start_matches("unix://"));
    chown(socket, Some(USER), Some(USER)).unwrap();
    std::fs::set_permissions(socket.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // The built program may lie in a home that the user cannot enter.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("deskgrid");
    std::fs::copy(deskgrid_tests::server::program(), &program).unwrap();
    let launcher = ["setpriv", &format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"];
    let server = Deskgrid::start_with(Options {
        docker_host: Some(host),
        launcher: launcher.map(str::to_owned).into(),
        program: Some(program),
        owner: Some((USER, USER)),
        ..Options::default()
    })
    .await;
    Home { server, _engine: engine, _program: folder }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_every_size_reach_the_container_and_outputs_come_back() {
    let Home { server, _engine, _program } = home().await;
    let big = vec![b'x'; 3 << 20];
    let hash = sha256(&big);
    assert_eq!(server.put(&hash, big).await, 200);
    let mut definition = shell(
        "cat /inputs/small /inputs/sub/text; wc -c < /inputs/big; \
         echo no > /inputs/big || echo read-only; echo yes > /inputs/small; cat /etc/app.conf; \
         cp /inputs/small /outputs/copy",
    );
    definition["inputs"] = json!({
        "small": {"value": format!("{}\n", unique())}, "sub/text": {"value": "below\n"},
        "big": {"type": "key", "value": hash},
    });
    definition["configFiles"] = json!({"/etc/app.conf": {"value": "configured\n"}});
    let finished = server.run(&definition).await;
    let log = log_text(&finished);
    for wanted in ["below\n", "3145728\n", "read-only\n", "configured\n"] {
        assert!(log.contains(wanted), "{wanted:?} in {finished}");
    }
    assert_eq!(server.output(&finished, "copy").await, b"yes\n");
    let (_, stored) = server.get(&format!("/f/{hash}")).await;
    assert_eq!(sha256(&stored), hash, "no job changes a stored file");
    outputs::until_cleared(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_folders_of_root_come_back_and_leave_nothing_undeletable() {
    let Home { server, _engine, _program } = home().await;
    outputs::closed_folders_are_read_and_removed(&server).await;
    outputs::two_thousand_files_come_back(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_and_links_out_of_the_folder_are_left_out_here_too() {
    let Home { server, _engine, _program } = home().await;
    let script = format!(
        "cd /outputs; mkfifo pipe; ln -s /etc/passwd passwd; ln -s missing dangling; echo {} > file; \
         ln -s file link; ln file hard; mkdir sub; ln -s ../file sub/link",
        unique()
    );
    let finished = server.run(&shell(&script)).await;
    let found: Vec<_> = finished["finished"]["result"]["outputs"].as_object().unwrap().keys().collect();
    assert_eq!(found, ["file", "hard", "link", "sub/link"], "{finished}");
    let log = log_text(&finished);
    for name in ["pipe", "passwd", "dangling"] {
        assert!(log.contains(&format!("left out /outputs/{name}")), "{name}: {log}");
    }
    outputs::until_cleared(&server).await;
}
