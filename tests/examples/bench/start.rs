//! From the start of the program to the line that says where it listens.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use deskgrid_tests::command::command;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Bench;
use crate::command_line::finished;
use crate::samples::Samples;
use crate::table::Row;

const LIMIT: &str = "deskgrid --version";
const MOST: Duration = Duration::from_millis(50);

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let (mut first, mut again, mut version) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..bench.scale.rounds {
        let folder = tempfile::tempdir_in(bench.server.data()).expect("a folder");
        first.push(listening(folder.path(), bench.engine.host()).await);
        again.push(listening(folder.path(), bench.engine.host()).await);
        version.push(finished(command(&["--version"])).await);
    }
    vec![
        Row::medians("start to listening", &again, &version, LIMIT).aim_time(again.median(), MOST),
        Row::times("start to listening, p95", again.p95(), version.p95(), LIMIT),
        Row::medians("start to listening, new data folder", &first, &version, LIMIT)
            .aim_time(first.median(), MOST),
    ]
}

async fn listening(folder: &Path, host: &str) -> Duration {
    let settings = folder.join("settings.toml");
    std::fs::write(&settings, "").expect("a file");
    let mut command = command(&["serve", "--port", "0", "--docker-host", host]);
    command.arg("--data-directory").arg(folder.join("data")).arg("--config").arg(settings);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut process = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("readable").expect("it says where it listens");
    let took = began.elapsed();
    let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port");
    TcpStream::connect(("127.0.0.1", port)).await.expect("it really listens");
    process.kill().await.expect("it runs");
    took
}
