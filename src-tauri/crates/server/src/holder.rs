//! Who holds the port that we want: asked of the system, of whoever answers there, and of the container engine.

use std::fmt;
use std::time::Duration;

use deskgrid_docker::{EngineState, Publisher};
use deskgrid_http::{HolderProcess, PortHolder, SERVER};
use tokio::sync::watch;

/// Whoever does not answer within this time is not asked any longer: somebody waits for the words.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Whoever holds a port, as far as that could be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    by_system: PortHolder,
    /// Whether a Deskgrid answers there.
    pub(crate) is_deskgrid: bool,
    /// The container to which the engine leads the port.
    container: Option<Publisher>,
}

impl Holder {
    /// Finds out who has `port`.
    pub(crate) async fn of(port: u16, engine: watch::Receiver<EngineState>) -> Self {
        let by_system = tokio::task::spawn_blocking(move || deskgrid_http::port_holder(port));
        let container = tokio::time::timeout(TIMEOUT, publisher(port, engine));
        let (by_system, is_deskgrid, container) = tokio::join!(by_system, is_deskgrid(port), container);
        Self { by_system: by_system.unwrap_or_default(), is_deskgrid, container: container.ok().flatten() }
    }

    /// What the person can do about it.
    pub(crate) fn advice(&self) -> String {
        match &self.container {
            Some(container) => format!("Stop it with `docker stop {}`", container.name),
            None if self.is_deskgrid => "Stop that one".to_owned(),
            None => "Stop that program".to_owned(),
        }
    }
}

/// Who it is, for a sentence that goes on: `nginx (process 4711)`.
impl fmt::Display for Holder {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(container) = &self.container {
            let Publisher { name, image } = container;
            let what = if container.is_older_worker() { "the older container worker, " } else { "" };
            return write!(to, "{what}the container \"{name}\" (image {image})");
        }
        match (&self.by_system.process, self.is_deskgrid) {
            (Some(process), true) => write!(to, "another Deskgrid ({})", words(process)),
            (Some(process), false) if process.name.is_empty() => write!(to, "process {}", process.id),
            (Some(process), false) => write!(to, "{} (process {})", process.name, process.id),
            (None, true) => write!(to, "another Deskgrid{}", self.of_whom()),
            (None, false) => write!(to, "another program{}", self.of_whom()),
        }
    }
}

impl Holder {
    fn of_whom(&self) -> &'static str {
        if self.by_system.is_of_another_user { " of another user" } else { "" }
    }
}

fn words(process: &HolderProcess) -> String {
    let HolderProcess { id, name } = process;
    if name.is_empty() { format!("process {id}") } else { format!("{name}, process {id}") }
}

/// Every answer of ours says who gives it, refusals too.
async fn is_deskgrid(port: u16) -> bool {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
    let Ok(client) = client else { return false };
    for host in ["127.0.0.1", "[::1]"] {
        if let Ok(answer) = client.get(format!("http://{host}:{port}/health")).send().await {
            return answer.headers().get("server").is_some_and(|server| server == SERVER);
        }
    }
    false
}

async fn publisher(port: u16, mut engine: watch::Receiver<EngineState>) -> Option<Publisher> {
    let engine = engine.wait_for(|state| state.ready().is_some()).await.ok()?.ready().cloned()?;
    engine.publisher(port).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use deskgrid_docker::EngineWatch;
    use tokio::net::TcpListener;

    use super::*;

    fn process(id: u32, name: &str) -> PortHolder {
        PortHolder { process: Some(HolderProcess { id, name: name.to_owned() }), is_of_another_user: false }
    }

    fn container(image: &str) -> Holder {
        let container = Publisher { name: "web".to_owned(), image: image.to_owned() };
        Holder { by_system: process(5, "docker-proxy"), is_deskgrid: false, container: Some(container) }
    }

    #[test]
    fn each_holder_is_named_as_exactly_as_it_is_known() {
        let of = |by_system: PortHolder, is_deskgrid| Holder { by_system, is_deskgrid, container: None };
        let foreign = PortHolder { process: None, is_of_another_user: true };
        for (holder, words) in [
            (of(process(12, "nginx"), false), "nginx (process 12)"),
            (of(process(12, ""), false), "process 12"),
            (of(process(12, "deskgrid"), true), "another Deskgrid (deskgrid, process 12)"),
            (of(foreign.clone(), true), "another Deskgrid of another user"),
            (of(foreign, false), "another program of another user"),
            (Holder::default(), "another program"),
            (container("nginx:1"), "the container \"web\" (image nginx:1)"),
            (
                container("metapage/metaframe-docker-worker:0.54"),
                "the older container worker, the container \"web\" (image metapage/metaframe-docker-worker:0.54)",
            ),
        ] {
            assert_eq!(holder.to_string(), words);
        }
        assert!(container("nginx:1").advice().contains("docker stop web"));
    }

    #[tokio::test]
    async fn a_program_that_says_nothing_is_named_and_is_no_deskgrid() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        let engine = EngineWatch::start(Some("unix:///nonexistent/engine.sock".to_owned()));
        let holder = Holder::of(port, engine.state()).await;
        silent.abort();
        assert!(!holder.is_deskgrid);
        #[cfg(target_os = "linux")]
        assert!(holder.to_string().contains(&std::process::id().to_string()), "{holder}");
    }
}
