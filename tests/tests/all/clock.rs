//! The wall clock is set while jobs run and while the program is away: no job pays for it.

use deskgrid_tests::clock::HOUR;
use deskgrid_tests::{Deskgrid, Events, Page, WallClock, log_text, shell, unique};
use serde_json::{Value, json};

use crate::administration::Desk;
use crate::restart::{go_on, in_two_halves};

/// Both ways, and far beyond every limit.
const JUMPS: [i64; 2] = [10 * HOUR, -10 * HOUR];
/// In milliseconds.
const AN_HOUR: u64 = 3_600_000;

fn limited(mut definition: Value, limit: &str) -> Value {
    definition["maxDuration"] = json!(limit);
    definition
}

/// What the server takes for the present time, in milliseconds.
async fn time_of(server: &Deskgrid) -> u64 {
    server.get_json("/q/local/status").await["localWorkers"][server.worker_id()]["time"].as_u64().unwrap()
}

/// Sets the clock and sees that the server goes by it.
async fn jump(clock: &WallClock, server: &Deskgrid, seconds: i64) {
    let before = time_of(server).await;
    clock.set(seconds);
    assert!(time_of(server).await.abs_diff(before) > 9 * AN_HOUR, "the server goes by this clock");
}

fn ended_well(finished: &Value) {
    assert_eq!(finished["finishedReason"], "Success", "{finished}");
    let duration = finished["finished"]["result"]["duration"].as_u64();
    assert!(duration.is_some_and(|duration| duration < AN_HOUR), "it did not run for hours: {finished}");
}

/// No part of a job's course took hours.
async fn took_no_hours(server: &Deskgrid, id: &str) {
    let job = Desk::of(server).get(&format!("/api/jobs/{id}")).await;
    for stage in job["timeline"].as_array().unwrap().iter().filter(|stage| stage["name"] != "queued") {
        let (start, end) = (stage["start"].as_u64().unwrap(), stage["end"].as_u64().unwrap());
        assert!(end >= start && end - start < AN_HOUR, "{stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_while_a_job_runs_neither_ends_it_nor_makes_it_long() {
    let clock = WallClock::new();
    let server = Deskgrid::start_with(clock.options(2)).await;
    let mark = unique();
    let id = server.submit(&limited(in_two_halves(&mark), "5m")).await;
    server.until_said(&id, "first").await;
    for seconds in JUMPS {
        jump(&clock, &server, seconds).await;
    }
    go_on(&server, &mark).await;
    let finished = server.finished(&id).await;
    ended_well(&finished);
    assert_eq!(log_text(&finished), format!("first {mark}\nsecond {mark}\n"));
    took_no_hours(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_while_we_were_away_does_not_end_a_job_that_is_taken_over() {
    for seconds in JUMPS {
        let clock = WallClock::new();
        let mut server = Deskgrid::start_with(clock.options(2)).await;
        let mark = unique();
        let id = server.submit(&limited(in_two_halves(&mark), "5m")).await;
        server.until_said(&id, "first").await;
        server.kill().await;
        clock.set(seconds);
        server.start_again().await;
        go_on(&server, &mark).await;
        let finished = server.finished(&id).await;
        ended_well(&finished);
        assert_eq!(server.output(&finished, "file").await, b"result\n");
        took_no_hours(&server, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_in_time_while_we_were_away_is_collected_however_late_we_come() {
    let clock = WallClock::new();
    let mut server = Deskgrid::start_with(clock.options(2)).await;
    let other = Deskgrid::start_with_cpus(1).await;
    let mark = unique();
    let id = server.submit(&limited(in_two_halves(&mark), "5m")).await;
    server.until_said(&id, "first").await;
    let mut events = server.engine().events(&server).await;
    server.kill().await;
    go_on(&other, &mark).await;
    events.until("die", &id).await;
    clock.set(10 * HOUR);
    server.start_again().await;
    let finished = server.finished(&id).await;
    ended_well(&finished);
    assert_eq!(server.output(&finished, "file").await, b"result\n");
}

#[tokio::test]
async fn the_time_limit_goes_on_over_a_restart_whatever_the_clock_says() {
    for seconds in JUMPS {
        let clock = WallClock::new();
        let mut server = Deskgrid::start_with(clock.options(1)).await;
        let id = server.submit(&limited(shell(&format!("echo ready {}; sleep 1000", unique())), "3s")).await;
        server.until_said(&id, "ready").await;
        server.kill().await;
        clock.set(seconds);
        server.start_again().await;
        let finished = server.finished(&id).await;
        assert_eq!(finished["finishedReason"], "TimedOut", "{finished}");
        let duration = finished["finished"]["result"]["duration"].as_u64().unwrap();
        assert!((3000..AN_HOUR).contains(&duration), "{finished}");
    }
}

#[tokio::test]
async fn sockets_and_streams_stay_open_when_the_clock_is_set() {
    let clock = WallClock::new();
    let server = Deskgrid::start_with(clock.options(1)).await;
    let id = server.submit(&shell(&format!("echo ready {}; sleep 1000", unique()))).await;
    server.until_said(&id, "ready").await;
    let (mut page, mut events) = (Page::open(&server, "local").await, Events::open(&server, &id).await);
    for seconds in JUMPS {
        jump(&clock, &server, seconds).await;
        page.ping().await;
    }
    page.end(&id, "Cancelled", None).await;
    assert_eq!(events.until("final").await["reason"], "Cancelled");
}

#[tokio::test]
async fn a_server_that_is_stopped_and_continued_in_place_of_a_laptop_that_sleeps_goes_on_with_everyone() {
    let server = Deskgrid::start_with_cpus(1).await;
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i + 1)); sleep 0.01; done";
    let id = server.submit(&limited(shell(&format!("{script}; : {}", unique())), "5m")).await;
    server.until_said(&id, "line 5").await;
    let (mut page, mut events) = (Page::open(&server, "local").await, Events::open(&server, &id).await);
    let mut engine = server.engine().events(&server).await;
    server.signal("STOP").await;
    page.send_text("PING").await;
    engine.until("die", &id).await;
    server.signal("CONT").await;
    while page.next_text().await.expect("the socket stays open") != "PONG" {}
    assert_eq!(events.until("final").await["reason"], "Success");
    let finished = server.finished(&id).await;
    ended_well(&finished);
    let expected = (0..200).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
    assert_eq!(log_text(&finished), expected);
}
