//! What the end-to-end tests, the demo and the benchmark share: a really running server and clients that speak to it
//! as the existing ones do.
//!
//! Nothing here knows a crate of the product: the tests see what a client sees.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test ends by panicking; its harness does too"
)]

pub mod browser;
pub mod clock;
pub mod command;
pub mod crash;
pub mod dashboard;
pub mod desktop;
pub mod door;
pub mod engine;
pub mod events;
pub mod fake_login_service;
pub mod hook;
pub mod line;
pub mod long_queue;
pub mod main_job;
pub mod notifications;
pub mod page;
pub mod raw;
pub mod registry;
pub mod relay;
pub mod server;
pub mod session;
pub mod small_disk;
pub mod tray;
pub mod ui;
pub mod user;
pub mod web;
pub mod window;

pub use clock::WallClock;
pub use command::{Outcome, deskgrid};
pub use door::Door;
pub use engine::{EngineClient, PrivateEngine};
pub use events::Events;
pub use hook::{Hook, Manner};
pub use line::Line;
pub use page::Page;
pub use raw::Raw;
pub use registry::{Picture, Registry};
pub use server::{Deskgrid, Options, test_engine};
pub use small_disk::OnSmallDisk;
pub use web::Web;

use serde_json::{Value, json};

/// The image with nothing but busybox, made by the set-up.
pub const BUSYBOX: &str = "deskgrid-test/busybox:latest";
/// The same with an entry point of its own.
pub const WITH_ENTRYPOINT: &str = "deskgrid-test/entrypoint:latest";
/// The same, run as the user 1000.
pub const AS_USER: &str = "deskgrid-test/user:latest";
/// A real Python on Debian, with Debian's tools for packages and users.
pub const PYTHON: &str = "deskgrid-test/python:latest";
/// R on Debian.
pub const R: &str = "deskgrid-test/r:latest";

/// A definition that runs `script` in busybox's shell.
pub fn shell(script: &str) -> Value {
    json!({"image": BUSYBOX, "command": format!("/bin/sh -c {}", quoted(script))})
}

/// A definition that does `first` in busybox's shell, and `last` as soon as it is told by [`EngineClient::tell`].
pub fn until_told(first: &str, last: &str) -> Value {
    shell(&format!("trap '{last}' USR1; {first}; while :; do sleep 0.1; done; : {}", unique()))
}

/// `text` as one word of a command.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A text that no other test uses, so that two tests never share a job.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}-{}", std::process::id(), now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Lower-case hexadecimal SHA-256.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// The text of a result's log, all lines joined.
pub fn log_text(finished: &Value) -> String {
    let lines = finished["finished"]["result"]["logs"].as_array().cloned().unwrap_or_default();
    lines.iter().filter_map(|line| line[0].as_str()).collect()
}

/// Waits until `is_so`, where no event tells of it: what a program left on the disk or in the engine.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(server::PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("this never came true: {what}"));
}
