//! The limit of all that runs containers: the same container by the engine's API alone, without us.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{BuildInfoAux, ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, BuildImageOptionsBuilder, BuilderVersion, CreateContainerOptions,
    InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptions, RemoveVolumeOptions, StartContainerOptions, WaitContainerOptions,
};
use deskgrid_tests::server::test_engine;
use deskgrid_tests::{BUSYBOX, unique};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;

/// The network and the volume that the protocol names for all jobs.
pub(crate) const NETWORK: &str = "metaframe-container-worker-network";
pub(crate) const VOLUME: &str = "metaframe-container-worker-cache";
/// The label of containers that the benchmark makes itself.
pub(crate) const LABEL: &str = "deskgrid.bench";

/// The engine without us.
#[derive(Clone)]
pub(crate) struct Bare {
    docker: Docker,
    host: String,
    mark: String,
    /// Whether the network and the volume of the jobs were there before.
    had_network: bool,
    had_volume: bool,
}

/// A container that ended and is not removed yet.
pub(crate) struct Ended {
    id: String,
    /// From its creation to the answer that it has ended.
    pub(crate) took: Duration,
    /// The bytes it wrote.
    pub(crate) written: u64,
}

/// The folders of a bare container, as Deskgrid makes them for a job.
pub(crate) struct Folders(TempDir);

impl Folders {
    /// Makes them below `place`, so that all files compared lie on the same disk.
    pub(crate) fn below(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).expect("a folder");
        for name in ["inputs", "outputs"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A file as it is sent.
fn pieces(
    file: tokio::fs::File,
) -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static {
    futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = bytes::BytesMut::with_capacity(256 << 10);
        let count = tokio::io::AsyncReadExt::read_buf(&mut file, &mut piece).await?;
        Ok((count > 0).then(|| (piece.freeze(), file)))
    })
}

impl Bare {
    pub(crate) async fn connect() -> Self {
        let host = test_engine().expect("the set-up names an engine in DESKGRID_TEST_DOCKER_HOST");
        let docker = Docker::connect_with_host(&host).expect("an address of an engine");
        let docker = docker.negotiate_version().await.expect("the engine answers");
        let had_network = docker.inspect_network(NETWORK, None).await.is_ok();
        let had_volume = docker.inspect_volume(VOLUME).await.is_ok();
        Self { docker, host, mark: unique(), had_network, had_volume }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What the label [`LABEL`] of this run's containers says.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    pub(crate) async fn cpus(&self) -> usize {
        let info = self.docker.info().await.expect("the engine answers");
        info.ncpu.and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
    }

    pub(crate) async fn version(&self) -> String {
        self.docker.version().await.expect("the engine answers").version.unwrap_or_default()
    }

    /// Runs `script` and leaves the ended container behind.
    pub(crate) async fn run(&self, script: &str, folders: &Folders) -> Ended {
        let body = self.body(script, folders);
        let began = Instant::now();
        let created = self.docker.create_container(None::<CreateContainerOptions>, body).await;
        let id = created.expect("a container is created").id;
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = self.docker.attach_container(&id, Some(options)).await.expect("it can be listened to");
        let started = self.docker.start_container(&id, None::<StartContainerOptions>).await;
        started.expect("the container starts");
        let output = attached
            .output
            .fold(0, async |sum, piece| sum + piece.expect("output").into_bytes().len() as u64);
        let end = self.docker.wait_container(&id, None::<WaitContainerOptions>).try_collect::<Vec<_>>();
        let (written, end) = tokio::join!(output, end);
        end.expect("it ends with 0");
        Ended { id, took: began.elapsed(), written }
    }

    /// Builds the packed context at `archive`, whose Dockerfile has the usual name, and removes the image again;
    /// returns how long the build took.
    pub(crate) async fn build(&self, archive: &Path) -> Duration {
        let name = format!("deskgrid-bench:{}", unique());
        let options = BuildImageOptionsBuilder::new()
            .t(&name)
            .version(BuilderVersion::BuilderBuildKit)
            .session(&format!("bench-{}", unique()))
            .build();
        let file = tokio::fs::File::open(archive).await.expect("the context");
        let body = bollard::body_try_stream(pieces(file));
        let began = Instant::now();
        let mut messages = Box::pin(self.docker.build_image(options, None, Some(body)));
        // The connection on which it asks back stays open: the image's name is its last word.
        while let Some(message) = messages.next().await {
            let aux = message.expect("it is built").aux;
            if matches!(aux, Some(BuildInfoAux::Default(_))) {
                break;
            }
        }
        let took = began.elapsed();
        self.docker.remove_image(&name, None::<RemoveImageOptions>, None).await.expect("the image goes");
        took
    }

    /// Removes an ended container as Deskgrid does.
    pub(crate) async fn remove(&self, ended: &Ended) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.docker.remove_container(&ended.id, Some(options)).await.expect("the container goes");
    }

    /// Reads the engine's own record of what a container wrote.
    pub(crate) async fn read_log(&self, ended: &Ended) -> u64 {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("all").build();
        let pieces = self.docker.logs(&ended.id, Some(options));
        pieces.fold(0, async |sum, piece| sum + piece.expect("its log").into_bytes().len() as u64).await
    }

    /// As Deskgrid asks for a job of one CPU: the same mounts, network and limits.
    fn body(&self, script: &str, folders: &Folders) -> ContainerCreateBody {
        let mount = |typ, source: String, target: &str| Mount {
            typ: Some(typ),
            source: Some(source),
            target: Some(target.to_owned()),
            ..Mount::default()
        };
        let bind = |name: &str| {
            let source = folders.path().join(name).to_string_lossy().into_owned();
            mount(MountType::BIND, source, &format!("/{name}"))
        };
        let volume = mount(MountType::VOLUME, VOLUME.to_owned(), "/job-cache");
        let host_config = HostConfig {
            nano_cpus: Some(1_000_000_000),
            mounts: Some(vec![bind("inputs"), bind("outputs"), volume]),
            network_mode: Some(NETWORK.to_owned()),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(BUSYBOX.to_owned()),
            cmd: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
            labels: Some(HashMap::from([(LABEL.to_owned(), self.mark.clone())])),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        }
    }

    /// Lists the containers with this label and looks at each, a few at a time, as a program does that has to know
    /// them all.
    pub(crate) async fn look_at_all(&self, label: &str) -> usize {
        let filters = HashMap::from([("label", vec![label.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await.expect("the engine answers");
        let looks = futures_util::stream::iter(found).map(|container| async move {
            let id = container.id.unwrap_or_default();
            self.docker.inspect_container(&id, None::<InspectContainerOptions>).await.expect("it is there")
        });
        looks.buffered(8).count().await
    }

    /// Removes what the benchmark left, and what Deskgrid made for all jobs unless it was there before.
    pub(crate) async fn tidy(&self) {
        let filters = HashMap::from([("label", vec![format!("{LABEL}={}", self.mark)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for container in self.docker.list_containers(Some(options)).await.unwrap_or_default() {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            // It may be on its way out already.
            let _ = self.docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
        }
        // Either is refused while somebody else uses it, which is as it should be.
        if !self.had_network {
            let _ = self.docker.remove_network(NETWORK).await;
        }
        if !self.had_volume {
            let _ = self.docker.remove_volume(VOLUME, None::<RemoveVolumeOptions>).await;
        }
    }
}
