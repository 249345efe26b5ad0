//! The disk damages what it holds while the server is dead: what was damaged is told, and all else holds.

use std::time::{Duration, Instant};

use deskgrid_tests::crash::damage::{harm_database, harm_file, spoil_records};
use deskgrid_tests::crash::load::{Manners, Surroundings};
use deskgrid_tests::crash::record::Hardship;
use deskgrid_tests::crash::work::Kind;
use deskgrid_tests::crash::{Client, Keeper, Load, Random};
use deskgrid_tests::{Options, sha256, shell, unique};
use futures_util::future::join_all;

use super::random::{CLIENTS, chance, end_after};
use crate::administration::Desk;

async fn codes(keeper: &Keeper) -> Vec<String> {
    let desk = Desk::of(keeper.server()).get("/api/desk").await;
    let notices = desk["notices"].as_array().cloned().unwrap_or_default();
    notices.iter().filter_map(|notice| notice["code"].as_str().map(str::to_owned)).collect()
}

/// Jobs that come to the steps of the records: of their submission, their end, their deletion.
async fn walk(load: &Load) {
    load.upload().await;
    let kinds = [Kind::Outputs, Kind::Writes, Kind::Cancelled, Kind::Deleted, Kind::Deleted, Kind::Deleted];
    let manners = Manners { again: true, patience: Duration::from_millis(300), ..Manners::default() };
    join_all(kinds.map(|kind| load.one(kind, manners))).await;
}

/// Dies at `point`, and the database is nothing but noise then.
async fn damaged_at(point: &str) -> Vec<String> {
    let args = ["--cpus", "3"].map(str::to_owned).into();
    let mut keeper = Keeper::start_doomed(Options { args, ..Options::default() }, point).await;
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    let die = async {
        keeper.until_dead().await;
        keeper.kill_and_harm(spoil_records).await;
    };
    tokio::join!(die, walk(&load));
    let (_, wrong) = load.check(&mut surroundings, Hardship::Server).await;
    assert!(codes(&keeper).await.contains(&"records-rebuilt".to_owned()), "{point}");
    keeper.until_tidy().await;
    wrong.into_iter().map(|wrong| format!("{point}: {wrong}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_holds_when_the_records_are_lost_after_a_kill_at_any_of_their_steps() {
    let points =
        ["records-written:4", "records-committed:4", "record-copied:5", "logs-removed", "logs-removed:2"];
    let wrong = join_all(points.map(damaged_at)).await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_rebuilt_with_every_job_when_that_is_killed_at_any_step() {
    let mut keeper = Keeper::start(Options::default()).await;
    let id = keeper.server().submit(&shell(&format!("echo {}", unique()))).await;
    let result = keeper.server().finished(&id).await;
    for point in
        ["rebuilt-filled", "damaged-set-aside", "damaged-set-aside:2", "rebuilt-placed", "record-compared"]
    {
        // It leaves a log beside the database.
        keeper.server().submit(&shell(&unique())).await;
        keeper.end().await;
        spoil_records(&keeper.server().data());
        keeper.die_at_start(point).await;
        keeper.live_on().await;
        let known = keeper.server().get_json(&format!("/j/{id}/result.json")).await;
        assert_eq!(known["data"], result, "{point}");
        assert!(codes(&keeper).await.contains(&"records-rebuilt".to_owned()), "{point}");
    }
}

#[tokio::test]
async fn a_damaged_file_whose_setting_aside_a_crash_cut_off_is_known_as_damaged() {
    let mut keeper = Keeper::start(Options::default()).await;
    let bytes = unique().into_bytes();
    let hash = sha256(&bytes);
    assert_eq!(keeper.server().put(&hash, bytes.clone()).await, 200);
    keeper.end().await;
    harm_file(&keeper.server().data(), &mut Random::new(1), |name| name == hash).expect("it is there");
    keeper.start_to_die("blob-set-aside").await;
    let path = format!("/f/{hash}");
    // The answer never comes.
    let _ = keeper.server().http().get(keeper.server().url(&path)).send().await;
    keeper.until_dead().await;
    keeper.live_on().await;
    assert_eq!(keeper.server().get(&path).await.0, 410);
    assert_eq!(keeper.server().put(&hash, bytes.clone()).await, 200);
    assert_eq!(keeper.server().get(&path).await, (200, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_for_all_that_was_not_damaged_when_the_disk_fails_between_lives() {
    let mut random = chance("damage");
    let end = end_after(20);
    let args = ["--cpus", "4"].map(str::to_owned).into();
    let mut keeper = Keeper::start(Options { args, ..Options::default() }).await;
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    load.upload().await;
    let sources: Vec<_> = (0..CLIENTS).map(|_| random.fork()).collect();
    let clients = join_all(sources.into_iter().map(|random| load.go_on(random, || Instant::now() > end)));
    let kill = async {
        while Instant::now() < end {
            tokio::time::sleep(random.time(Duration::from_millis(500), Duration::from_secs(4))).await;
            keeper.kill_and_harm(|data| harm(data, &mut random, &load)).await;
        }
    };
    tokio::join!(kill, clients);
    let (jobs, violations) = load.check(&mut surroundings, Hardship::Server).await;
    println!("{jobs} jobs, {} lives", keeper.lives());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    keeper.until_tidy().await;
}

fn harm(data: &std::path::Path, random: &mut Random, load: &Load) {
    if random.below(2) == 0 {
        println!("harmed: {}", harm_database(data, random));
    } else if let Some(hash) = harm_file(data, random, |hash| load.is_no_source(hash)) {
        println!("harmed: the file {hash}");
        load.harmed(hash);
    }
}
