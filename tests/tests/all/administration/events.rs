use deskgrid_tests::{Deskgrid, Events, Page, server::PATIENCE, shell, unique, until_told};
use serde_json::{Value, json};

use super::Desk;

/// The administration's events as they come.
struct Stream(Events);

impl Stream {
    async fn open(desk: &Desk<'_>) -> Self {
        let request = desk.server.http().get(desk.server.url("/api/events")).bearer_auth(&desk.token);
        let events = Events::of(request.send().await.unwrap());
        assert_eq!(events.header("content-type"), Some("text/event-stream"));
        Self(events)
    }

    /// The first event of this name that is as asked.
    async fn until(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let (event, data) = self.0.next().await.expect("the stream goes on");
                if event == name && is_it(&data) {
                    return data;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name} comes in time"))
    }

    /// The row of a job in this phase.
    async fn row(&mut self, id: &str, phase: &str) -> Value {
        let find = |data: &Value| {
            let rows = data["changed"].as_array().cloned().unwrap_or_default();
            rows.into_iter().find(|row| row["id"] == id && row["phase"] == phase)
        };
        let data = self.until("jobs", |data| find(data).is_some()).await;
        find(&data).unwrap()
    }
}

#[tokio::test]
async fn a_job_is_followed_from_the_queue_to_its_end_and_its_deletion() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let mut stream = Stream::open(&desk).await;
    let id = server.submit(&until_told("echo hello", "exit 0")).await;
    stream.row(&id, "running").await;
    let is_whole = |live: &Value| live["cpu"].is_number() && live["tail"] == "hello" && live["lines"] == 1;
    stream.until("live", |data| is_whole(&data[&id])).await;
    server.engine().tell(&id).await;
    let row = stream.row(&id, "finished").await;
    assert_eq!((&row["exitCode"], &row["live"]), (&json!(0), &Value::Null));
    desk.done(&format!("/api/jobs/{id}/pin"), &json!({"on": true})).await;
    assert_eq!(stream.row(&id, "finished").await["pinned"], true);
    desk.done(&format!("/api/jobs/{id}/discard"), &json!({})).await;
    stream.until("jobs", |data| data["gone"] == json!([id])).await;
}

#[tokio::test]
async fn a_site_that_asks_is_told_of() {
    let server = Deskgrid::start_without_engine().await;
    let desk = Desk::of(&server);
    let mut stream = Stream::open(&desk).await;
    assert!(Page::open_from(&server.url("/q/local/client"), Some("https://lab.example")).await.is_err());
    stream.until("sites", |_| true).await;
}

#[tokio::test]
async fn a_reader_that_missed_more_than_is_remembered_is_told_to_fetch_the_list() {
    let server = Deskgrid::start_without_engine().await;
    let desk = Desk::of(&server);
    let mut stream = Stream::open(&desk).await;
    let mut page = Page::open(&server, "local").await;
    for _ in 0..1200 {
        let definition = shell(&unique());
        let id = deskgrid_tests::unique().replace(|c: char| !c.is_ascii_alphanumeric(), "");
        page.submit(&id, &definition, &json!({})).await;
    }
    // However the submissions were spread over ticks, every job is either named or covered by a whole list.
    let mut named = std::collections::HashSet::new();
    let mut is_whole = false;
    while !is_whole && named.len() < 1200 {
        let data = stream.until("jobs", |_| true).await;
        is_whole = data["whole"] == json!(true);
        for row in data["changed"].as_array().into_iter().flatten() {
            named.insert(row["id"].as_str().unwrap().to_owned());
        }
    }
}
