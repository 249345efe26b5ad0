//! Who asked for a job sees and ends it: pages of one origin among themselves, programs everything.

use deskgrid_tests::{Deskgrid, Page, shell, unique};
use serde_json::{Value, json};

const ONE: &str = "https://container.mtfm.io";
const OTHER: &str = "https://metapage.io";

async fn page_of(server: &Deskgrid, origin: &'static str) -> Page {
    Page::open_from(&server.url("/q/local/client"), Some(origin)).await.expect("an allowed page")
}

/// A POST or, without a body, a GET as a page of `origin` sends it.
async fn ask(server: &Deskgrid, origin: &str, path: &str, body: Option<Value>) -> Value {
    let request = match body {
        Some(body) => server.http().post(server.url(path)).json(&body),
        None => server.http().get(server.url(path)),
    };
    let answer = request.header("Origin", origin).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

async fn listed(server: &Deskgrid, origin: &str) -> Vec<String> {
    let list = ask(server, origin, "/q/local", None).await;
    list["data"].as_object().expect("a list").keys().cloned().collect()
}

#[tokio::test]
async fn a_page_is_told_of_the_jobs_of_its_own_origin_and_a_program_of_all() {
    let server = Deskgrid::start_without_engine().await;
    let (mut one, mut again) = (page_of(&server, ONE).await, page_of(&server, ONE).await);
    let mut program = Page::open(&server, "local").await;
    one.submit("of-one", &json!({"image": "a"}), &json!({})).await;
    ask(&server, OTHER, "/q/local", Some(json!({"id": "of-other", "definition": {"image": "b"}}))).await;
    server.post("/q/local", &json!({"id": "of-program", "definition": {"image": "c"}})).await;
    program.until_true(|page| page.jobs.len() == 3).await;
    for page in [&mut one, &mut again] {
        page.until("of-one", "Queued").await;
        page.send("QueryJobStates", json!({})).await;
        page.next_of("JobStates").await;
        assert_eq!(page.jobs.keys().collect::<Vec<_>>(), ["of-one"]);
    }
    assert_eq!(listed(&server, ONE).await, ["of-one"]);
    assert_eq!(listed(&server, OTHER).await, ["of-other"]);
    let status = ask(&server, OTHER, "/q/local/status", None).await;
    assert_eq!(
        (&status["jobs"], &status["clientCount"]),
        (&json!({"of-other": {"state": "Queued"}}), &json!(0))
    );
    assert_eq!(server.get_json("/q/local/status").await["clientCount"], 3);
}

#[tokio::test]
async fn a_page_cannot_end_what_others_asked_for() {
    let server = Deskgrid::start_without_engine().await;
    let (mut one, mut other) = (page_of(&server, ONE).await, page_of(&server, OTHER).await);
    one.submit("mine", &json!({"image": "a"}), &json!({"namespace": "n"})).await;
    one.until("mine", "Queued").await;
    for namespace in [None, Some("n"), Some("*"), Some("_")] {
        other.end("mine", "Cancelled", namespace).await;
        other.end("mine", "Deleted", namespace).await;
    }
    other.ping().await;
    ask(&server, OTHER, "/q/local/j/mine/cancel?namespace=*", Some(json!(null))).await;
    ask(&server, OTHER, "/q/local/j/mine/n/cancel", Some(json!(null))).await;
    let record = server.get_json("/q/local").await["data"]["mine"].take();
    assert_eq!((&record["state"], &record["namespaces"]), (&json!("Queued"), &json!(["n"])));
    server.post("/q/local/j/mine/cancel?namespace=*", &json!(null)).await;
    one.until_true(|page| page.jobs.is_empty()).await;
}

#[tokio::test]
async fn one_name_is_a_slot_of_its_own_for_each_origin() {
    let server = Deskgrid::start_without_engine().await;
    let (mut one, mut other) = (page_of(&server, ONE).await, page_of(&server, OTHER).await);
    one.submit("of-one", &json!({"image": "a"}), &json!({"namespace": "n"})).await;
    one.until("of-one", "Queued").await;
    other.submit("of-other", &json!({"image": "b"}), &json!({"namespace": "n"})).await;
    other.until("of-other", "Queued").await;
    let list = server.get_json("/q/local").await["data"].take();
    assert_eq!(list.as_object().map(serde_json::Map::len), Some(2), "{list}");
}

#[tokio::test]
async fn a_definition_that_two_origins_ask_for_runs_once_and_ends_when_both_let_go() {
    let server = Deskgrid::start().await;
    let (mut one, mut other) = (page_of(&server, ONE).await, page_of(&server, OTHER).await);
    let definition = shell(&format!("echo up; sleep 300; : {}", unique()));
    for page in [&mut one, &mut other] {
        page.submit("both", &definition, &json!({"namespace": "n"})).await;
        page.until("both", "Running").await;
        assert_eq!(page.jobs["both"]["namespaces"], json!(["n"]));
    }
    server.until_said("both", "up").await;
    let containers = server.engine().labelled("container.mtfm.io/id", "both").await;
    assert_eq!(containers.len(), 1);
    let mut events = server.engine().events(&server).await;
    one.end("both", "Cancelled", None).await;
    one.until_true(|page| page.jobs.is_empty()).await;
    other.ping().await;
    assert_eq!(server.get_json("/q/local").await["data"]["both"]["state"], "Running");
    other.end("both", "Cancelled", None).await;
    other.until_true(|page| page.jobs.is_empty()).await;
    events.until("destroy", "both").await;
}
