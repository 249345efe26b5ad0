//! What a container may do, tried from inside containers of a real engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod test_engine;

use deskgrid_docker::{Confinement, ContainerSpec, Engine, Exit};
use futures_util::StreamExt;
use test_engine::{Stage, on_engine};

/// Docker's own set of rights, as a bit mask.
const USUAL: u64 = 0xa804_25fb;
/// The bits of `NET_BIND_SERVICE`, `NET_RAW`, `MKNOD` and `AUDIT_WRITE`.
const DROPPED: u64 = 1 << 10 | 1 << 13 | 1 << 27 | 1 << 29;

async fn run(engine: &Engine, spec: &ContainerSpec) -> (Exit, String) {
    let id = engine.create(spec).await.unwrap();
    let mut output = engine.attach(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = output.next().await {
        text.extend_from_slice(&chunk.unwrap().bytes);
    }
    (engine.wait(&id).await.unwrap(), String::from_utf8(text).unwrap())
}

async fn said(stage: &Stage, confinement: Confinement, script: &str) -> String {
    run(&stage.engine, &ContainerSpec { confinement, ..stage.shell(script) }).await.1
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(str::trim).unwrap_or_default()
}

fn rights(status: &str) -> u64 {
    u64::from_str_radix(field(status, "CapEff"), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_container_has_fewer_rights_and_gets_no_new_ones() {
    on_engine(|stage| async move {
        const LOOK: &str = "cat /proc/self/status; echo Files: $(ulimit -n); echo First: $(cat /proc/1/comm)";
        let close = said(&stage, Confinement::Close, LOOK).await;
        assert_eq!(rights(&close), USUAL & !DROPPED, "{close}");
        let facts = ["NoNewPrivs", "Files", "First"].map(|name| field(&close, name));
        let files = stage.engine.info().open_files.unwrap().to_string();
        assert_eq!(facts, ["1", &files, "docker-init"], "{close}");
        let usual = said(&stage, Confinement::Usual, LOOK).await;
        assert_eq!(rights(&usual), USUAL, "{usual}");
        assert_eq!(field(&usual, "NoNewPrivs"), "0", "{usual}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_can_be_made_in_compatible_mode_only() {
    on_engine(|stage| async move {
        const MAKE: &str = "mknod /tmp/memory c 1 1 && echo made";
        assert!(!said(&stage, Confinement::Close, MAKE).await.contains("made"));
        assert_eq!(said(&stage, Confinement::Usual, MAKE).await, "made\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_forks_without_end_comes_to_its_own_limit() {
    on_engine(|stage| async move {
        let script = "i=0; while [ $i -lt 5000 ]; do sleep 1000 & i=$((i + 1)); done; echo all started";
        let text = said(&stage, Confinement::Close, script).await;
        assert!(text.contains("can't fork") && !text.contains("all started"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_told_from_one_that_fails() {
    on_engine(|stage| async move {
        for (words, wanted) in [
            (&["no-such-program"][..], "\"no-such-program\" does not exist"),
            (&["/etc/passwd"][..], "\"/etc/passwd\" may not be executed"),
        ] {
            let (exit, _) = run(&stage.engine, &stage.command(words)).await;
            let why = exit.never_began.expect("it never began").to_string();
            assert!(why.contains(wanted), "{why}");
        }
        for script in ["no-such-program", "echo; exit 127", "exit 126"] {
            let (exit, text) = run(&stage.engine, &stage.shell(script)).await;
            assert!(exit.code >= 126 && exit.never_began.is_none(), "{script}: {text}");
        }
    })
    .await;
}
