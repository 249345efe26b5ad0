//! Kills at instants that chance chooses, under a mixed load. Some seconds in `make test`, as long as one likes in
//! `make soak`. The seed is printed; `SOAK_SEED` repeats a run as far as the machine lets it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deskgrid_tests::crash::load::Surroundings;
use deskgrid_tests::crash::record::Hardship;
use deskgrid_tests::crash::{Client, Keeper, Random};
use deskgrid_tests::{Options, PrivateEngine};
use futures_util::future::join_all;

/// Clients that each have one job at a time.
pub(super) const CLIENTS: usize = 5;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The source of all choices of one test.
pub(super) fn chance(test: &str) -> Random {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number("SOAK_SEED").unwrap_or(now.as_secs());
    println!("{test}: SOAK_SEED={seed}");
    Random::new(seed)
}

/// How long this share of the soak takes, or the usual test.
pub(super) fn duration(usual: u64, share: u64) -> Duration {
    Duration::from_secs(number("SOAK_SECONDS").map_or(usual, |all| all / share))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_server_is_killed_at_any_instant() {
    let mut random = chance("server");
    let end = Instant::now() + duration(25, 2);
    let args = ["--cpus", "4"].map(str::to_owned).into();
    let mut keeper = Keeper::start(Options { args, ..Options::default() }).await;
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    load.upload().await;
    let sources: Vec<_> = (0..CLIENTS).map(|_| random.fork()).collect();
    let clients = join_all(sources.into_iter().map(|random| load.go_on(random, || Instant::now() > end)));
    tokio::join!(keeper.kill_at_random(&mut random, end), clients);
    let (jobs, violations) = load.check(&mut surroundings, Hardship::Server).await;
    println!("{jobs} jobs, {} lives", keeper.lives());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    keeper.until_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_engine_and_server_are_killed_at_any_instant() {
    let mut random = chance("engine");
    let end = Instant::now() + duration(30, 2);
    let engine = PrivateEngine::with_busybox().await;
    let args = ["--cpus", "4"].map(str::to_owned).into();
    let options = Options { args, docker_host: Some(engine.host()), ..Options::default() };
    let mut keeper = Keeper::start(options).await;
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    load.upload().await;
    let sources: Vec<_> = (0..CLIENTS).map(|_| random.fork()).collect();
    let clients = join_all(sources.into_iter().map(|random| load.go_on(random, || Instant::now() > end)));
    tokio::join!(take_turns(&mut keeper, &engine, &mut random, end), clients);
    let (jobs, violations) = load.check(&mut surroundings, Hardship::Engine).await;
    println!("{jobs} jobs, {} lives", keeper.lives());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    keeper.until_tidy().await;
}

/// Kills or stops the engine, the server, or both; the engine is back before the load is over.
async fn take_turns(keeper: &mut Keeper, engine: &PrivateEngine, random: &mut Random, end: Instant) {
    while Instant::now() < end {
        tokio::time::sleep(random.time(Duration::from_millis(100), Duration::from_secs(6))).await;
        match random.below(5) {
            0 => keeper.kill().await,
            1 => engine.stop().await,
            2 => engine.kill().await,
            3 => {
                engine.kill().await;
                keeper.kill().await;
            }
            _ => {
                keeper.kill().await;
                engine.kill().await;
            }
        }
        tokio::time::sleep(random.time(Duration::ZERO, Duration::from_secs(2))).await;
        engine.start().await;
    }
}
