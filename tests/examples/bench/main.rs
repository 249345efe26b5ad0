//! `make bench`: every figure of Deskgrid beside the limit it cannot pass, measured in the same run.
//!
//! Each module measures one theme and returns rows for the table. What is compared is measured in turn, one of each
//! per round, so that a machine that grows busy in between spoils both alike. Nothing here judges by time whether
//! Deskgrid is correct: that is what the tests are for. It looks into `/proc` and needs Linux.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends and says where")]

mod bare;
mod builds;
mod command_line;
mod container_files;
mod desktop;
mod files;
mod hashing;
mod latency;
mod lines;
mod load;
mod memory;
mod page;
mod plain_http;
mod queue;
mod repeated;
mod samples;
mod scroll;
mod start;
mod table;
mod takeover;
mod throughput;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use deskgrid_tests::{Deskgrid, Options};

use crate::bare::Bare;
use crate::table::Row;

/// Measures Deskgrid, each figure beside its limit
#[derive(Debug, Parser)]
struct Cli {
    /// Small sizes and few rounds: shows that everything works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Measure this theme only; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<Theme>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Theme {
    Start,
    Memory,
    Latency,
    Throughput,
    Repeated,
    Hash,
    Files,
    Input,
    Output,
    Lines,
    Queue,
    Builds,
    Load,
    Desktop,
    Scroll,
    Takeover,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Rounds of what takes less than a second.
    pub(crate) rounds: usize,
    /// Rounds of what takes seconds.
    pub(crate) long_rounds: usize,
    /// Jobs of the throughput row, over all rounds.
    pub(crate) jobs: usize,
    /// Repeats of answers that take milliseconds.
    pub(crate) repeats: usize,
    /// Bytes of the big file.
    pub(crate) bytes: u64,
    /// Bytes of the big build context.
    pub(crate) context: u64,
    /// Lines of the long log.
    pub(crate) lines: u64,
    /// Jobs that wait in the long queue.
    pub(crate) queued: usize,
    /// Jobs that run when the server is killed.
    pub(crate) taken_over: usize,
    /// Pages that listen, and uploads at once, under load.
    pub(crate) sockets: usize,
    pub(crate) uploads: usize,
}

const FULL: Scale = Scale {
    rounds: 30,
    long_rounds: 5,
    jobs: 200,
    repeats: 100,
    bytes: 1 << 30,
    context: 500 << 20,
    lines: 200_000,
    queued: 10_000,
    taken_over: 50,
    sockets: 200,
    uploads: 1000,
};

const QUICK: Scale = Scale {
    rounds: 2,
    long_rounds: 1,
    jobs: 8,
    repeats: 5,
    bytes: 8 << 20,
    context: 8 << 20,
    lines: 5_000,
    queued: 200,
    taken_over: 4,
    sockets: 20,
    uploads: 50,
};

/// What the themes share.
pub(crate) struct Bench {
    pub(crate) scale: Scale,
    /// A server that may use all CPUs of the engine.
    pub(crate) server: Deskgrid,
    /// The same engine without us.
    pub(crate) engine: Bare,
    /// How many jobs run at once.
    pub(crate) at_once: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let engine = Bare::connect().await;
    // In a task of its own, so that what was made is removed even when a measurement breaks off.
    let outcome = tokio::spawn(run(cli, engine.clone())).await;
    engine.tidy().await;
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(cli: Cli, engine: Bare) {
    let wanted = |theme: Theme| cli.only.is_empty() || cli.only.contains(&theme);
    let mut bench = prepare(if cli.quick { QUICK } else { FULL }, engine).await;
    introduce(&bench, cli.quick).await;
    table::begin();
    for theme in Theme::value_variants().iter().copied().filter(|theme| wanted(*theme)) {
        table::add(&measure(theme, &mut bench).await);
    }
    table::end();
}

async fn prepare(scale: Scale, engine: Bare) -> Bench {
    let at_once = engine.cpus().await;
    let args = vec!["--cpus".to_owned(), at_once.to_string()];
    let server = Deskgrid::start_with(Options { args, ..Options::default() }).await;
    // The first job brings the network of the jobs and their volume about, for the others as well.
    server.run(&page::small_job()).await;
    Bench { scale, server, engine, at_once }
}

async fn introduce(bench: &Bench, is_quick: bool) {
    let profile = if cfg!(debug_assertions) { "debug build: no figure counts" } else { "release build" };
    println!("{profile}; {} CPUs; Docker {}", bench.at_once, bench.engine.version().await);
    println!("{}", files::disk_of(&bench.server.data()));
    if is_quick {
        println!("--quick: small sizes and few rounds, no figure counts");
    }
}

async fn measure(theme: Theme, bench: &mut Bench) -> Vec<Row> {
    match theme {
        Theme::Start => start::measure(bench).await,
        Theme::Memory => memory::measure(bench).await,
        Theme::Latency => latency::measure(bench).await,
        Theme::Throughput => throughput::measure(bench).await,
        Theme::Repeated => repeated::measure(bench).await,
        Theme::Hash => hashing::measure(bench),
        Theme::Files => files::measure(bench).await,
        Theme::Input => container_files::measure_input(bench).await,
        Theme::Output => container_files::measure_output(bench).await,
        Theme::Lines => lines::measure(bench).await,
        Theme::Queue => queue::measure(bench).await,
        Theme::Builds => builds::measure(bench).await,
        Theme::Takeover => in_place(takeover::measure(bench)),
        Theme::Load => load::measure(bench).await,
        Theme::Desktop => in_place(desktop::measure(bench.scale)),
        Theme::Scroll => scroll::measure(bench).await,
    }
}

/// Waits for work that has to stay on its thread.
fn in_place<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}
