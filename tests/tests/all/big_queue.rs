//! Ten thousand jobs that wait: what clients are sent, and what the server needs.

use std::collections::BTreeSet;

use deskgrid_tests::{Deskgrid, Page, eventually, shell, unique};
use futures_util::{StreamExt as _, future::join_all, stream};
use serde_json::{Value, json};

const JOBS: usize = 10_000;
const CLIENTS: usize = 5;
/// Each client may be sent this much until it knows them all, in bytes.
const MOST_SENT: usize = 2_000_000;
/// The server may take this much memory, in bytes.
const MOST_MEMORY: u64 = 150 * 1024 * 1024;
/// Requests at the same time.
const AT_ONCE: usize = 64;

/// What is in memory of a process, where the system tells.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

async fn post_all(server: &Deskgrid, requests: impl Iterator<Item = (String, Value)>) {
    let answers = stream::iter(requests).map(async |(path, body)| server.post(&path, &body).await.0);
    let statuses: Vec<u16> = answers.buffer_unordered(AT_ONCE).collect().await;
    assert!(statuses.iter().all(|status| *status == 200));
}

#[tokio::test]
async fn ten_thousand_waiting_jobs_cost_each_client_and_the_server_little() {
    let server = Deskgrid::start_with_cpus(1).await;
    let long = server.submit(&shell(&format!("sleep 3000; : {}", unique()))).await;
    let mut pages = join_all((0..CLIENTS).map(|_| Page::open(&server, "local"))).await;
    for page in &mut pages {
        page.until(&long, "Running").await;
    }

    let ids: Vec<_> = (0..JOBS).map(|number| deskgrid_tests::sha256(format!("{number}"))).collect();
    let mine = unique();
    let submissions = ids.iter().map(|id| {
        let definition = json!({"image": "some/image", "command": format!("echo {mine} {id}")});
        ("/q/local".to_owned(), json!({"id": id, "definition": definition}))
    });
    let watch = join_all(pages.iter_mut().map(|page| page.until_true(|page| page.jobs.len() == JOBS + 1)));
    tokio::join!(post_all(&server, submissions), watch);
    for page in &pages {
        assert!(page.bytes < MOST_SENT, "a client was sent {} bytes", page.bytes);
        assert!(ids.iter().all(|id| page.jobs[id]["state"] == "Queued"));
    }
    let memory = resident(server.pid()).unwrap_or_default();
    assert!(memory < MOST_MEMORY, "the server takes {memory} bytes");

    // A client that comes late gets the whole queue in one frame.
    let mut late = Page::open(&server, "local").await;
    late.next_of("JobStates").await;
    assert_eq!(late.jobs.len(), JOBS + 1);
    assert!(late.bytes < MOST_SENT, "a late client was sent {} bytes", late.bytes);

    let cancels = ids.iter().map(|id| (format!("/q/local/j/{id}/cancel"), json!(null)));
    let watch = join_all(pages.iter_mut().map(|page| page.until_true(|page| page.jobs.len() == 1)));
    tokio::join!(post_all(&server, cancels), watch);
    for page in &pages {
        assert_eq!(page.jobs[&long]["state"], "Running");
    }
    let memory = resident(server.pid()).unwrap_or_default();
    assert!(memory < MOST_MEMORY, "the server takes {memory} bytes after all were cancelled");
    server.post(&format!("/q/local/j/{long}/cancel"), &json!(null)).await;
    eventually("the long job is gone", async || {
        server.engine().labelled("container.mtfm.io/id", &long).await.is_empty()
    })
    .await;
    assert!(late.next_text().await.is_some(), "the late client is still served");
}

#[tokio::test]
async fn a_long_list_that_is_asked_for_again_has_what_came_and_went_meanwhile() {
    let server = Deskgrid::start_without_engine().await;
    let submission = |id: &str| {
        let definition = json!({"image": "some/image", "command": format!("echo {id}")});
        ("/q/long".to_owned(), json!({"id": id, "definition": definition}))
    };
    let ids: Vec<_> = (0..1000).map(|number| deskgrid_tests::sha256(format!("{number}"))).collect();
    post_all(&server, ids.iter().map(|id| submission(id))).await;
    let listed = async |queue: &str| {
        let list = server.get_json(&format!("/q/{queue}")).await;
        list["data"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
    };
    let mut expected: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(listed("long").await, expected);
    assert_eq!(listed("long").await, expected);
    assert_eq!(listed("other").await, BTreeSet::new());
    post_all(&server, [submission("one-more")].into_iter()).await;
    expected.insert("one-more".to_owned());
    assert_eq!(listed("long").await, expected);
    post_all(&server, [(format!("/q/long/j/{}/cancel", ids[0]), json!(null))].into_iter()).await;
    expected.remove(&ids[0]);
    assert_eq!(listed("long").await, expected);
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let server = Deskgrid::start_without_engine().await;
    let _deaf = Page::open(&server, "local").await;
    let mut page = Page::open(&server, "local").await;
    let bulk = "x".repeat(20_000);
    let submissions = (0..2000).map(|number| {
        // What is carried in the record goes to every client: 40 MB in all.
        let definition = json!({"image": "a", "command": format!("{number}"), "tags": [bulk]});
        ("/q/local".to_owned(), json!({"id": format!("job-{number}"), "definition": definition}))
    });
    tokio::join!(post_all(&server, submissions), page.until_true(|page| page.jobs.len() == 2000));
    page.ping().await;
}
