//! An image goes with the last result that it was built for.

use deskgrid_tests::{BUSYBOX, Deskgrid, Page, eventually, log_text, unique};
use serde_json::json;

use super::{build_log, has_image, image_of, job};

#[tokio::test]
async fn deleting_a_result_removes_its_image_unless_another_kept_job_has_it() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let (image, engine) = (image_of(&build), server.engine());
    let first = job(&build, "cat /id");
    let ids = [server.submit(&first).await, server.submit(&job(&build, "/bin/sh -c 'cat /id'")).await];
    for id in &ids {
        server.finished(id).await;
    }
    let mut page = Page::open(&server, "local").await;
    page.end(&ids[0], "Deleted", None).await;
    page.until_true(|page| !page.jobs.contains_key(&ids[0])).await;
    assert!(has_image(&engine, &image).await);
    page.end(&ids[1], "Deleted", None).await;
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
    // Submitted again, it is built again.
    let id = server.submit(&first).await;
    server.finished(&id).await;
    assert!(build_log(&server, &id).await.contains("RUN echo"));
}

#[tokio::test]
async fn an_image_that_somebody_removed_is_built_again() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let first = server.run(&job(&build, "cat /id")).await;
    server.engine().remove_image(&image_of(&build)).await;
    let second = server.run(&job(&build, "/bin/sh -c 'cat /id'")).await;
    assert_eq!(log_text(&first), log_text(&second));
}

#[tokio::test]
async fn deleting_a_job_that_runs_removes_its_image_when_its_container_is_gone() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let id = server.submit(&job(&build, "/bin/sh -c 'echo running; sleep 1000'")).await;
    server.until_said(&id, "running").await;
    let mut page = Page::open(&server, "local").await;
    page.end(&id, "Deleted", None).await;
    let (image, engine) = (image_of(&build), server.engine());
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
}
