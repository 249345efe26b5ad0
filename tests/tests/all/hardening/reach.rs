//! What a job reaches: something out there, but neither us nor another job.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use deskgrid_tests::{Deskgrid, log_text, shell, unique};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// A script that says of each address, host and port, whether a connection to it can be opened.
pub(super) fn tries(addresses: &[String]) -> String {
    let mut script = format!(": {};", unique());
    for address in addresses {
        let connects = format!("timeout 3 nc -w 2 {address} </dev/null >/dev/null 2>&1");
        script.extend([connects.as_str(), " && echo ", address, ": open || echo ", address, ": closed;"]);
    }
    script
}

/// A server far away: a machine of its own, reached through a network of its own. It ends when dropped.
pub(super) struct FarAway {
    name: String,
    /// Host and port.
    pub(super) address: String,
    server: std::process::Child,
}

impl FarAway {
    /// Starts a server that says hello to everyone. Its address, in one of the networks that RFC 5737 keeps for
    /// examples, differs from that of others which run at the same time.
    pub(super) fn start() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed) * 4;
        let (gateway, host) = (format!("198.51.100.{}", number + 1), format!("198.51.100.{}", number + 2));
        let name = format!("dg{:x}n{number}", std::process::id());
        let (ours, theirs) = (format!("{name}a"), format!("{name}b"));
        for line in [
            format!("netns add {name}"),
            format!("link add {ours} type veth peer name {theirs} netns {name}"),
            format!("address add {gateway}/30 dev {ours}"),
            format!("link set {ours} up"),
            format!("-n {name} address add {host}/30 dev {theirs}"),
            format!("-n {name} link set {theirs} up"),
            format!("-n {name} route add default via {gateway}"),
        ] {
            let done = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is installed");
            assert!(done.success(), "ip {line}");
        }
        let server = Command::new("ip")
            .args(["netns", "exec", &name, "busybox", "nc", "-ll", "-p", "4000", "-e", "echo", "hello"])
            .stdin(Stdio::null())
            .spawn()
            .expect("busybox is installed");
        Self { name, server, address: format!("{host} 4000") }
    }
}

impl Drop for FarAway {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = Command::new("ip").args(["link", "delete", &format!("{}a", self.name)]).status();
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// Whether the job that wrote `log` could open a connection to `address`.
pub(super) fn is_open(log: &str, address: &str) -> bool {
    let said = log.lines().find_map(|line| line.strip_prefix(address)?.strip_prefix(": "));
    said.unwrap_or_else(|| panic!("{address} was tried: {log}")) == "open"
}

/// Ways from a container to this computer: itself, the gateway of its network, and names that engines give us.
async fn ways_to_us(server: &Deskgrid) -> Vec<String> {
    let network = server.engine().get("/networks/metaframe-container-worker-network").await;
    let gateway = network["IPAM"]["Config"][0]["Gateway"].as_str().expect("a gateway").to_owned();
    let own = Command::new("hostname").arg("-I").output().expect("a name").stdout;
    let own = String::from_utf8(own).expect("text");
    let addresses = own.split_whitespace().filter(|address| !address.contains(':')).map(str::to_owned);
    let names =
        ["127.0.0.1", "localhost", "host.docker.internal", "host.containers.internal"].map(str::to_owned);
    names.into_iter().chain([gateway]).chain(addresses).collect()
}

#[tokio::test]
async fn a_job_reaches_the_world_but_neither_our_port_nor_the_engine() {
    let server = Deskgrid::start().await;
    // The network is made with the first container.
    server.run(&shell(&format!(": {}", unique()))).await;
    // A program that listens on all addresses shows that the ways lead here.
    let open = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let open_port = open.local_addr().expect("an address").port();
    let hello = tokio::spawn(async move {
        while let Ok((mut stream, _)) = open.accept().await {
            let _ = stream.write_all(b"hello").await;
        }
    });
    let far_away = FarAway::start();
    let ways = ways_to_us(&server).await;
    let at = |port: u16| ways.iter().map(move |way| format!("{way} {port}"));
    let (ours, open): (Vec<_>, Vec<_>) = (at(server.port()).collect(), at(open_port).collect());
    let all: Vec<_> = ours.iter().chain(&open).chain([&far_away.address]).cloned().collect();
    let script = format!("{} ls /var/run/docker.sock /run/docker.sock", tries(&all));
    let log = log_text(&server.run(&shell(&script)).await);
    assert!(ours.iter().all(|address| !is_open(&log, address)), "{log}");
    assert!(open.iter().any(|address| is_open(&log, address)), "the ways lead here: {log}");
    assert!(is_open(&log, &far_away.address), "{log}");
    assert!(log.contains("/var/run/docker.sock: No such file"), "{log}");
    hello.abort();
}

#[tokio::test]
async fn a_job_reaches_no_other_job_by_address_or_name() {
    let server = Deskgrid::start_with_cpus(2).await;
    let id = server.submit(&shell(&format!("echo ready {}; nc -ll -p 4000 -e echo hello", unique()))).await;
    server.until_said(&id, "ready").await;
    let container = server.engine().container_of(&id).await;
    let network = &container["NetworkSettings"]["Networks"]["metaframe-container-worker-network"];
    let short = &container["Id"].as_str().expect("an id")[..12];
    let name = container["Name"].as_str().expect("a name").trim_start_matches('/');
    let ways =
        [network["IPAddress"].as_str().expect("an address"), short, name].map(|way| format!("{way} 4000"));
    let finished = server.run(&shell(&tries(&ways))).await;
    let log = log_text(&finished);
    assert!(ways.iter().all(|way| !is_open(&log, way)), "{log}");
    assert_eq!(finished["finished"]["result"]["StatusCode"], json!(0), "{log}");
}

#[tokio::test]
async fn status_and_doctor_say_what_jobs_can_reach() {
    let server = Deskgrid::start().await;
    server.run(&shell(&format!(": {}", unique()))).await;
    let status = server.get_json("/q/local/status").await;
    let words = status["engine"]["message"].as_str().expect("words");
    assert!(words.contains("listen on all addresses") && words.contains("as Deskgrid does"), "{words}");
    let host = deskgrid_tests::server::test_engine().expect("an engine");
    let doctor = deskgrid_tests::command::finish({
        let mut command = deskgrid_tests::command::command(&["doctor", "--json"]);
        command.env("DESKGRID_DOCKER_HOST", host);
        command
    });
    let said = doctor.await.stdout;
    assert!(said.contains("job network") && said.contains("listen on all addresses"), "{said}");
}
