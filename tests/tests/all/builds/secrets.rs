//! Tokens and passwords in the address of a context: they open it, and are written nowhere.

use std::path::Path;

use deskgrid_tests::{Deskgrid, Door, Page, Web, eventually, log_text};
use serde_json::json;

use super::contexts::{dockerfile, gzip, repository, write};
use super::{build_log, error_of, has_image, image_of, job};

const TOKEN: &str = "s3cret-t0ken";
/// User and token as a header has them.
const IN_A_HEADER: &str = "bWU6czNjcmV0LXQwa2Vu";

/// A server that gives `c.tgz` and the repository `x.git` only to those who have the token.
async fn locked(folder: &Path, data: &str) -> Web {
    write(folder, "c.tgz", &gzip(&[("Dockerfile", &dockerfile()), ("data", data)]));
    repository(folder, data);
    Web::locked_folder(folder, &format!("Basic {IN_A_HEADER}"), &format!("token={TOKEN}")).await
}

fn with_token(address: &str) -> String {
    address.replacen("http://", &format!("http://me:{TOKEN}@"), 1)
}

/// The files below `folder` that hold the token in any form.
fn holding(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&path));
        } else if let Ok(bytes) = std::fs::read(&path)
            && [TOKEN, IN_A_HEADER]
                .iter()
                .any(|word| bytes.windows(word.len()).any(|at| at == word.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Everything that the server says of a job, to everyone.
async fn answers(server: &Deskgrid, id: &str) -> String {
    let mut all = format!("{}{}", server.log(), server.get_json("/q/local").await);
    for path in ["", ".json", "/definition.json", "/result.json", "/build-logs.json", "/run-logs.json"] {
        all.push_str(&server.get_json(&format!("/j/{id}{path}")).await.to_string());
    }
    let door = Door::of(&server.data());
    for path in ["/api/jobs".to_owned(), format!("/api/jobs/{id}"), "/api/cache".to_owned()] {
        all.push_str(&door.get(&path).await.to_string());
    }
    all
}

#[tokio::test]
async fn a_token_in_an_address_opens_the_context_and_is_written_nowhere() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let web = locked(folder.path(), "private").await;
    for (address, shown) in [
        (with_token(&web.url("/c.tgz")), "\u{2022}@127.0.0.1"),
        (with_token(&web.url("/x.git#trunk")), "\u{2022}@127.0.0.1"),
        (web.url(&format!("/c.tgz?a=1&token={TOKEN}")), "?a=1&token=\u{2022}"),
    ] {
        let block = json!({ "context": address });
        let mut page = Page::open(&server, "local").await;
        let id = server.submit(&job(&block, "cat /data")).await;
        let finished = server.finished(&id).await;
        assert_eq!(finished["finishedReason"], "Success", "{finished} {}", build_log(&server, &id).await);
        assert_eq!(log_text(&finished), "private");
        page.until_true(|page| page.jobs.get(&id).is_some_and(|job| job["state"] == "Finished")).await;
        let definition = server.get_json(&format!("/j/{id}/definition.json")).await;
        let context = definition["data"]["build"]["context"].as_str().unwrap();
        assert!(context.contains(shown), "{context}");
        let said = format!("{}{:?}", answers(&server, &id).await, page.jobs);
        assert!(said.contains("Fetching http://127.0.0.1") && !said.contains(TOKEN), "{said}");
        assert!(!said.contains(IN_A_HEADER), "{said}");
        page.close().await;
    }
    assert_eq!(holding(server.data().parent().unwrap()), [] as [String; 0]);
    // As before, the image is named by the address without the password.
    assert!(has_image(&server.engine(), &image_of(&json!({ "context": web.url("/c.tgz") }))).await);
}

/// A job that has the only CPU until it is cancelled.
async fn occupy(server: &Deskgrid) -> String {
    let id = server.submit(&json!({"image": deskgrid_tests::BUSYBOX, "command": "sleep 1000"})).await;
    server.until_said(&id, "Running").await;
    id
}

#[tokio::test]
async fn a_job_whose_token_a_restart_forgot_goes_on_without_or_says_so_and_runs_when_submitted_again() {
    let mut server = Deskgrid::start_with_cpus(1).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let locked = locked(folders[0].path(), "private").await;
    write(folders[1].path(), "c.tgz", &gzip(&[("Dockerfile", &dockerfile()), ("data", "public")]));
    let open = Web::folder(folders[1].path()).await;
    let first = occupy(&server).await;
    let private = job(&json!({"context": with_token(&locked.url("/c.tgz"))}), "cat /data");
    let public = job(&json!({"context": with_token(&open.url("/c.tgz"))}), "cat /data");
    let ids = [server.submit(&private).await, server.submit(&public).await];
    server.kill().await;
    assert_eq!(holding(server.data().parent().unwrap()), [] as [String; 0], "also while they wait");
    server.start_again().await;
    server.post(&format!("/q/local/j/{first}/cancel"), &json!({})).await;
    assert_eq!(log_text(&server.finished(&ids[1]).await), "public");
    let failed = server.finished(&ids[0]).await;
    let error = error_of(&failed);
    assert!(error.contains("token") && error.contains("Submit the job again"), "{error}");
    assert_eq!(server.submit(&private).await, ids[0]);
    let result = async || server.get_json(&format!("/j/{}/result.json", ids[0])).await["data"].take();
    eventually("it succeeds", async || result().await["finishedReason"] == "Success").await;
    assert_eq!(log_text(&result().await), "private");
}
