//! A second start, and a port that somebody else has: the person is told who it is, and nobody is ended.

use std::process::Stdio;

use deskgrid_tests::{BUSYBOX, Deskgrid, Door, EngineClient, eventually, unique};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

/// A `deskgrid serve` that cannot open its port, over a data folder of its own.
struct Waiting {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    warned: Lines<BufReader<ChildStderr>>,
    folder: TempDir,
}

impl Waiting {
    fn for_port(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("settings.toml");
        std::fs::write(&settings, "").unwrap();
        let port = port.to_string();
        let host = deskgrid_tests::server::test_engine().unwrap();
        let data = folder.path().join("data");
        let paths = [data.to_str().unwrap(), settings.to_str().unwrap()];
        let args = [
            "serve",
            "--port",
            &port,
            "--data-directory",
            paths[0],
            "--config",
            paths[1],
            "--docker-host",
            &host,
        ];
        let mut command = deskgrid_tests::command::command(&args);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let warned = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, said, warned, folder }
    }

    /// The line on which it says why it waits.
    async fn why(&mut self) -> String {
        loop {
            let line = self.warned.next_line().await.unwrap().expect("it waits and does not end");
            if line.contains("waits until the port is free") {
                return line;
            }
        }
    }

    fn door(&self) -> Door {
        Door::of(&self.folder.path().join("data"))
    }
}

#[tokio::test]
async fn a_second_server_over_the_same_data_says_where_the_first_is_and_ends() {
    let server = Deskgrid::start().await;
    let data = server.data();
    let args = ["serve", "--port", "0", "--data-directory", data.to_str().unwrap()];
    let second = deskgrid_tests::deskgrid(&args).await;
    assert_eq!(second.code, 1, "{second:?}");
    for part in [&server.pid().to_string(), &server.address, data.to_str().unwrap()] {
        assert!(second.stderr.contains(part), "{part}: {}", second.stderr);
    }
    assert_eq!(server.get("/health").await.1, b"OK");
}

#[tokio::test]
async fn a_lock_file_that_names_a_living_program_of_another_kind_is_no_obstacle() {
    let mut server = Deskgrid::start().await;
    let lock = server.data().join("deskgrid.lock");
    server.kill().await;
    assert!(lock.exists(), "the file of the killed one is still there");
    std::fs::write(&lock, std::process::id().to_string()).unwrap();
    server.start_again().await;
    assert_eq!(std::fs::read_to_string(lock).unwrap(), server.pid().to_string());
}

#[tokio::test]
async fn a_port_that_another_deskgrid_has_is_waited_for_and_that_one_is_named() {
    let mut first = Deskgrid::start().await;
    let mut second = Waiting::for_port(first.port());
    let why = second.why().await;
    assert!(why.contains("another Deskgrid") && why.contains(&first.pid().to_string()), "{why}");
    assert_eq!(first.get("/health").await.1, b"OK", "nobody ended it");
    assert_eq!(first.terminate().await, Some(0));
    let said = second.said.next_line().await.unwrap().unwrap();
    assert!(said.contains(&first.address), "{said}");
    second.process.kill().await.unwrap();
}

#[tokio::test]
async fn a_port_that_another_program_has_is_waited_for_and_that_program_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut server = Waiting::for_port(port);
    let why = server.why().await;
    // The tests themselves are the program.
    let named = format!("(process {})", std::process::id());
    assert!(why.contains(&named) && why.contains(&port.to_string()) && why.contains("--port"), "{why}");
    let desk = server.door().get("/api/desk").await;
    assert_eq!((&desk["doors"], &desk["problem"]["code"]), (&json!("blocked"), &json!("port-taken")));
    assert!(desk["problem"]["words"].as_str().unwrap().contains(&named), "{desk}");
    let checks = server.door().get("/api/doctor").await;
    let of_port = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "port").unwrap();
    assert_eq!((&of_port["verdict"], &of_port["message"]), (&json!("problem"), &desk["problem"]["words"]));
    drop(taken);
    assert!(server.said.next_line().await.unwrap().unwrap().contains(&port.to_string()));
}

/// Removes a container, also after a test that failed.
struct Container {
    engine: EngineClient,
    id: String,
}

impl Container {
    /// Starts one that publishes `port`, under this name and from an image of this name.
    async fn publishing(port: u16, name: &str, image: &str) -> Self {
        let engine = EngineClient::new(&deskgrid_tests::server::test_engine().unwrap());
        let (repository, tag) = image.split_once(':').unwrap();
        let path = format!("/images/{BUSYBOX}/tag?repo={repository}&tag={tag}");
        assert_eq!(engine.post(&path, &json!({})).await.0, 201);
        let binding = json!([{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]);
        let made = json!({"Image": image, "Cmd": ["/bin/sleep", "1000"], "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"PortBindings": {"80/tcp": binding}}});
        let (status, made) = engine.post(&format!("/containers/create?name={name}"), &made).await;
        assert_eq!(status, 201, "{made}");
        let container = Self { engine, id: made["Id"].as_str().unwrap().to_owned() };
        let (status, why) =
            container.engine.post(&format!("/containers/{}/start", container.id), &json!({})).await;
        assert_eq!(status, 204, "{why}");
        container
    }

    async fn remove(self) {
        self.engine.remove(&self.id).await;
    }
}

#[tokio::test]
async fn a_port_that_the_older_container_worker_has_is_named_with_what_stops_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let name = format!("worker-{}", unique());
    let container = Container::publishing(port, &name, "metapage/metaframe-docker-worker:test").await;
    // Where the engine takes its time, it is the proxy's program that is named.
    let (mut server, mut why) = (Waiting::for_port(port), String::new());
    eventually("the container is named", async || {
        why = server.why().await;
        let is_named = why.contains(&format!("docker stop {name}"));
        if !is_named {
            server = Waiting::for_port(port);
        }
        is_named
    })
    .await;
    container.remove().await;
    assert!(why.contains("the older container worker"), "{why}");
    assert!(server.said.next_line().await.unwrap().unwrap().contains(&port.to_string()));
}

#[tokio::test]
async fn the_doctor_says_who_has_the_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let data = folder.path().join("data");
    let text =
        format!("port = {}\ndata_directory = '{}'\n", taken.local_addr().unwrap().port(), data.display());
    std::fs::write(&settings, text).unwrap();
    let told = deskgrid_tests::deskgrid(&["doctor", "--config", settings.to_str().unwrap()]).await;
    assert!(told.stdout.contains(&format!("(process {})", std::process::id())), "{told:?}");
}
