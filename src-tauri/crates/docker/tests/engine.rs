//! The calls to an engine, against a real one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod registry;
mod test_engine;

use std::io::Read as _;

use bytes::Bytes;
use deskgrid_docker::joint::Next;
use deskgrid_docker::{
    Bind, Confinement, ContainerId, ContainerSpec, Disposal, Engine, EngineError, Exit, Image, LogStream,
    NETWORK, Network, Sought, VolumeMount,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use registry::Registry;
use test_engine::{IMAGE, Stage, on_engine};
use tokio::sync::RwLock;

/// Held for reading by tests that use the network of the jobs, and for writing by the one that takes it away.
static NETWORK_IN_USE: RwLock<()> = RwLock::const_new(());

/// Creates, listens, starts and waits.
async fn run(stage: &Stage, script: &str) -> (ContainerId, Exit, String, String) {
    let id = stage.engine.create(&stage.shell(script)).await.unwrap();
    let output = stage.engine.attach(&id).await.unwrap();
    stage.engine.start(&id).await.unwrap();
    let (exit, (out, err)) = tokio::join!(stage.engine.wait(&id), texts(output));
    (id, exit.unwrap(), out, err)
}

/// Standard output and standard error as texts.
async fn texts(mut output: LogStream) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(chunk) = output.next().await {
        let chunk = chunk.unwrap();
        if chunk.is_stderr { &mut err } else { &mut out }.extend_from_slice(&chunk.bytes);
    }
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

async fn image(engine: &Engine, reference: &str) -> Result<Image, EngineError> {
    pulled(engine, reference).await.0
}

/// The image, and what is said while it is pulled.
async fn pulled(engine: &Engine, reference: &str) -> (Result<Image, EngineError>, Vec<String>) {
    let mut lines = Vec::new();
    let mut pull = match engine.seek_image(reference, None).await {
        Ok(Sought::Found(image)) => return (Ok(image), lines),
        Ok(Sought::Pulling(pull)) => pull,
        Err(error) => return (Err(error), lines),
    };
    loop {
        match pull.next().await {
            Ok(Next::Heard(heard)) => lines.extend(heard.messages.into_iter().map(|progress| progress.line)),
            Ok(Next::Over(image)) => return (Ok(image), lines),
            Err(error) => return (Err(error), lines),
        }
    }
}

/// Removes the network of the jobs as soon as no container of anybody's is in it; fine when it is away already.
async fn take_network_away(docker: &bollard::Docker) {
    let filters = [("type", vec!["network"]), ("event", vec!["disconnect"])].into();
    let options = bollard::query_parameters::EventsOptionsBuilder::new().filters(&filters).since("0").build();
    let mut left = docker.events(Some(options));
    while let Err(error) = docker.remove_network(NETWORK).await {
        let said = error.to_string();
        if said.contains("not found") {
            return;
        }
        assert!(said.contains("active endpoints"), "{said}");
        left.try_next().await.unwrap();
    }
}

fn tar_of(files: &[(&str, &[u8])]) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_tells_its_output_and_its_exit_code() {
    on_engine(|stage| async move {
        let (id, exit, out, err) = run(&stage, "echo out; echo err >&2; exit 3").await;
        assert_eq!(exit, Exit { code: 3, oom_killed: false, error: None, never_began: None });
        assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
        let seen = stage.engine.inspect(&id).await.unwrap();
        assert_eq!((seen.running, seen.exit, seen.image.as_str()), (false, Some(exit), IMAGE));
        // Their order says nothing: the engine notes the start of a very short container after its end.
        assert!(seen.started_at.is_some() && seen.finished_at.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_container_loses_no_output() {
    on_engine(|stage| async move {
        let (_, exit, out, _) = run(&stage, "seq 1 20000").await;
        assert_eq!(exit.code, 0);
        assert_eq!(out.lines().count(), 20000);
        assert!(out.ends_with("\n20000\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_ends_at_once_and_can_be_ended_and_removed_again() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let id = engine.create(&stage.shell("trap '' TERM; sleep 1000")).await.unwrap();
        engine.start(&id).await.unwrap();
        assert!(engine.inspect(&id).await.unwrap().running);
        let (exit, killed) = tokio::join!(engine.wait(&id), engine.kill(&id));
        killed.unwrap();
        assert_eq!(exit.unwrap(), Exit { code: 137, oom_killed: false, error: None, never_began: None });
        engine.kill(&id).await.unwrap();
        engine.remove(&id).await.unwrap();
        engine.kill(&id).await.unwrap();
        engine.remove(&id).await.unwrap();
        assert_eq!(engine.start(&id).await.unwrap_err().code(), "no-such-container");
        assert_eq!(engine.wait(&id).await.unwrap_err().code(), "no-such-container");
        assert_eq!(engine.inspect(&id).await.unwrap_err().code(), "no-such-container");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_uses_up_its_memory_says_so() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let mut spec = stage.shell("exec tail /dev/zero");
        spec.memory = Some(32 << 20);
        let id = engine.create(&spec).await.unwrap();
        engine.start(&id).await.unwrap();
        let exit = engine.wait(&id).await.unwrap();
        assert_eq!((exit.code, exit.oom_killed), (137, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_run_is_named_with_its_image() {
    on_engine(|stage| async move {
        for (command, wanted) in [("no-such-command", "does not exist"), ("/etc", "may not be executed")] {
            // With a first process of the engine's it begins, and that process tells: see the tests of confinement.
            let confinement = Confinement::Usual;
            let spec = ContainerSpec { confinement, ..stage.command(&[command]) };
            let id = stage.engine.create(&spec).await.unwrap();
            let error = stage.engine.start(&id).await.unwrap_err();
            let text = error.to_string();
            assert_eq!(error.code(), "cannot-start", "{text}");
            assert!(text.contains(wanted) && text.contains(command) && text.contains(IMAGE), "{text}");
        }
        let mut nothing = stage.command(&[]);
        nothing.cmd = None;
        let error = stage.engine.create(&nothing).await.unwrap_err();
        assert_eq!(error.code(), "cannot-start");
        assert!(error.to_string().contains("Give the job a command"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_read_from_its_start_while_a_container_runs_and_after_its_end() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let id =
            engine.create(&stage.shell("echo one; echo two >&2; read nothing; sleep 1000")).await.unwrap();
        engine.start(&id).await.unwrap();
        let mut live = engine.logs(&id);
        let first = [live.try_next().await.unwrap().unwrap(), live.try_next().await.unwrap().unwrap()];
        engine.kill(&id).await.unwrap();
        assert_eq!(live.try_next().await.unwrap(), None);
        let after: Vec<_> = engine.logs(&id).try_collect().await.unwrap();
        let out = first.iter().find(|chunk| !chunk.is_stderr).unwrap();
        let err = first.iter().find(|chunk| chunk.is_stderr).unwrap();
        assert_eq!((&out.bytes[..], &err.bytes[..]), (&b"one\n"[..], &b"two\n"[..]));
        assert_eq!(after, first);
        assert!(out.time.is_some() && err.time.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_containers_are_found_by_its_label_alone() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let mut spec = stage.shell("exit 4");
        spec.labels.insert("x".to_owned(), "y".to_owned());
        let never_started = engine.create(&spec).await.unwrap();
        let (ended, ..) = run(&stage, "exit 4").await;
        let ours = engine.ours(&stage.worker).await.unwrap();
        assert_eq!(ours.len(), 2);
        let find = |id: &ContainerId| ours.iter().find(|one| one.id == *id).unwrap();
        assert_eq!(find(&ended).exit.as_ref().unwrap().code, 4);
        assert_eq!((find(&never_started).exit.as_ref(), find(&never_started).started_at), (None, None));
        assert_eq!(find(&never_started).labels["x"], "y");
        assert!(engine.ours("nobody").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_before_the_start_and_come_out_after_the_end() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let id = engine.create(&stage.shell("cat /tmp/in/a /tmp/in/b > /tmp/out")).await.unwrap();
        let archive = tar_of(&[("in/a", b"first "), ("in/b", b"second")]);
        let pieces: Vec<_> = archive.chunks(700).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        engine.upload(&id, "/tmp", stream::iter(pieces)).await.unwrap();
        engine.start(&id).await.unwrap();
        assert_eq!(engine.wait(&id).await.unwrap().code, 0);
        let pieces: Vec<Bytes> = engine.download(&id, "/tmp/out").try_collect().await.unwrap();
        let bytes = pieces.concat();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!((entry.path().unwrap().to_str().unwrap(), text.as_str()), ("out", "first second"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_folder_or_a_broken_off_source_fails_the_copy() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let id = engine.create(&stage.shell("true")).await.unwrap();
        let nothing = || stream::iter([Ok(tar_of(&[("a", b"b")]))]);
        let error = engine.upload(&id, "/no/such", nothing()).await.unwrap_err();
        assert_eq!(error.code(), "no-such-file", "{error}");
        let mut missing = engine.download(&id, "/no/such");
        assert_eq!(missing.try_next().await.unwrap_err().code(), "no-such-file");
        let broken = stream::iter([Ok(tar_of(&[("a", b"b")])), Err(std::io::Error::other("disk"))]);
        assert!(engine.upload(&id, "/tmp", broken).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_with_colons_and_spaces_and_volumes_are_mounted() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("a b:c,d");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("file"), "hello").unwrap();
        let mut spec = stage.shell("cat /in/file; echo x > /in/new; grep -c ' /cache ' /proc/mounts");
        spec.binds = vec![Bind {
            host: folder.to_str().unwrap().to_owned(),
            container: "/in".to_owned(),
            read_only: true,
        }];
        spec.volumes = vec![VolumeMount { volume: stage.worker.clone(), container: "/cache".to_owned() }];
        let id = engine.create(&spec).await.unwrap();
        let output = engine.attach(&id).await.unwrap();
        engine.start(&id).await.unwrap();
        let (out, err) = texts(output).await;
        assert_eq!(out, "hello1\n");
        assert!(err.contains("Read-only file system"), "{err}");
        engine.remove(&id).await.unwrap();
        let docker = bollard::Docker::connect_with_host(&engine.info().address.to_string()).unwrap();
        let options = None::<bollard::query_parameters::RemoveVolumeOptions>;
        docker.remove_volume(&stage.worker, options).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_the_jobs_network_cannot_reach_each_other() {
    let _in_use = NETWORK_IN_USE.read().await;
    on_engine(|stage| async move {
        let engine = &stage.engine;
        // It talks to itself first, so that it is known to listen once its address is told.
        let mut server = stage.shell(
            "nc -ll -p 7 -e echo secret & until nc 127.0.0.1 7 < /dev/null; do :; done; hostname -i; wait",
        );
        server.network = Network::Jobs;
        let server = engine.create(&server).await.unwrap();
        let mut output = engine.attach(&server).await.unwrap();
        engine.start(&server).await.unwrap();
        let mut said = String::new();
        while said.lines().count() < 2 {
            let chunk = output.try_next().await.unwrap().unwrap();
            said.extend(std::str::from_utf8(&chunk.bytes).ok().filter(|_| !chunk.is_stderr));
        }
        assert!(said.starts_with("secret\n"), "{said}");
        let address = said.lines().nth(1).unwrap();
        let mut client = stage.shell(&format!("nc -w 1 {address} 7 < /dev/null"));
        client.network = Network::Jobs;
        let client = engine.create(&client).await.unwrap();
        let output = engine.attach(&client).await.unwrap();
        engine.start(&client).await.unwrap();
        assert_eq!(texts(output).await.0, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_somebody_removed_comes_back() {
    let _alone = NETWORK_IN_USE.write().await;
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let docker = bollard::Docker::connect_with_host(&engine.info().address.to_string()).unwrap();
        let mut spec = stage.shell("ip addr show eth0");
        spec.network = Network::Jobs;
        let (first, second) = tokio::join!(engine.ensure_network(), engine.ensure_network());
        first.unwrap();
        second.unwrap();
        take_network_away(&docker).await;
        // Some engines notice at the creation of a container that its network is missing, others at its start.
        let before = engine.create(&spec).await.unwrap();
        take_network_away(&docker).await;
        engine.start(&before).await.unwrap();
        assert_eq!(engine.wait(&before).await.unwrap().code, 0);
        let after = engine.create(&spec).await.unwrap();
        engine.start(&after).await.unwrap();
        assert_eq!(engine.wait(&after).await.unwrap().code, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_here_is_used_without_a_word() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let (found, lines) = pulled(engine, IMAGE.trim_end_matches(":latest")).await;
        let found = found.unwrap();
        assert!(found.id.starts_with("sha256:") && found.size > 0 && lines.is_empty());
        assert_eq!((found.entrypoint, found.cmd), (vec![], vec![]));
        assert_eq!(image(engine, &found.id).await.unwrap().id, found.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_cannot_be_had_say_why() {
    on_engine(|stage| async move {
        let engine = &stage.engine;
        let code =
            |reference: &'static str| async move { image(engine, reference).await.unwrap_err().code() };
        assert_eq!(code("localhost:1/x").await, "registry-unreachable");
        assert_eq!(code("../../containers").await, "bad-image-name");
        let unknown = format!("sha256:{}", "0".repeat(64));
        assert_eq!(image(engine, &unknown).await.unwrap_err().code(), "image-not-found");
        let mut spec = stage.shell("true");
        spec.image = "deskgrid-test/never-made".to_owned();
        assert_eq!(engine.create(&spec).await.unwrap_err().code(), "image-not-found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_here_is_fetched_once_for_all_who_wait() {
    let served = Registry::start().await;
    let registry = served.address.clone();
    on_engine(|stage| async move {
        use bollard::query_parameters::{
            PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
        };
        let engine = &stage.engine;
        let docker = bollard::Docker::connect_with_host(&engine.info().address.to_string()).unwrap();
        let repository = format!("{registry}/deskgrid-test/fetched");
        let tag = TagImageOptionsBuilder::new().repo(&repository).tag(&stage.worker).build();
        docker.tag_image(IMAGE, Some(tag)).await.unwrap();
        let push = PushImageOptionsBuilder::new().tag(&stage.worker).build();
        docker.push_image(&repository, Some(push), None).try_collect::<Vec<_>>().await.unwrap();
        let reference = format!("{repository}:{}", stage.worker);
        docker.remove_image(&reference, None::<RemoveImageOptions>, None).await.unwrap();

        let ((first, one), (second, two)) =
            tokio::join!(pulled(engine, &reference), pulled(engine, &reference));
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(one[0], format!("{}: Pulling from deskgrid-test/fetched", stage.worker));
        assert!(one.iter().any(|line| line.starts_with("Digest: sha256:")), "{one:?}");
        assert!(one.last().unwrap().starts_with("Status: "), "{one:?}");
        assert!(one.ends_with(&two), "{two:?}");

        docker.remove_image(&reference, None::<RemoveImageOptions>, None).await.unwrap();
        let absent = format!("{repository}:never-pushed");
        assert_eq!(image(engine, &absent).await.unwrap_err().code(), "image-not-found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_loses_a_name_that_is_its_own_and_another_of_that_name_does_not() {
    on_engine(|stage| async move {
        use bollard::query_parameters::TagImageOptionsBuilder;
        let engine = &stage.engine;
        let docker = bollard::Docker::connect_with_host(&engine.info().address.to_string()).unwrap();
        let id = image(engine, IMAGE).await.unwrap().id;
        let name = format!("deskgrid-test/named:{}", stage.worker);
        let tag = TagImageOptionsBuilder::new().repo("deskgrid-test/named").tag(&stage.worker).build();
        docker.tag_image(IMAGE, Some(tag)).await.unwrap();
        let gone = format!("sha256:{}", "0".repeat(64));
        for (name, id) in [(name.as_str(), gone.as_str()), ("deskgrid-test/never-made:1", &id)] {
            assert_eq!(engine.remove_image(name, id).await.unwrap(), Disposal::Nothing, "{name}");
        }
        assert!(engine.image(&name).await.unwrap().is_some());
        assert_eq!(engine.remove_image(&name, &id).await.unwrap(), Disposal::Name);
        assert_eq!(engine.remove_image(&name, &id).await.unwrap(), Disposal::Nothing);
        assert!(engine.image(IMAGE).await.unwrap().is_some());
    })
    .await;
}
