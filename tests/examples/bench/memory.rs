//! What an idle server keeps in memory, before and after work.

use std::time::Duration;

use deskgrid_tests::{Deskgrid, Page, shell, unique};

use crate::files::BigFile;
use crate::page::{run, small_job};
use crate::table::{Row, megabytes};
use crate::{Bench, command_line, plain_http};

const MOST: f64 = 12e6;
/// Longer than threads stay that have nothing to do.
const CALM: Duration = Duration::from_secs(4);
/// How much work comes between the two looks.
const JOBS: usize = 5;
const FILE: u64 = 256 << 20;

/// Bytes of a process in memory.
#[derive(Clone, Copy)]
pub(crate) struct Resident {
    /// All that is in memory.
    pub(crate) all: f64,
    /// The same, pages shared with other processes counted in part.
    pub(crate) proportional: f64,
    /// What is not the program's own code, or other files, in memory.
    pub(crate) anonymous: f64,
}

impl Resident {
    pub(crate) fn of(server: &Deskgrid) -> Self {
        Self::of_process(server.pid())
    }

    pub(crate) fn of_process(pid: u32) -> Self {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = std::fs::read_to_string(path).expect("Linux tells what a process has in memory");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
        };
        Self { all: field("Rss:"), proportional: field("Pss:"), anonymous: field("Anonymous:") }
    }

    fn row(self, what: &str) -> Row {
        let limit = megabytes(self.all - self.anonymous);
        Row::new(format!("{what} (RSS)"), megabytes(self.all))
            .against(limit, "of it, the program's code")
            .apart(format!("PSS {}", megabytes(self.proportional)))
            .aim_bytes(self.all, MOST)
    }
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let server = Deskgrid::start().await;
    tokio::time::sleep(CALM).await;
    let fresh = Resident::of(&server);
    work(&server, bench).await;
    tokio::time::sleep(CALM).await;
    let worked = Resident::of(&server);
    let jobs = format!("idle after {JOBS} jobs, {} lines, files", bench.scale.lines);
    vec![fresh.row("idle after start"), worked.row(&jobs)]
}

/// Something of everything: jobs, a long log with a page that hears it, and big files.
async fn work(server: &Deskgrid, bench: &Bench) {
    let mut page = Page::open(server, "local").await;
    for _ in 0..JOBS {
        run(&mut page, &small_job()).await;
    }
    let script = format!(": {}; seq 1 {}", unique(), bench.scale.lines);
    let id = run(&mut page, &shell(&script)).await;
    page.close().await;
    server.get_json(&format!("/j/{id}/result.json")).await;
    let big = BigFile::make(server, bench.scale.bytes.min(FILE));
    let (_, hash) = command_line::sha256sum(&big.path()).await;
    tokio::task::block_in_place(|| {
        plain_http::put(server, &hash, &big.path());
        plain_http::get(server, &hash, big.bytes);
    });
}
