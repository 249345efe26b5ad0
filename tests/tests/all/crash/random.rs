//! Kills at instants that chance chooses, under a mixed load, alone and together with other trouble. Some seconds in
//! `make test`, as long as one likes in `make soak`. The seed is printed; `SOAK_SEED` repeats a run as far as the
//! machine lets it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deskgrid_tests::clock::HOUR;
use deskgrid_tests::crash::load::Surroundings;
use deskgrid_tests::crash::record::Hardship;
use deskgrid_tests::crash::{Client, Keeper, Random};
use deskgrid_tests::small_disk::SmallDisk;
use deskgrid_tests::{OnSmallDisk, Options, PrivateEngine, WallClock};
use futures_util::future::join_all;

/// Clients that each have one job at a time.
pub(super) const CLIENTS: usize = 5;
/// The tests that share the time of a soak, the one of `damage` among them.
const TESTS: u64 = 6;
const MB: u64 = 1_000_000;

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

/// When the load is over: after this test's share of the soak, or after so many seconds.
pub(super) fn end_after(usual: u64) -> Instant {
    Instant::now() + Duration::from_secs(number("SOAK_SECONDS").map_or(usual, |all| all / TESTS))
}

fn four_cpus() -> Vec<String> {
    ["--cpus", "4"].map(str::to_owned).into()
}

/// Has clients at work until `end`, while `trouble` goes on that leaves a living server behind. Then the promise is
/// held against what they were told.
async fn endure(
    keeper: &mut Keeper,
    random: &mut Random,
    end: Instant,
    hardship: Hardship,
    trouble: impl AsyncFnOnce(&mut Keeper, &mut Random),
) {
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    load.upload().await;
    let sources: Vec<_> = (0..CLIENTS).map(|_| random.fork()).collect();
    let clients = join_all(sources.into_iter().map(|random| load.go_on(random, || Instant::now() > end)));
    tokio::join!(trouble(keeper, random), clients);
    let (jobs, violations) = load.check(&mut surroundings, hardship).await;
    println!("{jobs} jobs, {} lives", keeper.lives());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    keeper.until_tidy().await;
}

/// Short times more often than long ones.
async fn a_moment(random: &mut Random, longest: Duration) {
    tokio::time::sleep(random.time(Duration::from_millis(30), longest)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_server_is_killed_at_any_instant() {
    let (mut random, end) = (chance("server"), end_after(25));
    let mut keeper = Keeper::start(Options { args: four_cpus(), ..Options::default() }).await;
    let trouble = async |keeper: &mut Keeper, random: &mut Random| keeper.kill_at_random(random, end).await;
    endure(&mut keeper, &mut random, end, Hardship::Server, trouble).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_engine_and_server_are_killed_at_any_instant() {
    let (mut random, end) = (chance("engine"), end_after(30));
    let engine = PrivateEngine::with_busybox().await;
    let options = Options { args: four_cpus(), docker_host: Some(engine.host()), ..Options::default() };
    let mut keeper = Keeper::start(options).await;
    let trouble =
        async |keeper: &mut Keeper, random: &mut Random| take_turns(keeper, &engine, random, end).await;
    endure(&mut keeper, &mut random, end, Hardship::Engine, trouble).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_disk_runs_full_and_the_server_is_killed_meanwhile() {
    let (mut random, end) = (chance("full disk"), end_after(25));
    let OnSmallDisk { server, disk } = OnSmallDisk::start(&["--cpus", "4"]).await;
    // Declared in this order, since the disk has to go first.
    let (mut keeper, disk) = (Keeper::of(server), disk);
    let trouble = async |keeper: &mut Keeper, random: &mut Random| fill(keeper, &disk, random, end).await;
    endure(&mut keeper, &mut random, end, Hardship::Disk, trouble).await;
}

/// Fills the disk to its reserve or to the last byte, and makes room again.
async fn fill(keeper: &mut Keeper, disk: &SmallDisk, random: &mut Random, end: Instant) {
    while Instant::now() < end {
        a_moment(random, Duration::from_secs(2)).await;
        disk.fill_but(random.below(15) * MB);
        a_moment(random, Duration::from_secs(3)).await;
        if random.below(2) == 0 {
            keeper.kill().await;
        }
        a_moment(random, Duration::from_secs(2)).await;
        disk.make_room();
    }
    // What could not be removed from a full disk is swept by a start.
    keeper.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_data_folder_becomes_read_only_for_a_while() {
    let (mut random, end) = (chance("read-only"), end_after(25));
    let OnSmallDisk { server, disk } = OnSmallDisk::start(&["--cpus", "4"]).await;
    let (mut keeper, disk) = (Keeper::of(server), disk);
    let trouble = async |keeper: &mut Keeper, random: &mut Random| lock_up(keeper, &disk, random, end).await;
    endure(&mut keeper, &mut random, end, Hardship::ReadOnly, trouble).await;
}

/// Takes away the right to write, and gives it back. A server does not start meanwhile, so it is killed in between.
async fn lock_up(keeper: &mut Keeper, disk: &SmallDisk, random: &mut Random, end: Instant) {
    while Instant::now() < end {
        a_moment(random, Duration::from_secs(3)).await;
        let read_only = disk.read_only_for_now();
        a_moment(random, Duration::from_secs(3)).await;
        drop(read_only);
        if random.below(3) == 0 {
            keeper.kill().await;
        }
    }
    keeper.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_clock_is_set_and_the_server_is_killed_meanwhile() {
    let (mut random, end) = (chance("clock"), end_after(25));
    let clock = WallClock::new();
    let mut keeper = Keeper::start(clock.options(4)).await;
    let trouble = async |keeper: &mut Keeper, random: &mut Random| set(keeper, &clock, random, end).await;
    endure(&mut keeper, &mut random, end, Hardship::Server, trouble).await;
}

/// Sets the clock ahead and back, by seconds and by days.
async fn set(keeper: &mut Keeper, clock: &WallClock, random: &mut Random, end: Instant) {
    const JUMPS: [i64; 6] = [-3, 3, -90, 90, -30 * HOUR, 30 * HOUR];
    while Instant::now() < end {
        a_moment(random, Duration::from_secs(2)).await;
        let jump = usize::try_from(random.below(JUMPS.len() as u64)).unwrap_or_default();
        clock.set(JUMPS[jump]);
        if random.below(2) == 0 {
            a_moment(random, Duration::from_secs(1)).await;
            keeper.kill().await;
        }
    }
    clock.set(0);
}
