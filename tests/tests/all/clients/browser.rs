//! One visit of the container metaframe: a page of its origin talks as its client does.

use deskgrid_tests::{Deskgrid, Page, log_text, sha256, unique};
use serde_json::json;

use super::{id_of, job, submit_until_seen};

const ORIGIN: &str = "https://container.mtfm.io";

#[tokio::test]
async fn the_browser_client_uploads_submits_watches_reads_outputs_and_deletes() {
    let server = Deskgrid::start().await;
    let get = async |path: &str| {
        let request = server.http().get(server.url(path)).header("Origin", ORIGIN);
        let answer =
            request.header("Content-Type", "application/octet-stream").send().await.expect("an answer");
        assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN, "{path}");
        (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
    };

    // On open, with nothing submitted before, it says `undefined`.
    let url = server.url("/q/local/client");
    let mut page = Page::open_from(&url, Some(ORIGIN)).await.expect("the socket opens");
    page.send_text("undefined").await;
    page.ping().await;

    // A long input is uploaded unless it is there.
    let text = format!("{} {}", unique(), "long ".repeat(100));
    let file = format!("/f/{}", sha256(&text));
    assert_eq!(get(&format!("{file}/exists")).await.0, 404);
    let put = server.http().put(server.url(&file)).header("Origin", ORIGIN).body(text.clone());
    assert_eq!(put.send().await.expect("an answer").status(), 200);

    let mut definition =
        job("sh -c 'sed s/long/short/g /inputs/in.txt > /outputs/out.txt; echo done; echo oops >&2'");
    definition["inputs"] =
        json!({"in.txt": {"value": server.url(&file), "type": "url", "hash": sha256(&text)}});
    let id = id_of(&definition);
    page.send("QueryJob", json!({"jobId": id})).await;
    submit_until_seen(&mut page, &[(&definition, json!({"namespace": "page"}))]).await;
    page.until(&id, "Finished").await;
    assert_eq!(page.states_seen(&id), ["Queued", "Running", "Finished"]);

    let (status, body) = get(&format!("/q/local/j/{id}/result.json")).await;
    let result: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, log_text(&result["data"]).contains("done\n")), (200, true));
    let output = &result["data"]["finished"]["result"]["outputs"]["out.txt"];
    let path = output["value"].as_str().expect("a URL").strip_prefix(&server.address).expect("our own");
    assert_eq!(get(path).await, (200, text.replace("long", "short").into_bytes()));

    // The button that runs the job once more deletes first and submits a second later.
    page.end(&id, "Deleted", None).await;
    page.until_true(|page| !page.jobs.contains_key(&id)).await;
    submit_until_seen(&mut page, &[(&definition, json!({"namespace": "page"}))]).await;
    page.until(&id, "Running").await;
    page.until(&id, "Finished").await;
    page.close().await;
}
