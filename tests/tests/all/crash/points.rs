//! Kills at each named step of the program, twice where it comes there again while it recovers.

use deskgrid_tests::crash::load::{Manners, Surroundings};
use deskgrid_tests::crash::record::Hardship;
use deskgrid_tests::crash::work::Kind;
use deskgrid_tests::crash::{Client, Keeper, Load, lives};
use deskgrid_tests::registry::{Picture, Registry};
use deskgrid_tests::server::{PATIENCE, test_engine};
use deskgrid_tests::user::OrdinaryUser;
use deskgrid_tests::{Door, EngineClient, Options, sha256, unique};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;

/// Servers that live and die at the same time.
const AT_ONCE: usize = 4;

/// Steps that no client leads to. Each has a test here or in `damage`.
pub(super) const APART: [&str; 7] = [
    "blob-removed",
    "blob-set-aside",
    "record-compared",
    "rebuilt-filled",
    "damaged-set-aside",
    "rebuilt-placed",
    "run-taken-over",
];

/// The jobs that lead to `point`, beside the one that leads to most.
fn kinds(point: &str) -> &'static [Kind] {
    match point {
        "logs-removed" | "requests-answered" => &[Kind::Outputs, Kind::Deleted],
        "container-killed" => &[Kind::Outputs, Kind::TimesOut, Kind::Cancelled],
        "log-written" | "log-synced" | "log-emptied" | "container-attached" => &[Kind::Outputs, Kind::Writes],
        "context-noted" | "image-built" | "image-noted" => &[Kind::Outputs, Kind::Builds],
        "build-dropped" => &[Kind::Outputs, Kind::CancelledBuild],
        "input-downloaded" => &[Kind::Outputs, Kind::ReadsUrl],
        "inputs-gathered" | "blob-named" | "files-uploaded" => &[Kind::Outputs, Kind::ReadsUpload],
        _ => &[Kind::Outputs],
    }
}

/// Where files travel in archives: steps that root's servers do not come to.
fn is_of_archives(point: &str) -> bool {
    point.starts_with("files-")
}

/// Uploads and jobs, one of them with everything that a client can ask for.
async fn walk(load: &Load, point: &str) {
    load.upload().await;
    load.upload_named().await;
    let manners =
        |place| Manners { is_hooked: place == 0, by_socket: place == 1, again: true, ..Manners::default() };
    let jobs = kinds(point).iter().enumerate().map(|(place, kind)| load.one(*kind, manners(place)));
    join_all(jobs).await;
}

/// Dies at `point` while a client is served, and tells what was promised and not kept.
async fn die_at(point: &str, registry: &Registry) -> Vec<String> {
    let user = is_of_archives(point).then(OrdinaryUser::new).flatten();
    let options = user.as_ref().map(OrdinaryUser::options).unwrap_or_default();
    let args = ["--cpus", "3"].map(str::to_owned).into();
    let mut keeper = Keeper::start_doomed(Options { args, ..options }, point).await;
    let mut surroundings = Surroundings::start().await;
    let client = Client::of(keeper.server());
    let mut load = surroundings.load(client.clone());
    let engine = EngineClient::new(&test_engine().expect("the set-up names an engine"));
    let image = match point {
        "image-pulling" | "image-pulled" => {
            Some(format!("{}/{}", registry.address, registry.push(Picture::new()).await))
        }
        _ => None,
    };
    if let Some(image) = &image {
        load = load.in_image(image.clone());
    }
    tokio::select! {
        () = keeper.see_it_die(point) => unreachable!("it lives on"),
        () = walk(&load, point) => {}
    }
    let mut wrong = Vec::new();
    // Some steps come a moment after the client has all that it waits for.
    if keeper.lives() == 1 && tokio::time::timeout(PATIENCE, keeper.until_dead()).await.is_err() {
        wrong.push("it never came there".to_owned());
    }
    keeper.live_on().await;
    wrong.extend(load.check(&mut surroundings, Hardship::Server).await.1);
    keeper.until_tidy().await;
    if let Some(image) = image {
        engine.remove_image(&image).await;
    }
    println!("{point}: {} lives", keeper.lives());
    wrong.into_iter().map(|wrong| format!("{point}: {wrong}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_server_dies_at_any_named_step() {
    let registry = Registry::own().await;
    let mut points = lives::points().await;
    points.retain(|point| !APART.contains(&point.as_str()));
    let chosen = std::env::var("DESKGRID_TEST_POINT").ok();
    points.retain(|point| chosen.as_ref().is_none_or(|chosen| chosen == point));
    let registry = &registry;
    let rounds = futures_util::stream::iter(&points).map(|point| die_at(point, registry));
    let wrong: Vec<_> = rounds.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_holds_when_the_server_dies_again_while_it_takes_a_run_over() {
    let args = ["--cpus", "3"].map(str::to_owned).into();
    let mut keeper = Keeper::start(Options { args, ..Options::default() }).await;
    let mut surroundings = Surroundings::start().await;
    let load = surroundings.load(Client::of(keeper.server()));
    let mut events = keeper.server().engine().events(keeper.server()).await;
    let die = async {
        events.next_of("start").await;
        keeper.die_when_back("run-taken-over").await;
    };
    tokio::join!(
        load.one(Kind::Writes, Manners::default()),
        load.one(Kind::Outputs, Manners::default()),
        die
    );
    let (_, wrong) = load.check(&mut surroundings, Hardship::Server).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    keeper.until_tidy().await;
}

#[tokio::test]
async fn a_file_whose_removal_a_crash_cut_off_is_gone_and_no_other() {
    let mut keeper = Keeper::start_doomed(Options::default(), "blob-removed").await;
    let server = keeper.server();
    let (doomed, kept) = (unique().into_bytes(), unique().into_bytes());
    for bytes in [&doomed, &kept] {
        assert_eq!(server.put(&sha256(bytes), bytes.clone()).await, 200);
    }
    let (hash, other) = (sha256(&doomed), sha256(&kept));
    // Files that were brought just now are not removed.
    let path = server.data().join("blobs").join(&hash[..2]).join(&hash);
    std::fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let items = json!({"items": [{"kind": "blob", "id": hash}]});
    Door::of(&server.data()).post("/api/cache/delete", &items).await;
    keeper.until_dead().await;
    keeper.live_on().await;
    assert_eq!(keeper.server().get(&format!("/f/{hash}")).await.0, 404);
    assert_eq!(keeper.server().get(&format!("/f/{other}")).await.1, kept);
}
